# The process of a scriptable member: one event loop, any number of connections. Each connection works
# off a list of steps that Abl::Member::Script wrote for its request.
#
# Steps: [send => bytes]      write, and go on when all is written
#        [fill => n, chunked] write n bytes of the test pattern, as one body or in chunks
#        [wait => seconds]    pause
#        [body]               go on when the request's body is complete
#        [gate]               go on when the test releases
#        [mirror]             from now on send the request's body back in chunks as it comes in
#        [raw]                from now on send back whatever comes in
#        [deaf]               read no more
#        [next]               the answer is over: next request, or close when close was agreed on
#        [stale => rst]       the answer is over; when the next request's first bytes come in, close
#        [fin] [close] [rst]  end our half; end it cleanly; end it with a RST
#        [hang]               nothing any more, until the other side closes
#        [call => code]       code->(conn) returns further steps
# SPDX-License-Identifier: Apache-2.0
package Abl::Member::Loop;
use strict;
use warnings;
use Digest::SHA;
use Errno qw(EAGAIN EINTR ECONNRESET);
use IO::Handle;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY AF_UNIX sockaddr_family);
use Time::HiRes qw(time);
use Abl::Member::Script;
use Abl::Util qw(pattern);

my $json       = JSON::PP->new->ascii;
my $block      = pattern(65536);
my $out_limit  = 1 << 20;    # more than this unsent: stop reading
my $body_limit = 65536;      # of a request's body is kept for the journal

sub new {
    my ($class, %o) = @_;
    return bless { %o, conns => {}, count => 0, syncs => 0, parent => getppid }, $class;
}

sub run {
    my ($self) = @_;
    $SIG{PIPE} = 'IGNORE';
    $self->{listener}->blocking(0);
    $self->{journal}->autoflush(1);
    $self->_round while getppid == $self->{parent};
    return;
}

# ---- the loop

sub _round {
    my ($self) = @_;
    my ($r, $w, $timeout) = $self->_interests;
    my $n = select my $rr = $r, my $ww = $w, undef, $timeout;
    return if $n < 0;
    if ($n == 0 && $self->{syncs}) {    # nothing left to do: all that reached us is dealt with
        # while it is full of j, once more
        $self->{syncs} = 0 if syswrite $self->{control}, 'S';
    }
    $self->_control if vec $rr, fileno $self->{control}, 1;
    for my $c (values %{ $self->{conns} }) {
        $self->_read($c) if $c->{sock} && vec $rr, $c->{fd}, 1;
    }
    $self->_accept if vec $rr, fileno $self->{listener}, 1;
    my $now = time;
    for my $c (values %{ $self->{conns} }) {
        next unless $c->{sock};
        $self->_advance($c) if vec($ww, $c->{fd}, 1) || ($c->{wake} && $c->{wake} <= $now);
    }
    return;
}

sub _interests {
    my ($self) = @_;
    my ($r, $w, $timeout, $now) = ('', '', $self->{syncs} ? 0 : 1, time);
    vec($r, fileno $self->{control}, 1) = 1;
    vec($r, fileno $self->{listener}, 1) = 1 unless $self->{serial} && %{ $self->{conns} };
    for my $c (values %{ $self->{conns} }) {
        vec($r, $c->{fd}, 1) = 1 if !$c->{deaf} && length $c->{out} < $out_limit;
        vec($w, $c->{fd}, 1) = 1 if length $c->{out} || $c->{fill};
        if ($c->{wake}) {
            my $left = $c->{wake} - $now;
            $timeout = $left > 0 ? $left : 0 if $left < $timeout;
        }
    }
    return ($r, $w, $timeout);
}

sub _control {
    my ($self) = @_;
    my $n = sysread $self->{control}, my $bytes, 64;
    exit_now() if defined $n && $n == 0;
    for my $byte (split //, defined $bytes ? $bytes : '') {
        if ($byte eq 'S') { $self->{syncs} = 1 }
        for my $c (values %{ $self->{conns} }) {
            if ($byte eq 'G' && $c->{gate}) { $c->{gate} = 0; $self->_advance($c) }
            if ($byte eq 'D' && $c->{state} eq 'head' && $c->{in} eq '') { $self->_close($c, 'us') }
        }
    }
    return;
}

sub exit_now { require POSIX; POSIX::_exit(0) }

sub _accept {
    my ($self) = @_;
    while (my $sock = $self->{listener}->accept) {
        $sock->blocking(0);
        setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1 unless sockaddr_family(getsockname $sock) == AF_UNIX;
        my $id = ++$self->{count};
        $self->{conns}{$id} = {
            id  => $id, sock => $sock, fd => fileno $sock, in => '', out => '', steps => [],
            req => 0, state => 'head', received => 0,
        };
        $self->_note(open => $id);
        last if $self->{serial};
    }
    return;
}

# ---- the journal

sub _note {
    my ($self, $event, $id, %more) = @_;
    print { $self->{journal} } $json->encode({ ev => $event, conn => $id, %more }), "\n";
    syswrite $self->{control}, 'j';    # may fail when nobody listens: the file holds the truth
    return;
}

