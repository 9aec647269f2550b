# What a scriptable member does for each path. The first path segment that names a behaviour counts, so
# that any prefix may stand before it; a path that names none is an echo.
#
# Everywhere: ?delay=MS waits before the answer, ?early=1 answers without waiting for the request's body,
# ?close=1 ends the connection after the answer (and says so).
# SPDX-License-Identifier: Apache-2.0
package Abl::Member::Script;
use strict;
use warnings;
use MIME::Base64 ();

my %behaviour;    # name => code(member, conn, argument, {parameters}) returning steps
my %early;        # these do not wait for the request's body

my %reason = (
    200 => 'OK', 201 => 'Created', 204 => 'No Content', 206 => 'Partial Content', 301 => 'Moved Permanently',
    302 => 'Found', 303 => 'See Other', 304 => 'Not Modified', 404 => 'Not Found',
    413 => 'Content Too Large', 417 => 'Expectation Failed', 500 => 'Internal Server Error',
    503 => 'Service Unavailable',
);

# ---- choosing

sub steps {
    my ($member, $c) = @_;
    my $target = $member->{always} || $c->{q}{target} || '/';
    my ($path, $query) = $target =~ /\A([^?]*)(?:\?(.*))?\z/s;
    my %param = map { /\A([^=]*)=?(.*)\z/s ? ($1 => _unescape($2)) : () } split /&/, defined $query ? $query : '';
    my @segments = split m{/}, $path;
    shift @segments while @segments && !$behaviour{ $segments[0] };
    my ($name, $argument) = @segments ? @segments : ('echo');
    $c->{q}{close} = 1 if $param{close};
    my @steps = $behaviour{$name}->($member, $c, defined $argument ? $argument : '', \%param);
    unshift @steps, [ wait => $param{delay} / 1000 ] if $param{delay};
    unshift @steps, ['body'] unless $early{$name} || $param{early};
    return @steps;
}

sub _unescape { my ($text) = @_; $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge; return $text }

# ---- building blocks

# A head; fields as [name => value, ...]. Says who answered, so that a test can tell members apart.
sub _head {
    my ($member, $c, $status, @fields) = @_;
    my $text = "HTTP/1.1 $status " . ($reason{$status} || 'Whatever') . "\r\n";
    unshift @fields, 'X-Member' => $member->{name}, 'X-Connection' => $c->{id};
    push @fields, Connection => 'close' if $c->{q}{close};
    while (my ($name, $value) = splice @fields, 0, 2) { $text .= "$name: $value\r\n" }
    return "$text\r\n";
}

sub _bodyless { my ($c, $status) = @_; return $c->{q}{method} eq 'HEAD' || $status == 204 || $status == 304 }

# What is to happen at the end.
sub _then { my ($p, $else) = @_; return map { [$_] } split /,/, $p->{then} || $else }

# A whole, proper answer.
sub _answer {
    my ($member, $c, $status, $body, @fields) = @_;
    push @fields, 'Content-Type' => 'text/plain' unless grep { lc eq 'content-type' } @fields;
    push @fields, 'Content-Length' => length $body unless $status == 204 || $status == 304;
    my $bytes = _head($member, $c, $status, @fields);
    $bytes .= $body unless _bodyless($c, $status);
    return ([ send => $bytes ], ['next']);
}

# What this request looked like, as text.
sub _echo {
    my ($member, $c) = @_;
    my $q = $c->{q};
    return join '', "member: $member->{name}\n", "connection: $c->{id}\n", "line: $q->{line}\n",
        map({"header: $_\n"} @{ $q->{lines} }), "length: $q->{length}\n", 'sha1: ' . ($q->{sha1} || '-') . "\n",
        map({"trailer: $_\n"} @{ $q->{trailers} });
}

# ---- proper answers

$behaviour{echo} = sub {
    my ($member, $c) = @_;
    return [ call => sub { _answer($member, $c, 200, _echo($member, $c)) } ];
};

# Echo, but only when the test releases it (?then=close, rst: no answer, but this).
$behaviour{gate} = sub {
    my ($member, $c, undef, $p) = @_;
    return (['gate'], [ $p->{then} ]) if $p->{then};
    return (['gate'], [ call => sub { _answer($member, $c, 200, _echo($member, $c)) } ]);
};

