# A member that falls ill when it is told to, for many requests a second (t/app/sick.py); for those that misbehave in their own
# ways there is Abl::Member.
#
#   my $m = Abl::Sick->start;          BalancerMember @{[$m->url]}
#   my $t = $m->be('hang');            ok (with milliseconds), 500, hang, reset, reuse; from this time on
#   $m->health(503);                   what /health answers from now on
#   $m->seen($t);                      so many requests have come since; checks: of /health; most: at once
#   $m->stop; $m->again;               killed; and back at the same port
# SPDX-License-Identifier: Apache-2.0
package Abl::Sick;
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use HTTP::Tiny;
use JSON::PP ();
use Time::HiRes qw(time);
use Abl::Proc;
use Abl::Util qw(free_port accepts wait_until tool);

my $script = Cwd::abs_path(dirname(__FILE__) . '/../../app/sick.py');

# ms: how long it takes to answer; host, port
sub start {
    my ($class, %o) = @_;
    my $self = bless { host => $o{host} || '127.0.0.1', port => $o{port} || free_port(), ms => $o{ms} || 0 }, $class;
    return $self->again;
}

# Without waiting until it listens. health: as with health()
sub begin {
    my ($self, %o) = @_;
    $self->{proc} = Abl::Proc->start(cmd => [ tool('python3'), $script, $self->{host}, $self->{port}, $self->{ms}, $o{health} || 0 ], out => '/dev/null');
    return $self;
}

sub again {
    my ($self, %o) = @_;
    $self->begin(%o);
    wait_until { accepts($self->{port}, $self->{host}) || !$self->{proc}->alive } 10;
    die "a member did not start\n" unless accepts($self->{port}, $self->{host});
    return $self;
}

sub port { return $_[0]{port} }
sub url  { return "http://$_[0]{host}:$_[0]{port}" }
sub is_up { return $_[0]{proc} && $_[0]{proc}->alive }
sub stop { return $_[0]{proc}->stop('KILL') }

sub be {
    my ($self, $mode, $ms) = @_;
    my $now = time;
    $self->_ask("be?mode=$mode&ms=" . (defined $ms ? $ms : $self->{ms}));
    return $now;
}

sub health { my ($self, $status) = @_; $self->_ask("be?mode=ok&ms=$self->{ms}&health=$status"); return }

# When the first and the last request since then came; 0: there was none.
sub first { my ($self, $since) = @_; return $self->_ask("seen?since=$since")->{first} }
sub last  { my ($self, $since) = @_; return $self->_ask("seen?since=$since")->{last} }

sub checks { return $_[0]->_ask('seen')->{checks} }
sub most   { return $_[0]->_ask('seen')->{most} }

sub seen { my ($self, $since) = @_; return $self->_ask('seen?since=' . ($since || 0))->{n} }

# What was asked for.
sub targets { my ($self) = @_; return @{ $self->_ask('seen?since=0&ids=1')->{ids} } }

sub _ask {
    my ($self, $what) = @_;
    my $r = HTTP::Tiny->new(timeout => 10, keep_alive => 0)->get($self->url . "/-/$what");
    die "the member says: $r->{status} $r->{content}\n" unless $r->{success};
    return JSON::PP::decode_json($r->{content});
}

1;
