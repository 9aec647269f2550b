# A client that hides nothing: sends exact bytes in steps, reads HTTP/1.1 answers exactly, and says
# whether an answer was complete or cut, and how the connection ended.
#
#   my $c = Abl::Client->connect(port => $s->port);
#   $c->request('GET', '/echo', ['X-Foo' => 'bar']);
#   my $r = $c->response;            # $r->status, $r->field('Server'), $r->body, $r->complete ...
#
# SPDX-License-Identifier: Apache-2.0
package Abl::Client;
use strict;
use warnings;
use Errno qw(EAGAIN EINTR ECONNRESET EPIPE EINPROGRESS);
use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Time::HiRes qw(time);
use Abl::Client::Response;
use Abl::Util qw(patience);

# port or path; host, from (our own address), timeout (seconds for each wait), rcvbuf (small: a slow reader)
sub connect {
    my ($class, %o) = @_;
    my $sock = $o{path} ? IO::Socket::UNIX->new(Peer => $o{path})
        : $o{rcvbuf} ? _connect_small(%o)
        :              IO::Socket::IP->new(PeerHost => $o{host} || '127.0.0.1', PeerPort => $o{port}, $o{from} ? (LocalHost => $o{from}) : ());
    die 'connect to ' . ($o{path} || $o{port}) . ": $@ $!\n" unless $sock;
    $sock->blocking(0);
    binmode $sock;
    return bless {
        sock    => $sock,
        in      => '',
        end     => undef,                             # 'fin' or 'rst' once seen
        timeout => ($o{timeout} || 10) * patience(),
        heads   => [],                                # for each request sent: was it a HEAD?
        name    => $o{name} || 'localhost',
    }, $class;
}

# The receive buffer must be small before the connection exists, or the window is already announced.
sub _connect_small {
    my (%o) = @_;
    my $sock = IO::Socket::IP->new(Sockopts => [ [ SOL_SOCKET, SO_RCVBUF, pack 'i', $o{rcvbuf} ] ],
        PeerHost => $o{host} || '127.0.0.1', PeerPort => $o{port});
    return $sock;
}

sub socket { return $_[0]{sock} }

# ---- sending

# Sends these bytes. Returns how many went out: fewer when the other side is gone or takes no more.
sub send {
    my ($self, $bytes) = @_;
    my $sent  = 0;
    my $ready = IO::Select->new($self->{sock});
    while ($sent < length $bytes) {
        my $n = syswrite $self->{sock}, $bytes, 65536, $sent;
        if (defined $n) { $sent += $n; next }
        next if $! == EINTR;
        last unless $! == EAGAIN;
        last unless $ready->can_write($self->{timeout});
    }
    return $sent;
}

# Sends one byte at a time, each in a packet of its own as far as the kernel lets it.
sub trickle {
    my ($self, $bytes, $gap) = @_;
    for my $byte (split //, $bytes) {
        $self->send($byte) == 1 or return 0;
        select undef, undef, undef, $gap || 0.001;
    }
    return 1;
}

# A request in one piece: fields as [name => value, ...], body as bytes. Host is added unless given, and
# Content-Length when there is a body and no framing.
sub request {
    my ($self, $method, $target, $fields, $body) = @_;
    $self->expect_answer_to($method);
    return $self->send($self->head($method, $target, $fields, $body) . (defined $body ? $body : ''));
}

sub head {
    my ($self, $method, $target, $fields, $body) = @_;
    my @fields = @{ $fields || [] };
    my %given;
    for (my $i = 0; $i < @fields; $i += 2) { $given{ lc $fields[$i] } = 1 }
    unshift @fields, Host => $self->{name} unless $given{host};
    push @fields, 'Content-Length' => length $body
        if defined $body && !$given{'content-length'} && !$given{'transfer-encoding'};
    my $text = "$method $target HTTP/1.1\r\n";
    while (my ($name, $value) = splice @fields, 0, 2) { $text .= "$name: $value\r\n" }
    return "$text\r\n";
}

# For requests sent with send(): tells response() which method it answers.
sub expect_answer_to {
    my ($self, $method) = @_;
    push @{ $self->{heads} }, $method eq 'HEAD';
    return $self;
}

sub chunk {
    my ($self, $bytes) = @_;
    return sprintf "%x\r\n%s\r\n", length $bytes, $bytes;
}

# No more from us; the other side may still answer.
sub half_close { my ($self) = @_; return CORE::shutdown $self->{sock}, 1 }

sub close { my ($self) = @_; return CORE::close delete $self->{sock} if $self->{sock}; return }

# Away with a RST.
sub abort {
    my ($self) = @_;
    setsockopt $self->{sock}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    return $self->close;
}

# ---- receiving

# Reads what there is, at most `seconds` long. False when nothing came: $c->end then tells
# whether the connection ended or time ran out.
sub fill {
    my ($self, $seconds, $most) = @_;
    return 0 if $self->{end};
    my $until = time + (defined $seconds ? $seconds : $self->{timeout});
    my $ready = IO::Select->new($self->{sock});
    while (1) {
        my $left = $until - time;
        return 0 unless $ready->can_read($left > 0 ? $left : 0);
        my $n = sysread $self->{sock}, $self->{in}, $most || 65536, length $self->{in};
        return $n if $n;
        if (defined $n) { $self->{end} = 'fin'; return 0 }
        next if $! == EAGAIN || $! == EINTR;
        $self->{end} = 'rst';
        return 0;
    }
}

# 'fin', 'rst', or undef while the connection is open as far as we have looked.
sub end { return $_[0]{end} }

# Waits for the end of the connection, throwing away what still comes. undef: it stayed open.
sub await_end {
    my ($self, $seconds) = @_;
    my $until = time + (defined $seconds ? $seconds : $self->{timeout});
    while (!$self->{end} && time < $until) {
        $self->fill($until - time) or last;
        $self->{in} = '';
    }
    return $self->{end};
}

# What was received and belongs to no answer read so far.
sub pending { return $_[0]{in} }

# A whole answer. keep => 0: count and hash the body instead of keeping it.
sub response {
    my ($self, %o) = @_;
    my $r = $self->start_response(%o);
    1 while defined $r->more;
    return $r;
}

# The head only (and the 1xx answers before it); then $r->more returns the body piece by piece.
sub start_response {
    my ($self, %o) = @_;
    my $to_head = defined $o{head} ? $o{head} : shift @{ $self->{heads} };
    return Abl::Client::Response->read($self, head => $to_head, keep => defined $o{keep} ? $o{keep} : 1);
}

# One interim answer or final head without going further: for Expect: 100-continue.
sub interim {
    my ($self) = @_;
    return Abl::Client::Response->read($self, head => 1, keep => 1, one => 1);
}

# request() and response() in one.
sub ask { my ($self, @request) = @_; $self->request(@request); return $self->response }

1;