# ?fill=N: instead, this status with a body of N bytes
$behaviour{status} = sub {
    my ($member, $c, $status, $p) = @_;
    return ([ send => _head($member, $c, $status, 'Content-Length' => $p->{fill}) ], [ fill => $p->{fill} ], ['next']) if $p->{fill};
    return _answer($member, $c, $status, "status $status from $member->{name}\n");
};

# /length/N: N bytes of the test pattern
$behaviour{length} = sub {
    my ($member, $c, $n) = @_;
    my @body = _bodyless($c, 200) ? () : ([ fill => $n ]);
    return ([ send => _head($member, $c, 200, 'Content-Type' => 'application/octet-stream', 'Content-Length' => $n) ],
        @body, ['next']);
};

# /chunked/N?size=: the same in chunks
$behaviour{chunked} = sub {
    my ($member, $c, $n, $p) = @_;
    my @fields = ('Content-Type' => 'application/octet-stream', 'Transfer-Encoding' => 'chunked');
    my @body   = _bodyless($c, 200) ? () : ([ fill => $n, $p->{size} || 8192 ], [ send => "0\r\n\r\n" ]);
    return ([ send => _head($member, $c, 200, @fields) ], @body, ['next']);
};

# /close/N: the same, ended by the end of the connection
$behaviour{close} = sub {
    my ($member, $c, $n) = @_;
    return ([ send => _head($member, $c, 200, 'Content-Type' => 'application/octet-stream') ], [ fill => $n ],
        ['close']);
};

# The request's body comes back in chunks while it still comes in.
$behaviour{mirror} = sub {
    my ($member, $c) = @_;
    my @fields = ('Content-Type' => 'application/octet-stream', 'Transfer-Encoding' => 'chunked');
    my @invite = lc($c->{q}{field}{expect} || '') eq '100-continue' ? ("HTTP/1.1 100 Continue\r\n\r\n") : ();
    return (map({ [ send => $_ ] } @invite), [ send => _head($member, $c, 200, @fields) ], ['mirror'], ['body'],
        [ send => "0\r\n\r\n" ], ['next']);
};
$early{mirror} = 1;

$behaviour{trailers} = sub {
    my ($member, $c) = @_;
    my $bytes = _head($member, $c, 200, 'Content-Type' => 'text/plain', Trailer => 'X-Sum, X-Late',
        'Transfer-Encoding' => 'chunked');
    return ([ send => $bytes . "5\r\nhello\r\n0\r\nX-Sum: 5\r\nX-Late: yes\r\n\r\n" ], ['next']);
};

# /fields?Name=value&status=N: these header fields, in any number but each once
$behaviour{fields} = sub {
    my ($member, $c, undef, $p) = @_;
    my $status = delete $p->{status} || 200;
    return _answer($member, $c, $status, "fields\n", map { $_ => $p->{$_} } sort keys %$p);
};

$behaviour{redirect} = sub {
    my ($member, $c, undef, $p) = @_;
    return _answer($member, $c, $p->{status} || 302, "elsewhere\n", Location => $p->{to});
};

$behaviour{cookie} = sub {
    my ($member, $c, undef, $p) = @_;
    my @more = $p->{set} ? ('Set-Cookie' => $p->{set}) : ('Set-Cookie' => 'b=2; HttpOnly');
    return _answer($member, $c, 200, "cookies\n", 'Set-Cookie' => 'a=1; Path=/', @more);
};

# Range and If-None-Match are the application's business: a small file that knows both.
$behaviour{file} = sub {
    my ($member, $c, $n) = @_;
    my $body = Abl::Util::pattern($n || 1000);
    my $q    = $c->{q};
    return _answer($member, $c, 304, '', ETag => '"v1"') if ($q->{field}{'if-none-match'} || '') eq '"v1"';
    if (($q->{field}{range} || '') =~ /\Abytes=(\d+)-(\d+)\z/) {
        my $piece = substr $body, $1, $2 - $1 + 1;
        return _answer($member, $c, 206, $piece, 'Content-Range' => "bytes $1-$2/" . length $body);
    }
    return _answer($member, $c, 200, $body, ETag => '"v1"', 'Accept-Ranges' => 'bytes');
};