# ---- reading

sub _read {
    my ($self, $c) = @_;
    my $n = sysread $c->{sock}, my $bytes, 65536;
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    if (!$n) { return $self->_gone($c, defined $n ? 'peer' : 'peer-rst') }
    $c->{received} += $n;
    if ($c->{stale}) {
        $self->_note(stale => $c->{id}, bytes => $bytes);
        return $c->{stale} eq 'rst' ? $self->_reset($c) : $self->_close($c, 'us');
    }
    if ($c->{raw}) { $c->{out} .= $bytes; return $self->_advance($c) }
    $c->{in} .= $bytes;
    return $self->_parse($c);
}

# The other side has ended its half (or reset).
sub _gone {
    my ($self, $c, $how) = @_;
    $self->_body_over($c, 0) if $c->{state} eq 'body';
    if ($c->{state} eq 'head' && length $c->{in}) { $self->_note(partial => $c->{id}, bytes => $c->{in}) }
    return $self->_close($c, $how) if $how eq 'peer-rst' || $c->{state} ne 'answer' || $c->{hang} || $c->{raw};
    $self->_note(eof => $c->{id});
    $c->{deaf} = 1;    # it may still read our answer
    $c->{half} = 1;
    return $self->_advance($c);
}

sub _parse {
    my ($self, $c) = @_;
    while (1) {
        if    ($c->{state} eq 'head') { $self->_head($c) or return }
        elsif ($c->{state} eq 'body') { $self->_body($c) or return }
        else                          { return }
    }
}

sub _head {
    my ($self, $c) = @_;
    my $end = index $c->{in}, "\r\n\r\n";
    return 0 if $end < 0;
    my $head = substr $c->{in}, 0, $end + 4, '';
    $c->{req}++;
    my %q = (raw => $head, digest => Digest::SHA->new(1), length => 0, kept => '', trailers => []);
    my ($line, @lines) = split /\r\n/, $head;
    @q{qw(line lines)} = ($line, \@lines);
    @q{qw(method target version)} = split / /, $line;
    for (@lines) { $q{field}{ lc $1 } = $2 if /\A([^:]+):[ \t]*(.*?)\s*\z/ }
    my $length = $q{field}{'content-length'};
    $q{chunked} = 1       if lc($q{field}{'transfer-encoding'} || '') =~ /chunked/;
    $q{left}    = $length if !$q{chunked} && defined $length;
    $q{close}   = 1       if ($q{version} || '') ne 'HTTP/1.1'
        || ($q{field}{connection} || '') =~ /\bclose\b/i;
    $c->{q} = \%q;
    $self->_note(head => $c->{id}, req => $c->{req}, head => $head);
    $c->{state} = 'body';
    $c->{steps} = [ Abl::Member::Script::steps($self, $c) ];
    $self->_body_over($c, 1) unless $q{chunked} || $q{left};
    $self->_advance($c);
    return $c->{sock} ? 1 : 0;
}

# Takes what is there of the body; true when there may be more to parse.
sub _body {
    my ($self, $c) = @_;
    my $q = $c->{q};
    if (!$q->{chunked} || $q->{left}) {
        return 0 unless length $c->{in};
        my $piece = substr $c->{in}, 0, $q->{left}, '';
        $q->{left} -= length $piece;
        $self->_payload($c, $piece);
        return 1 if $q->{left};
        if (!$q->{chunked}) { $self->_body_over($c, 1); $self->_advance($c); return $c->{sock} ? 1 : 0 }
        $q->{crlf} = 1;
    }
    return $self->_chunk_line($c);
}

sub _chunk_line {
    my ($self, $c) = @_;
    my $q   = $c->{q};
    my $end = index $c->{in}, "\r\n";
    return 0 if $end < 0;
    my $line = substr $c->{in}, 0, $end + 2, '';
    $line = substr $line, 0, -2;
    if ($q->{crlf}) { $q->{crlf} = 0; return 1 if $line eq '' }
    elsif ($q->{tail}) {
        if ($line ne '') { push @{ $q->{trailers} }, $line; return 1 }
        $self->_body_over($c, 1);
        $self->_advance($c);
        return $c->{sock} ? 1 : 0;
    }
    elsif ($line =~ /\A([0-9A-Fa-f]+)\s*(?:;.*)?\z/) {
        $q->{left} = hex $1;
        $q->{tail} = 1 unless $q->{left};
        return 1;
    }
    $self->_note(broken => $c->{id}, bytes => $line);
    $self->_body_over($c, 0);
    $self->_close($c, 'us');
    return 0;
}

sub _payload {
    my ($self, $c, $piece) = @_;
    my $q = $c->{q};
    $q->{length} += length $piece;
    $q->{digest}->add($piece);
    $q->{kept} .= substr $piece, 0, $body_limit - length $q->{kept} if length $q->{kept} < $body_limit;
    if ($c->{mirror} && length $piece) {
        $c->{out} .= sprintf("%x\r\n", length $piece) . $piece . "\r\n";
        $self->_advance($c);
    }
    return;
}

