# One HTTP/1.1 answer as the raw client reads it from its connection.
# SPDX-License-Identifier: Apache-2.0
package Abl::Client::Response;
use strict;
use warnings;
use Digest::SHA;
use Time::HiRes qw(time);

# ---- what it says

sub line     { return $_[0]{line} }                                   # status line, undef when none came
sub status   { return $_[0]{status} || 0 }
sub reason   { return $_[0]{reason} }
sub raw_head { return $_[0]{raw_head} }
sub fields   { return @{ $_[0]{fields} } }                            # [name, value], in order
sub interims { return @{ $_[0]{interims} } }                          # 1xx answers before this one
sub body     { return $_[0]{body} }
sub length   { return $_[0]{length} }
sub framing  { return $_[0]{framing} }                                # none, length, chunked, close
sub trailers { return @{ $_[0]{trailers} } }
sub sha1     { my ($self) = @_; return $self->{digest}->clone->hexdigest }

# Everything came that was announced. An answer that ends with the connection counts when that ended by FIN.
sub complete { return $_[0]{complete} ? 1 : 0 }

# Why it is not complete: 'fin', 'rst', 'timeout', or 'malformed ...'.
sub cut { return $_[0]{cut} }

sub field {
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{fields} };
    return wantarray ? @values : @values ? join(', ', @values) : undef;
}

sub trailer {
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{trailers} };
    return wantarray ? @values : @values ? join(', ', @values) : undef;
}

# ---- reading

sub read {
    my ($class, $client, %o) = @_;
    my @interims;
    while (1) {
        my $self = bless {
            client => $client, keep => $o{keep}, interims => [@interims], fields => [], trailers => [],
            body   => '', length => 0, digest => Digest::SHA->new(1), framing => 'none',
        }, $class;
        $self->_read_head or return $self;
        if ($self->{status} < 200 && $self->{status} != 101 && !$o{one}) {
            push @interims, $self;
            next;
        }
        $self->_decide_framing($o{head});
        return $self;
    }
}

sub _failed {
    my ($self, $why) = @_;
    $self->{cut} = $why || $self->{client}->end || 'timeout';
    return 0;
}

# The bytes up to and with `mark`, taken out of the client's buffer.
sub _take_until {
    my ($self, $mark) = @_;
    my $client = $self->{client};
    my $from   = 0;
    while (1) {
        my $at = index $client->{in}, $mark, $from;
        return substr $client->{in}, 0, $at + CORE::length($mark), '' if $at >= 0;
        $from = CORE::length($client->{in}) - CORE::length($mark);
        $from = 0 if $from < 0;
        $client->fill or return;
    }
}

sub _read_head {
    my ($self) = @_;
    my $head = $self->_take_until("\r\n\r\n");
    return $self->_failed unless defined $head;
    $self->{raw_head} = $head;
    my ($line, @lines) = split /\r\n/, $head;
    $self->{line} = $line;
    $line =~ m{\AHTTP/1\.[01] (\d{3})(?: (.*))?\z} or return $self->_failed("malformed status line: $line");
    @$self{qw(status reason)} = ($1, $2);
    return $self->_fields(\@lines, $self->{fields});
}

sub _fields {
    my ($self, $lines, $into) = @_;
    for my $line (@$lines) {
        $line =~ /\A([^\s:]+):[ \t]*(.*?)[ \t]*\z/s or return $self->_failed("malformed field: $line");
        push @$into, [ $1, $2 ];
    }
    return 1;
}

sub _decide_framing {
    my ($self, $to_head) = @_;
    my @length = $self->field('Content-Length');
    my @coding = $self->field('Transfer-Encoding');
    if (@length > 1 || @coding > 1 || (@length && @coding)) {
        return $self->_failed('malformed framing: ' . join ' / ', @length, @coding);
    }
    if ($to_head || $self->{status} < 200 || $self->{status} == 204 || $self->{status} == 304) {
        $self->{complete} = 1;
        return 1;
    }
    if (@coding) {
        return $self->_failed("malformed coding: $coding[0]") unless lc $coding[0] eq 'chunked';
        @$self{qw(framing left)} = ('chunked', 0);
    }
    elsif (@length) {
        return $self->_failed("malformed length: $length[0]") unless $length[0] =~ /\A\d+\z/;
        @$self{qw(framing left)} = ('length', $length[0]);
        $self->{complete} = 1 if $length[0] == 0;
    }
    else {
        $self->{framing} = 'close';
    }
    return 1;
}

# The next piece of the body, however small; undef at its end, or when no more comes.
sub more {
    my ($self) = @_;
    return if $self->{complete} || defined $self->{cut} || !$self->{status};
    if ($self->{framing} eq 'chunked' && $self->{left} == 0) {
        $self->_next_chunk or return;
        return if $self->{complete};
    }
    my $client = $self->{client};
    if ($client->{in} eq '' && !$client->fill) {
        my $end = $client->end || '';
        if   ($self->{framing} eq 'close' && $end eq 'fin') { $self->{complete} = 1 }
        else                                                { $self->_failed }
        return;
    }
    my $piece;
    if ($self->{framing} eq 'close') {
        $piece = $client->{in};
        $client->{in} = '';
    }
    else {
        $piece = substr $client->{in}, 0, $self->{left}, '';
        $self->{left} -= CORE::length $piece;
    }
    $self->_count($piece);
    if ($self->{left} || $self->{framing} eq 'close') { return $piece }
    if ($self->{framing} eq 'length') { $self->{complete} = 1 }
    else {
        my $crlf = $self->_take_until("\r\n");
        $self->_failed($client->end) if !defined $crlf;
        $self->_failed('malformed chunk: no CRLF after its data') if defined $crlf && $crlf ne "\r\n";
    }
    return $piece;
}

sub _count {
    my ($self, $piece) = @_;
    $self->{length} += CORE::length $piece;
    $self->{digest}->add($piece);
    $self->{body} .= $piece if $self->{keep};
    return;
}

sub _next_chunk {
    my ($self) = @_;
    my $line = $self->_take_until("\r\n");
    return $self->_failed unless defined $line;
    $line =~ /\A([0-9A-Fa-f]+)(?:;[^\r]*)?\r\n\z/ or return $self->_failed("malformed chunk size: $line");
    $self->{left} = hex $1;
    return 1 if $self->{left};
    my @lines;
    while (1) {
        $line = $self->_take_until("\r\n");
        return $self->_failed unless defined $line;
        last if $line eq "\r\n";
        push @lines, substr $line, 0, -2;
    }
    $self->_fields(\@lines, $self->{trailers}) or return 0;
    return $self->{complete} = 1;
}

# Reads on until the body so far matches, at most `seconds` long. Returns the time of the match.
sub await_body {
    my ($self, $pattern) = @_;
    while (1) {
        return time if $self->{body} =~ $pattern;
        defined $self->more or last;
    }
    return $self->{body} =~ $pattern ? time : undef;
}

1;