# ---- slow ones

$behaviour{delay} = sub {
    my ($member, $c, $ms) = @_;
    return ([ wait => $ms / 1000 ], _answer($member, $c, 200, "after $ms ms\n"));
};

# /trickle/MS: the head byte by byte, MS apart
$behaviour{trickle} = sub {
    my ($member, $c, $ms) = @_;
    my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Content-Length' => 3);
    return (map({ ([ send => $_ ], [ wait => $ms / 1000 ]) } split //, $head), [ send => "ok\n" ], ['next']);
};

# /gap/MS: head and half of the body, a pause, the rest
$behaviour{gap} = sub {
    my ($member, $c, $ms) = @_;
    my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Content-Length' => 10);
    return ([ send => "${head}first" ], [ wait => $ms / 1000 ], [ send => "after" ], ['next']);
};

# /sse?n=5&ms=200: events, each sent when its time has come
$behaviour{sse} = sub {
    my ($member, $c, undef, $p) = @_;
    my @fields = ('Content-Type' => 'text/event-stream', 'Transfer-Encoding' => 'chunked');
    my @steps  = [ send => _head($member, $c, 200, @fields) ];
    for my $i (1 .. $p->{n} || 5) {
        my $event = "data: $i\n\n";
        push @steps, [ send => sprintf("%x\r\n", length $event) . "$event\r\n" ];
        push @steps, $p->{ms} eq 'gate' ? ['gate'] : [ wait => $p->{ms} / 1000 ];
    }
    return (@steps, [ send => "0\r\n\r\n" ], ['next']);
};

# /pieces?n=3&as=chunked&type=text/plain&size=: a body in n pieces, each but the first only when the test releases it, and so the
# end. as=length, close: with a length, or ended by the end of the connection. unbuffered=1: says so, as applications do to nginx.
$behaviour{pieces} = sub {
    my ($member, $c, undef, $p) = @_;
    my ($n, $as) = ($p->{n} || 3, $p->{as} || 'chunked');
    my @texts  = $p->{size} ? () : map {"data: $_\n\n"} 1 .. $n;
    my @fields = ('Content-Type' => $p->{type} || 'text/plain');
    push @fields, 'X-Accel-Buffering' => 'no' if $p->{unbuffered};
    push @fields, $as eq 'length' ? ('Content-Length' => $p->{size} ? $n * $p->{size} : length join '', @texts) : $as eq 'chunked' ? ('Transfer-Encoding' => 'chunked') : ();
    my $piece = sub {
        my ($text) = @_;
        return [ fill => $p->{size}, $as eq 'chunked' ? 65536 : () ] unless defined $text;
        return [ send => $as eq 'chunked' ? sprintf("%x\r\n%s\r\n", length $text, $text) : $text ];
    };
    my @steps = ([ send => _head($member, $c, 200, @fields) ], map { ($piece->($texts[ $_ - 1 ]), ['gate']) } 1 .. $n);
    return (@steps, $as eq 'chunked' ? [ send => "0\r\n\r\n" ] : (), [ $as eq 'close' ? 'close' : 'next' ]);
};

$behaviour{hang} = sub { return ['hang'] };

# Takes the head and never reads a byte of the body.
$behaviour{'stop-reading'} = sub { return (['deaf'], ['hang']) };
$early{'stop-reading'} = 1;

# ---- interim answers

# 100 before the body, asked for or not
$behaviour{continue} = sub {
    my ($member, $c) = @_;
    $c->{q}{invited} = 1;
    return ([ send => "HTTP/1.1 100 Continue\r\n\r\n" ], ['body'], [ call => sub { _answer($member, $c, 200, _echo($member, $c)) } ]);
};
$early{continue} = 1;

my $hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

$behaviour{103} = sub {
    my ($member, $c) = @_;
    return ([ send => $hints ], [ wait => 0.05 ], _answer($member, $c, 200, "hinted\n"));
};

$behaviour{'many-1xx'} = sub {
    my ($member, $c, $n) = @_;
    return ([ send => $hints x $n ], _answer($member, $c, 200, "hinted\n"));
};

# Answers without reading the body. Keeps the connection a while, so that its sender is not reset; or
# not (?abrupt=1).
$behaviour{'early-413'} = sub {
    my ($member, $c, undef, $p) = @_;
    $c->{q}{close} = 1;
    my ($send) = _answer($member, $c, 413, "too much\n");
    return ($send, ['close']) if $p->{abrupt};
    return ($send, ['fin'], ['hang']);
};
$early{'early-413'} = 1;

# ---- endings

# /short/N?length=&then=: announces 100 bytes or so many, sends 10 and N more, closes (?rst=1: resets).
$behaviour{short} = sub {
    my ($member, $c, $n, $p) = @_;
    my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Content-Length' => $p->{length} || 100);
    return ([ send => "${head}0123456789" ], [ fill => $n ], _then($p, $p->{rst} ? 'rst' : 'close'));
};

# One chunk, never the last one. ?inside=1: ends within a chunk's data.
$behaviour{'short-chunked'} = sub {
    my ($member, $c, undef, $p) = @_;
    my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Transfer-Encoding' => 'chunked');
    return ([ send => $head . ($p->{inside} ? "40\r\n0123456789" : "a\r\n0123456789\r\n") ],
        [ $p->{rst} ? 'rst' : 'close' ]);
};

$behaviour{'reset-before'} = sub { return ['rst'] };
$behaviour{'close-before'} = sub { return ['close'] };

$behaviour{'reset-head'} = sub { return ([ send => "HTTP/1.1 200 OK\r\nContent-" ], [ wait => 0.05 ], ['rst']) };
$behaviour{'close-head'} = sub { return ([ send => "HTTP/1.1 200 OK\r\nContent-" ], ['close']) };

# A whole head, and nothing of the body that it announces.
for my $end (qw(rst close)) {
    $behaviour{ ($end eq 'rst' ? 'reset' : 'close') . '-between' } = sub {
        my ($member, $c) = @_;
        my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Content-Length' => 100);
        return ([ send => $head ], [ wait => 0.05 ], [$end]);
    };
}

$behaviour{'reset-body'} = sub {
    my ($member, $c) = @_;
    my $head = _head($member, $c, 200, 'Content-Type' => 'text/plain', 'Content-Length' => 100);
    return ([ send => "${head}0123456789" ], [ wait => 0.05 ], ['rst']);
};

# Answers as if the connection stayed open; closes when the next request comes in (?rst=1: resets).
$behaviour{stale} = sub {
    my ($member, $c, undef, $p) = @_;
    my ($send) = _answer($member, $c, 200, "kept, but not for long\n");
    return ($send, [ stale => $p->{rst} ? 'rst' : 'fin' ]);
};

# Answers as if the connection stayed open, and closes at once.
$behaviour{bye} = sub {
    my ($member, $c) = @_;
    my ($send) = _answer($member, $c, 200, "bye\n");
    return ($send, ['close']);
};

# ---- other protocols, and none

# 101, then every byte comes back. ?hello=text follows the head in the same packet, ?fill=N bytes follow that. ?then=gate,close:
# this instead.
$behaviour{upgrade} = sub {
    my ($member, $c, undef, $p) = @_;
    my $to = $c->{q}{field}{upgrade};
    return _answer($member, $c, 200, "no upgrade asked for\n") unless defined $to;
    my $head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: $to\r\nConnection: Upgrade\r\n\r\n";
    return ([ send => $head . (defined $p->{hello} ? $p->{hello} : '') ], [ fill => $p->{fill} ], _then($p, 'raw'));
};

# /raw?b64=BASE64URL&then=close|next|hang|rst|gate: exactly these bytes; several steps with commas between
$behaviour{raw} = sub {
    my ($member, $c, undef, $p) = @_;
    my $text = $p->{b64};
    $text =~ tr{-_}{+/};
    return ([ send => MIME::Base64::decode_base64($text . '=' x (-length($text) % 4)) ], _then($p, 'close'));
};

1;
