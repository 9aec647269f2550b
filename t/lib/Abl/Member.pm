# A scriptable member: an application server of raw sockets that misbehaves on demand.
#
# What it does is chosen by the path (see Abl::Member::Script), so that tests read well:
#
#   my $m = Abl::Member->start(name => 'a');
#   ... BalancerMember @{[$m->url]} ...            GET /reset-body
#   is(scalar $m->requests, 1);
#
# Every request it sees is in its journal. requests() and connections() first let the member finish with
# everything that has reached it, so that "nothing arrived" is a fact and not a matter of patience.
# SPDX-License-Identifier: Apache-2.0
package Abl::Member;
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use File::Temp ();
use IO::Handle;
use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use JSON::PP ();
use Socket qw(AF_UNIX SOCK_STREAM SOMAXCONN PF_UNSPEC pack_sockaddr_un);
use Time::HiRes qw(time);
use Abl::Member::Loop;
use Abl::Proc;
use Abl::Util qw(patience free_port);

my $json = JSON::PP->new->ascii;

# name; on => 'ip4' (default), 'ip6', 'unix'; port => given one; host => another address than 127.0.0.1; always => '/path': the behaviour of
# every request, whatever its path; serial => 1: one connection at a time, as a Perl development server
sub start {
    my ($class, %o) = @_;
    my $dir = File::Temp::tempdir('abl-member-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    my $self = bless {
        dir   => $dir, owner => $$, name => $o{name} || 'member', on => $o{on} || 'ip4', host => $o{host},
        journal => "$dir/journal", read => 0, rest => '', events => [],
    }, $class;
    my $listener = $self->_listen($o{port});
    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!\n";
    $_->blocking(0) for $mine, $its;
    open my $journal, '>>:raw', $self->{journal} or die "$self->{journal}: $!\n";
    $self->{proc} = Abl::Proc->start(
        grace => 1,
        code  => sub {
            close $mine;
            Abl::Member::Loop->new(
                listener => $listener, control => $its,         journal => $journal,
                name     => $o{name} || 'member', always => $o{always}, serial => $o{serial},
            )->run;
        },
    );
    $self->{control} = $mine;
    return $self;
}

# Listens before the process exists: whoever connects from now on is served.
sub _listen {
    my ($self, $port) = @_;
    my $on = $self->{on};
    my $sock;
    if ($on eq 'unix') {
        $self->{path} = "$self->{dir}/socket";
        $sock = IO::Socket::UNIX->new(Local => $self->{path}, Listen => SOMAXCONN);
        chmod 0777, $self->{path};
    }
    else {
        $sock = IO::Socket::IP->new(
            LocalHost => $on eq 'ip6' ? '::1' : $self->{host} || '127.0.0.1',
            LocalPort => $port || 0, Listen => SOMAXCONN, ReuseAddr => 1,
        );
        $self->{port} = $sock->sockport if $sock;
    }
    die "listen ($on): $@ $!\n" unless $sock;
    return $sock;
}

sub port { return $_[0]{port} }
sub path { return $_[0]{path} }
sub name { return $_[0]{name} }

# What goes behind BalancerMember.
sub url {
    my ($self) = @_;
    return "unix:$self->{path}|http://member/" if $self->{path};
    return 'http://' . $self->authority;
}

sub authority { my ($self) = @_; return ($self->{on} eq 'ip6' ? '[::1]' : $self->{host} || '127.0.0.1') . ":$self->{port}" }

sub alive { my ($self) = @_; return $self->{proc} && $self->{proc}->alive }

sub stop { my ($self) = @_; return $self->{proc} ? $self->{proc}->stop('KILL') : 1 }

# ---- members that are not there; they stay so until the test ends

my @absent;

# A port that refuses: taken by a socket that does not listen.
sub refused {
    my ($class) = @_;
    my $sock = IO::Socket::IP->new(LocalHost => '127.0.0.1', Type => SOCK_STREAM) or die "bind: $@\n";
    push @absent, bless { on => 'ip4', port => $sock->sockport, keep => [$sock], owner => $$ }, $class;
    return $absent[-1];
}

# Accepts (the kernel does) and never answers.
sub blackhole {
    my ($class) = @_;
    my $sock = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 512) or die "listen: $@\n";
    push @absent, bless { on => 'ip4', port => $sock->sockport, keep => [$sock], owner => $$ }, $class;
    return $absent[-1];
}

# Its backlog is full: a connection attempt is neither accepted nor refused. on => 'unix': not even begun.
sub full {
    my ($class, %o) = @_;
    return $class->_full_unix if ($o{on} || '') eq 'unix';
    my $sock = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1) or die "listen: $@\n";
    my $self = bless { on => 'ip4', port => $sock->sockport, keep => [$sock], owner => $$ }, $class;
    for (1 .. 16) {
        my $filler = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->{port}, Timeout => 0.2);
        if (!$filler) { push @absent, $self; return $self }
        push @{ $self->{keep} }, $filler;
    }
    die "the backlog does not fill up\n";
}

