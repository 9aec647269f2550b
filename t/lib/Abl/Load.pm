# Clients that never rest: a process with so many of them, each of which asks, waits for the answer, and asks again, on a fresh
# connection each time (so that no request meets a connection that is just being closed) unless keep => 1.
#
#   my $load = Abl::Load->start(port => $s->port, clients => 60, path => '/work?ms=20');
#   ...
#   my $seen = $load->finish;       asked, answers => { 200 => 1234 }, broken => 0, slowest, longest_gap, ...
#
# A request counts as broken when its connection ends, or cannot be made, before the answer is whole.
# SPDX-License-Identifier: Apache-2.0
package Abl::Load;
use strict;
use warnings;
use File::Temp ();
use JSON::PP ();
use Abl::Proc;
use Abl::Util qw(slurp spew wait_until);

my $json = JSON::PP->new->ascii;

# port, clients, path; headers => ['X-Foo: bar']; keep; pause: seconds a client rests after a broken connection
sub start {
    my ($class, %o) = @_;
    my $dir  = File::Temp::tempdir('abl-load-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { dir => $dir, owner => $$ }, $class;
    my $parent = $$;
    $self->{proc} = Abl::Proc->start(
        grace => 30,
        code  => sub {
            my $loop = bless { keep => 0, pause => 0.01, %o, parent => $parent }, 'Abl::Load::Loop';
            my $seen = $loop->run;
            spew("$dir/seen.part", $json->encode($seen));
            rename "$dir/seen.part", "$dir/seen" or die "rename: $!\n";
        },
    );
    return $self;
}

# Lets every client finish its request, and tells what they have seen: asked, answers (status => how many), broken, slowest (s),
# longest_gap (s without any answer of status 200, from the first to the last), other => the first answers that were not 200
sub finish {
    my ($self) = @_;
    return $self->{seen} if $self->{seen};
    $self->{proc}->signal('TERM');
    wait_until { !$self->{proc}->alive } 40 or die "the load does not end\n";
    return $self->{seen} = $json->decode(slurp("$self->{dir}/seen"));
}

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    local ($@, $!, $?);
    $self->{proc}->stop('KILL') if $self->{proc};
}

# ---- the process

package Abl::Load::Loop;
use Errno qw(EAGAIN EINTR EINPROGRESS);
use IO::Handle;
use Socket qw(PF_INET SOCK_STREAM pack_sockaddr_in inet_aton);
use Time::HiRes qw(time);

sub run {
    my ($self) = @_;
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub { $self->{until} ||= time + 30 * Abl::Util::patience() };
    my $seen = $self->{seen} = { asked => 0, answers => {}, broken => 0, slowest => 0, longest_gap => 0, other => [] };
    my @clients = map { { n => $_ } } 1 .. $self->{clients};
    $self->ask($_) for @clients;
    while (getppid == $self->{parent}) {
        my @busy = grep { $_->{sock} || $_->{rest} } @clients or last;
        last if $self->{until} && time > $self->{until};
        $self->round(@busy);
    }
    $seen->{unfinished} = grep { $_->{sock} } @clients;
    return $seen;
}

sub round {
    my ($self, @clients) = @_;
    my ($read, $write, $now) = ('', '', time);
    for my $c (@clients) {
        next unless $c->{sock};
        vec($c->{sent} ? $read : $write, fileno $c->{sock}, 1) = 1;
    }
    my ($resting) = grep { $_->{rest} } @clients;
    return if select($read, $write, undef, $resting ? $self->{pause} : 0.5) < 0;
    for my $c (@clients) {
        if    (!$c->{sock})                          { $self->ask($c) if $c->{rest} <= time }
        elsif ($c->{sent})                           { $self->receive($c) if vec $read, fileno $c->{sock}, 1 }
        elsif (vec $write, fileno $c->{sock}, 1)     { $self->send($c) }
    }
    return;
}

sub ask {
    my ($self, $c) = @_;
    delete $c->{rest};
    if ($self->{until}) { close delete $c->{sock} if $c->{sock}; return }
    $self->{seen}{asked}++;
    @$c{qw(in sent from)} = ('', 0, time);
    return $self->send($c) if $c->{sock};
    socket my $sock, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    $sock->blocking(0);
    $c->{sock} = $sock;
    return if connect($sock, pack_sockaddr_in($self->{port}, inet_aton('127.0.0.1'))) || $! == EINPROGRESS;
    return $self->broken($c);
}

sub send {
    my ($self, $c) = @_;
    my $close = $self->{keep} ? '' : "Connection: close\r\n";
    my $text  = join '', "GET $self->{path} HTTP/1.1\r\nHost: localhost\r\n$close", map({"$_\r\n"} @{ $self->{headers} || [] }), "\r\n";
    my $n     = syswrite $c->{sock}, $text;
    return $self->broken($c) unless defined $n && $n == length $text;
    $c->{sent} = 1;
    return;
}

sub receive {
    my ($self, $c) = @_;
    my $n = sysread $c->{sock}, $c->{in}, 65536, length $c->{in};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    if ($c->{in} =~ m{\AHTTP/1\.1 (\d+) .*?^content-length:\s*(\d+)\r\n.*?^\r\n(.*)\z}ims && length $3 >= $2) {
        return $self->answered($c, $1);
    }
    return $self->broken($c) unless $n;
    return;
}

sub answered {
    my ($self, $c, $status) = @_;
    my ($seen, $now) = ($self->{seen}, time);
    $seen->{answers}{$status}++;
    $seen->{slowest} = $now - $c->{from} if $now - $c->{from} > $seen->{slowest};
    if ($status == 200) {
        my $gap = $now - ($self->{last} || $now);
        $seen->{longest_gap} = $gap if $gap > $seen->{longest_gap};
        $self->{last} = $now;
    }
    elsif (@{ $seen->{other} } < 5) { push @{ $seen->{other} }, $c->{in} }
    close delete $c->{sock} if !$self->{keep} || $c->{in} =~ /^connection:[^\r]*\bclose\b/im;
    return $self->ask($c);
}

sub broken {
    my ($self, $c) = @_;
    close delete $c->{sock};
    $self->{seen}{broken}++;
    $c->{rest} = time + $self->{pause};
    return;
}

1;
