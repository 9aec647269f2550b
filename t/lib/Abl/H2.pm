# A client of HTTP/2 without TLS, for tests that must say which stream does what and when: curl decides for itself how many
# streams a connection gets. Reads no field of an answer but its status.
#
#   my $h = Abl::H2->connect(port => $s->port);
#   my $stream = $h->request('GET', '/gate');
#   $h->await(sub { $h->ended($stream) });          # $h->status($stream), $h->body($stream)
#
# SPDX-License-Identifier: Apache-2.0
package Abl::H2;
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use IO::Select;
use IO::Socket::IP;
use Time::HiRes qw(time);
use Abl::Util qw(patience);

my %type = (DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6, GOAWAY => 7, WINDOW_UPDATE => 8);
my ($END_STREAM, $ACK, $END_HEADERS, $PADDED, $PRIORITY) = (0x1, 0x1, 0x4, 0x8, 0x20);
my $MOST = 2**31 - 1;

my @status = (200, 204, 206, 304, 400, 404, 500);    # HPACK's static table, from 8 on

# port; window: bytes that the server may send of each stream before give() allows more (no limit)
sub connect {
    my ($class, %o) = @_;
    my $sock = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $o{port}) or die "connect to $o{port}: $@ $!\n";
    $sock->blocking(0);
    binmode $sock;
    my $self = bless { sock => $sock, in => '', next => 1, streams => {}, window => $o{window} || $MOST }, $class;
    my $settings = pack 'nN', 4, $self->{window};    # SETTINGS_INITIAL_WINDOW_SIZE
    $self->_write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . _frame('SETTINGS', 0, 0, $settings) . _frame('WINDOW_UPDATE', 0, 0, pack 'N', $MOST - 65535));
    return $self;
}

sub _frame {
    my ($name, $flags, $stream, $bytes) = @_;
    return substr(pack('N', length $bytes), 1) . pack('CCN', $type{$name}, $flags, $stream) . $bytes;
}

sub _write {
    my ($self, $bytes) = @_;
    while (length $bytes) {
        my $n = syswrite $self->{sock}, $bytes;
        if (defined $n) { substr $bytes, 0, $n, ''; next }
        return 0 unless $! == EAGAIN || $! == EINTR;
        IO::Select->new($self->{sock})->can_write(10 * patience()) or return 0;
    }
    return 1;
}

# ---- sending

# A field as HPACK writes it when nobody is to remember it. No string is longer than 126 bytes.
sub _field { my ($name, $value) = @_; return join '', "\0", map { pack('C', length) . $_ } $name, $value }

# The beginning of a request whose body follows with data(); fields as [name => value, ...]. The stream's number.
sub begin {
    my ($self, $method, $target, $fields, $flags) = @_;
    my $id     = $self->{next};
    my @fields = (':method' => $method, ':scheme' => 'http', ':authority' => 'localhost', ':path' => $target, @{ $fields || [] });
    my $block  = '';
    while (my ($name, $value) = splice @fields, 0, 2) { $block .= _field(lc $name, $value) }
    $self->{next} += 2;
    $self->{streams}{$id} = { body => '' };
    $self->_write(_frame('HEADERS', $END_HEADERS | ($flags || 0), $id, $block));
    return $id;
}

# All of a request without a body.
sub request { my ($self, $method, $target, $fields) = @_; return $self->begin($method, $target, $fields, $END_STREAM) }

# A piece of its body, at most 16384 bytes, and with end => 1 the last one.
sub data { my ($self, $id, $bytes, %o) = @_; return $self->_write(_frame('DATA', $o{end} ? $END_STREAM : 0, $id, $bytes)) }

# The server may send so many bytes more.
sub give { my ($self, $id, $n) = @_; return $self->_write(_frame('WINDOW_UPDATE', 0, $id, pack 'N', $n)) }

# The client does not want the answer any more.
sub reset { my ($self, $id) = @_; return $self->_write(_frame('RST_STREAM', 0, $id, pack 'N', 8)) }

# Until the server has dealt with all frames that were sent.
sub sync {
    my ($self) = @_;
    my $before = $self->{pongs} || 0;
    $self->_write(_frame('PING', 0, 0, 'allthere'));
    return $self->await(sub { ($self->{pongs} || 0) > $before });
}

sub close { my ($self) = @_; return CORE::close delete $self->{sock} if $self->{sock}; return }

# ---- receiving

sub status { my ($self, $id) = @_; return $self->{streams}{$id}{status} }
sub body   { my ($self, $id) = @_; return $self->{streams}{$id}{body} }

# 'end', or 'reset'; undef: it goes on as far as we have looked.
sub ended { my ($self, $id) = @_; return $self->{streams}{$id}{ended} }

# Reads, at most `seconds` long, until the code is true. What the code returned.
sub await {
    my ($self, $code, $seconds) = @_;
    my $until = time + ($seconds || 10) * patience();
    my $ready = IO::Select->new($self->{sock});
    while (1) {
        my $got = $code->();
        return $got if $got || $self->{over} || time > $until;
        $self->_fill if $ready->can_read($until - time > 0.5 ? 0.5 : 0.05);
    }
}

sub _fill {
    my ($self) = @_;
    my $n = sysread $self->{sock}, $self->{in}, 65536, length $self->{in};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    if (!$n) {
        $self->{over} = 1;
        $_->{ended} ||= 'reset' for values %{ $self->{streams} };
        return;
    }
    while (length $self->{in} >= 9) {
        my $length = unpack 'N', "\0" . substr $self->{in}, 0, 3;
        last if length $self->{in} < 9 + $length;
        my ($kind, $flags, $id) = unpack 'CCN', substr $self->{in}, 3, 6;
        my $bytes = substr $self->{in}, 9, $length;
        substr $self->{in}, 0, 9 + $length, '';
        $self->_take($kind, $flags, $id, $bytes);
    }
    return;
}

sub _take {
    my ($self, $kind, $flags, $id, $bytes) = @_;
    my $stream = $self->{streams}{$id} || {};
    if ($kind == $type{SETTINGS}) { $self->_write(_frame('SETTINGS', $ACK, 0, '')) unless $flags & $ACK }
    elsif ($kind == $type{PING}) { $flags & $ACK ? $self->{pongs}++ : $self->_write(_frame('PING', $ACK, 0, $bytes)) }
    elsif ($kind == $type{RST_STREAM}) { $stream->{ended} ||= 'reset' }
    elsif ($kind == $type{HEADERS}) {
        $bytes = substr $bytes, 5 if $flags & $PRIORITY;
        $stream->{status} ||= _status($bytes);
    }
    elsif ($kind == $type{DATA}) {
        my $padding = $flags & $PADDED ? ord $bytes : undef;
        $stream->{body} .= defined $padding ? substr $bytes, 1, -1 - $padding + length $bytes : $bytes;
        $self->give(0, length $bytes) if length $bytes;
    }
    $stream->{ended} ||= 'end' if ($kind == $type{DATA} || $kind == $type{HEADERS}) && $flags & $END_STREAM;
    return;
}

# Its field is the first one. 0: one that HPACK's static table does not have, such as 1xx.
sub _status {
    my ($block) = @_;
    my $first = ord $block;
    return $first >= 0x88 && $first <= 0x8e ? $status[ $first - 0x88 ] : 0;
}

1;