sub _full_unix {
    my ($class) = @_;
    my $dir = File::Temp::tempdir('abl-member-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    my $path = "$dir/socket";
    my $sock = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "listen: $@ $!\n";
    chmod 0777, $path;
    push @absent, my $self = bless { on => 'unix', path => $path, keep => [$sock], owner => $$ }, $class;
    for (1 .. 16) {
        socket my $filler, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socket: $!\n";
        IO::Handle::blocking($filler, 0);
        CORE::connect($filler, pack_sockaddr_un($path)) or return $self;
        push @{ $self->{keep} }, $filler;
    }
    die "the backlog does not fill up\n";
}

# ---- the journal

# Takes in what the member has written since.
sub _take {
    my ($self) = @_;
    return unless $self->{journal};
    open my $in, '<:raw', $self->{journal} or return;
    seek $in, $self->{read}, 0;
    my $text = do { local $/; <$in> };
    return unless defined $text;
    $self->{read} += length $text;
    $self->{rest} .= $text;
    while ($self->{rest} =~ s/\A([^\n]*)\n//) { push @{ $self->{events} }, $json->decode($1) }
    return;
}

sub _command {
    my ($self, $byte) = @_;
    return syswrite $self->{control}, $byte;
}

# Waits for one byte of this kind from the member.
sub _await_byte {
    my ($self, $byte, $seconds) = @_;
    my $until = time + $seconds;
    my $ready = IO::Select->new($self->{control});
    while ((my $left = $until - time) > 0) {
        last unless $ready->can_read($left);
        my $n = sysread $self->{control}, my $bytes, 4096;
        next if !defined $n && ($! == EAGAIN || $! == EINTR);
        last unless $n;
        return 1 if index($bytes, $byte) >= 0;
    }
    return 0;
}

# Until the member has dealt with everything that had reached it.
sub sync {
    my ($self) = @_;
    return $self unless $self->{control} && $self->alive;
    $self->_command('S');
    $self->_await_byte('S', 10 * patience()) || !$self->alive or die "member $self->{name} does not answer\n";
    return $self;
}

# Waits, as long as `seconds`, for the code to be true; looks again whenever the journal grows.
sub await {
    my ($self, $code, $seconds) = @_;
    my $until = time + ($seconds || 10) * patience();
    while (1) {
        $self->_take;
        my $got = $code->($self);
        return $got if $got || time > $until;
        $self->_await_byte('j', $until - time > 1 ? 1 : 0.1);
    }
}

# Waits until this many requests' heads have arrived.
sub await_requests {
    my ($self, $n, $seconds) = @_;
    return $self->await(sub { $self->_requests >= $n }, $seconds);
}

# All requests seen so far, in order.
sub requests { my ($self) = @_; $self->sync; $self->_take; return $self->_requests }

sub last_request { my ($self) = @_; return ($self->requests)[-1] }

# Forgets what was journalled so far (connection numbers go on).
sub forget { my ($self) = @_; $self->sync; $self->_take; $self->{events} = []; return $self }

sub _requests {
    my ($self) = @_;
    my (%by, @all);
    for my $event (@{ $self->{events} }) {
        my $key = "$event->{conn}/" . ($event->{req} || 0);
        if ($event->{ev} eq 'head') {
            push @all, $by{$key} = bless { %$event, complete => 0 }, 'Abl::Member::Request';
        }
        elsif ($event->{ev} eq 'body' && $by{$key}) { %{ $by{$key} } = (%{ $by{$key} }, %$event) }
    }
    return @all;
}

# All connections: number, requests, received (bytes), closed_by ('us', 'peer', 'peer-rst' or undef while open),
# eof (the other side ended its half while we were answering).
sub connections {
    my ($self) = @_;
    $self->sync;
    $self->_take;
    return $self->_connections;
}

sub _connections {
    my ($self) = @_;
    my (%by, @all);
    for my $event (@{ $self->{events} }) {
        if ($event->{ev} eq 'open') {
            push @all, $by{ $event->{conn} } = { conn => $event->{conn}, requests => 0, closed_by => undef };
        }
        my $conn = $by{ $event->{conn} } or next;
        $conn->{requests}++ if $event->{ev} eq 'head';
        $conn->{eof} = 1 if $event->{ev} eq 'eof';
        @$conn{qw(closed_by received)} = @$event{qw(by received)} if $event->{ev} eq 'close';
        push @{ $conn->{stale} }, $event->{bytes} if $event->{ev} eq 'stale';
    }
    return @all;
}

# Waits until this many connections were closed, by either side.
sub await_close {
    my ($self, $n, $seconds) = @_;
    my $over = sub { grep { $_->{eof} || defined $_->{closed_by} } $self->_connections };
    return $self->await(sub { $over->() >= ($n || 1) }, $seconds);
}

# Waits until this connection was ended: by us, by its other side, or by the other side's half alone.
sub await_end_of {
    my ($self, $conn, $seconds) = @_;
    my $over = sub { grep { $_->{conn} == $conn && $_->{ev} =~ /\A(?:eof|close)\z/ } @{ $self->{events} } };
    return $self->await($over, $seconds);
}

# ---- orders

# Lets every request that waits at /gate go on.
sub release { my ($self) = @_; $self->_command('G'); return $self->sync }

# Closes every connection that is idle between two requests, as a keep-alive time-out would.
sub drop_idle { my ($self) = @_; $self->_command('D'); return $self->sync }

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} && $self->{owner} == $$;
    local ($@, $!, $?);
    $self->stop;
}

package Abl::Member::Request;

# One request as the member saw it. Beside the methods: head (raw), conn, req, length, sha1, complete, body
# (its first 64 kB), trailers (raw lines).

sub line   { return (split /\r\n/, $_[0]{head})[0] }
sub method { return (split / /, $_[0]->line)[0] }
sub target { return (split / /, $_[0]->line)[1] }
sub head   { return $_[0]{head} }
sub lines  { my (undef, @lines) = split /\r\n/, $_[0]{head}; return @lines }

# All values of a field, in order.
sub field {
    my ($self, $name) = @_;
    my @values = map { /\A\Q$name\E:[ \t]*(.*?)[ \t]*\z/i ? $1 : () } $self->lines;
    return wantarray ? @values : $values[0];
}

1;