sub _body_over {
    my ($self, $c, $complete) = @_;
    my $q = $c->{q};
    $q->{sha1} = $q->{digest}->hexdigest;
    $q->{done} = $complete;
    $c->{state} = 'answer';
    $self->_note(
        body     => $c->{id}, req => $c->{req}, length => $q->{length}, sha1 => $q->{sha1},
        complete => $complete, body => $q->{kept}, trailers => $q->{trailers},
    );
    return;
}

# ---- working off the steps

sub _advance {
    my ($self, $c) = @_;
    while ($c->{sock}) {
        $self->_flush($c) or return;
        if ($c->{fill}) { $self->_refill($c); next }
        return if $c->{wake} && $c->{wake} > time;
        $c->{wake} = 0;
        return if $c->{gate};
        my $step = shift @{ $c->{steps} } or return;
        my ($op, @args) = @$step;
        if ($op eq 'body' && $c->{state} eq 'body') { unshift @{ $c->{steps} }, $step; return $self->_invite($c) }
        my $code = $self->can("_step_$op") or die "no step called $op\n";
        $code->($self, $c, @args);
    }
    return;
}

# Somebody who expects 100 waits for it before the body.
sub _invite {
    my ($self, $c) = @_;
    my $q = $c->{q};
    return if $q->{invited}++ || lc($q->{field}{expect} || '') ne '100-continue' || $q->{length};
    $c->{out} .= "HTTP/1.1 100 Continue\r\n\r\n";
    return $self->_flush($c);
}

# True when everything is written.
sub _flush {
    my ($self, $c) = @_;
    while (length $c->{out}) {
        my $n = syswrite $c->{sock}, $c->{out}, 262144;
        if (defined $n) { substr $c->{out}, 0, $n, ''; next }
        return 0 if $! == EAGAIN || $! == EINTR;
        $self->_body_over($c, 0) if $c->{state} eq 'body';
        $self->_close($c, $! == ECONNRESET ? 'peer-rst' : 'peer');
        return 0;
    }
    return 1;
}

sub _refill {
    my ($self, $c) = @_;
    my $fill  = $c->{fill};
    my $at    = $fill->{done} % 65536;
    my $n     = $fill->{left} < $fill->{size} ? $fill->{left} : $fill->{size};
    my $piece = substr $block, $at, $n;
    $fill->{done} += length $piece;
    $fill->{left} -= length $piece;
    $c->{out} .= $fill->{chunked} ? sprintf("%x\r\n", length $piece) . "$piece\r\n" : $piece;
    $c->{fill} = undef unless $fill->{left};
    return;
}

sub _step_send { my ($self, $c, $bytes) = @_; $c->{out} .= $bytes; return }

sub _step_fill {
    my ($self, $c, $n, $chunk) = @_;
    $c->{fill} = { left => $n, done => 0, size => $chunk || 65536, chunked => $chunk } if $n;
    return;
}

sub _step_wait { my ($self, $c, $seconds) = @_; $c->{wake} = time + $seconds; return }
sub _step_body { return }    # complete, or _advance would have kept it
sub _step_gate { my ($self, $c) = @_; $c->{gate} = 1; return }
sub _step_mirror { my ($self, $c) = @_; $c->{mirror} = 1; return }
sub _step_deaf { my ($self, $c) = @_; $c->{deaf} = 1; return }
sub _step_hang { my ($self, $c) = @_; $c->{hang} = 1; return }
sub _step_fin { my ($self, $c) = @_; shutdown $c->{sock}, 1; return }
sub _step_close { my ($self, $c) = @_; return $self->_close($c, 'us') }
sub _step_rst { my ($self, $c) = @_; return $self->_reset($c) }

sub _step_raw {
    my ($self, $c) = @_;
    $c->{raw} = 1;
    $c->{out} .= $c->{in};    # what came with the head
    $c->{in} = '';
    return;
}

sub _step_call { my ($self, $c, $code) = @_; unshift @{ $c->{steps} }, $code->($c); return }

sub _step_next {
    my ($self, $c) = @_;
    return $self->_close($c, 'us') if $c->{q}{close} || $c->{half} || $c->{state} eq 'body';
    delete @$c{qw(mirror hang gate)};
    $c->{state} = 'head';
    return $self->_parse($c) if length $c->{in};
    return;
}

sub _step_stale {
    my ($self, $c, $how) = @_;
    $c->{stale} = $how || 'fin';
    $c->{state} = 'head';
    return;
}

# ---- endings

sub _reset {
    my ($self, $c) = @_;
    setsockopt $c->{sock}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    return $self->_close($c, 'us');
}

sub _close {
    my ($self, $c, $by) = @_;
    return unless $c->{sock};
    close delete $c->{sock};
    delete $self->{conns}{ $c->{id} };
    $self->_note(close => $c->{id}, by => $by, received => $c->{received});
    return;
}

1;
