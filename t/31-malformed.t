# Ambiguous or malformed messages, from either side, are never passed on.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n");

# ---- requests

my $chunked = "Transfer-Encoding: chunked\r\n";
my $post    = "POST /echo HTTP/1.1\r\nHost: h\r\n";

my @bad_requests = (
    'Content-Length and Transfer-Encoding' => "${post}Content-Length: 5\r\n$chunked\r\n0\r\n\r\n",
    'the other way round'                  => "$post${chunked}Content-Length: 5\r\n\r\n0\r\n\r\n",
    'two lengths'                          => "${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    'a list of lengths'                    => "${post}Content-Length: 5, 6\r\n\r\nhello!",
    'length +5'                            => "${post}Content-Length: +5\r\n\r\nhello",
    'length -5'                            => "${post}Content-Length: -5\r\n\r\nhello",
    'length 0x5'                           => "${post}Content-Length: 0x5\r\n\r\nhello",
    'length 5 5'                           => "${post}Content-Length: 5 5\r\n\r\nhello",
    'length of 30 digits'                  => "${post}Content-Length: " . '9' x 30 . "\r\n\r\nhello",
    'a coding that is not chunked'         => "${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    'identity'                             => "${post}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    'chunked, identity'                    => "${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    'gzip, chunked'                        => "${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    'two codings'                          => "$post$chunked${chunked}\r\n0\r\n\r\n",
    'chunked in HTTP/1.0'                  => "POST /echo HTTP/1.0\r\nHost: h\r\n$chunked\r\n0\r\n\r\n",
    'space before the colon'               => "${post}Content-Length : 5\r\n\r\nhello",
    'a line without colon'                 => "${post}Content-Length 5\r\n\r\nhello",
    'an empty name'                        => "${post}: 5\r\n\r\n",
    'NUL in a value'                       => "${post}X-A: a\x00b\r\n\r\n",
    'CR in a value'                        => "${post}X-A: a\rb\r\n\r\n",
    'a control character in a name'        => "${post}X\x01A: a\r\n\r\n",
    'bare LF'                              => "GET /echo HTTP/1.1\nHost: h\n\n",
    'no Host'                              => "GET /echo HTTP/1.1\r\n\r\n",
    'two Hosts'                            => "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    'a Host with a path'                   => "GET /echo HTTP/1.1\r\nHost: a/b\r\n\r\n",
    'a space in the target'                => "GET /echo x HTTP/1.1\r\nHost: h\r\n\r\n",
    'a control character in the target'    => "GET /echo\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
    'two spaces in the request line'       => "GET  /echo HTTP/1.1\r\nHost: h\r\n\r\n",
    'a method that is no token'            => "G(T /echo HTTP/1.1\r\nHost: h\r\n\r\n",
    'a bad version'                        => "GET /echo HTTP/1.x\r\nHost: h\r\n\r\n",
    'CONNECT'                              => "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    'a chunk size that is none'            => "$post$chunked\r\nxyz\r\nhello\r\n0\r\n\r\n",
    'a negative chunk size'                => "$post$chunked\r\n-5\r\nhello\r\n0\r\n\r\n",
    'a chunk size of 20 digits'            => "$post$chunked\r\n" . 'f' x 20 . "\r\nhello\r\n0\r\n\r\n",
    'a chunk longer than its size'         => "$post$chunked\r\n3\r\nhello\r\n0\r\n\r\n",
    'a field line over the limit'          => "${post}X-A: " . 'a' x 9000 . "\r\n\r\n",
    'too many fields'                      => $post . join('', map {"X-$_: 1\r\n"} 1 .. 150) . "\r\n",
);

# What may be answered: 400, or the special status httpd has for it.
my %status = (
    'CONNECT'                     => qr/^(?:400|405|501)$/,
    'length of 30 digits'         => qr/^(?:400|413)$/,
    'a chunk size of 20 digits'   => qr/^(?:400|413)$/,
    'identity'                    => qr/^(?:400|501)$/,
    'chunked, identity'           => qr/^(?:400|501)$/,
    'gzip, chunked'               => qr/^(?:400|501)$/,
    'a coding that is not chunked' => qr/^(?:400|501)$/,
    'a bad version'               => qr/^(?:400|505)$/,
);

subtest 'requests: 400, and nothing arrives' => sub {
    my @cases = @bad_requests;
    while (my ($what, $bytes) = splice @cases, 0, 2) {
        $m->forget;
        my $c = $s->client(timeout => 5);
        # (what follows a CONNECT is another request, and sound)
        $c->send($bytes . ($what eq 'CONNECT' ? '' : "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"));
        my $r = $c->response(head => 0);
        like($r->status, $status{$what} || qr/^400$/, $what);
        $c->await_end($what eq 'CONNECT' ? 0.1 : 5);
        my @seen = grep { $_->{complete} } $m->requests;
        is(scalar @seen, 0, "$what: nothing arrives at the member")
            or diag(map { $_->{head} } @seen);
    }
};

subtest 'what looks like a second request inside a body stays a body' => sub {
    $m->forget;
    my $inner = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    my $c = $s->client;
    $c->ask('POST', '/echo', [], $inner);
    is($m->last_request->{body}, $inner, 'with a length');
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'Chunked' ]));
    $c->send($c->chunk($inner) . "0\r\n\r\n");
    is($c->response->status, 200, 'in chunks');
    is($m->last_request->{body}, $inner, 'arrives as a body');
    $c->expect_answer_to('GET')->send("GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " . length($inner) . "\r\n\r\n$inner");
    is($c->response->status, 200, 'a GET with a body');
    is((grep { $_->target =~ /smuggled/ } $m->requests), 0, 'nothing was taken for a request');
};

subtest 'odd but sound requests pass' => sub {
    my $c = $s->client;
    for my $head ("content-length: 5\r\n", "Content-Length:5\r\n", "Content-Length:   5  \r\n") {
        $c->expect_answer_to('POST')->send("${post}$head\r\nhello");
        is($c->response->status, 200, "$head" =~ s/\r\n//r);
        is($m->last_request->{body}, 'hello', 'with its body');
    }
    $c->expect_answer_to('POST')->send("$post$chunked\r\n5;ext=\"a b\"\r\nhello\r\n000\r\n\r\n");
    is($c->response->status, 200, 'a chunk extension, zeros before the size');
    is($m->last_request->{body}, 'hello', 'with its body');
    my $slow = $s->client;
    $slow->expect_answer_to('POST')->trickle("$post$chunked\r\n5\r\nhello\r\n0\r\n\r\n");
    is($slow->response->status, 200, 'byte by byte');
    is($m->last_request->{body}, 'hello', 'with its body');
};

# ---- answers

my $ok   = "HTTP/1.1 200 OK\r\nX-Evil: 1\r\n";
my $evil = 'evil-body';
my $len  = 'Content-Length: ' . length($evil) . "\r\n";

my @bad_answers = (
    'two lengths'                   => "${ok}${len}Content-Length: 5\r\n\r\n$evil",
    'the same length twice'         => "$ok$len$len\r\n$evil",
    'a list of lengths'             => "${ok}Content-Length: 9, 9\r\n\r\n$evil",
    'length and chunked'            => "$ok$len$chunked\r\n9\r\n$evil\r\n0\r\n\r\n",
    'chunked and length'            => "$ok$chunked$len\r\n9\r\n$evil\r\n0\r\n\r\n",
    'chunked twice'                 => "$ok$chunked$chunked\r\n9\r\n$evil\r\n0\r\n\r\n",
    'length +9'                     => "${ok}Content-Length: +9\r\n\r\n$evil",
    'length -9'                     => "${ok}Content-Length: -9\r\n\r\n$evil",
    'length 0x9'                    => "${ok}Content-Length: 0x9\r\n\r\n$evil",
    'an empty length'               => "${ok}Content-Length:\r\n\r\n$evil",
    'length of 30 digits'           => "${ok}Content-Length: " . '9' x 30 . "\r\n\r\n$evil",
    'gzip coding'                   => "${ok}Transfer-Encoding: gzip\r\n\r\n$evil",
    'gzip, chunked'                 => "${ok}Transfer-Encoding: gzip, chunked\r\n\r\n9\r\n$evil\r\n0\r\n\r\n",
    'identity'                      => "${ok}Transfer-Encoding: identity\r\n\r\n$evil",
    'chunked in HTTP/1.0'           => "HTTP/1.0 200 OK\r\nX-Evil: 1\r\n$chunked\r\n9\r\n$evil\r\n0\r\n\r\n",
    'bare LF'                       => "HTTP/1.1 200 OK\nX-Evil: 1\n${len}\n$evil",
    'bare LF in one line'           => "HTTP/1.1 200 OK\r\nX-Evil: 1\n${len}\r\n$evil",
    'a folded line'                 => "${ok}X-Fold: a\r\n b\r\n${len}\r\n$evil",
    'space before the colon'        => "${ok}X-A : b\r\n${len}\r\n$evil",
    'an empty name'                 => "${ok}: b\r\n${len}\r\n$evil",
    'a line without colon'          => "${ok}nothing\r\n${len}\r\n$evil",
    'NUL in a value'                => "${ok}X-A: a\x00b\r\n${len}\r\n$evil",
    'CR in a value'                 => "${ok}X-A: a\rb\r\n${len}\r\n$evil",
    'a control character in a name' => "${ok}X\x02: b\r\n${len}\r\n$evil",
    'more than 200 fields'          => $ok . join('', map {"X-$_: 1\r\n"} 1 .. 250) . "${len}\r\n$evil",
    'a head over 32 kB'             => $ok . 'X-A: ' . 'a' x 40_000 . "\r\n${len}\r\n$evil",
    'status 99'                     => "HTTP/1.1 99 Low\r\n${len}\r\n$evil",
    'status 600'                    => "HTTP/1.1 600 High\r\n${len}\r\n$evil",
    'status of two digits'          => "HTTP/1.1 20 OK\r\n${len}\r\n$evil",
    'status of four digits'         => "HTTP/1.1 2000 OK\r\n${len}\r\n$evil",
    'no space before the reason'    => "HTTP/1.1 200OK\r\n${len}\r\n$evil",
    'two spaces before the status'  => "HTTP/1.1  200 OK\r\n${len}\r\n$evil",
    'HTTP/2.0'                      => "HTTP/2.0 200 OK\r\n${len}\r\n$evil",
    'HTTP/1.2'                      => "HTTP/1.2 200 OK\r\n${len}\r\n$evil",
    'ICY'                           => "ICY 200 OK\r\n${len}\r\n$evil",
    'a bare body'                   => "$evil\r\n\r\n",
    'an empty line first'           => "\r\n${ok}${len}\r\n$evil",
    'CR in the reason'              => "HTTP/1.1 200 O\rK\r\n${len}\r\n$evil",
    '101 unasked'                   => "HTTP/1.1 101 Switching\r\nX-Evil: 1\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n$evil",
    'a 1xx cut off'                 => "HTTP/1.1 103 Hints\r\nX-Evil: 1\r\n",
);

subtest 'answers: 502, and nothing of it goes on' => sub {
    my @cases = @bad_answers;
    while (my ($what, $bytes) = splice @cases, 0, 2) {
        my $path = '/raw?b64=' . b64url($bytes);
        # over 8 kB does not fit into a request line: by a member of its own
        my ($to, $with, $own) = ($s, $path);
        if (length $path > 7000) {
            $own  = Abl::Member->start(always => $path);
            $to   = Abl::Server->start(conf => balancer('app', $own) . "BalancerPass / app\n");
            $with = '/';
        }
        my $c = $to->client(timeout => 5);
        $c->request('GET', $with);
        my $r = $c->response;
        is($r->status, 502, $what);
        unlike(($r->raw_head || '') . $r->body . $c->pending, qr/evil/i, "$what: nothing of it goes on");
        $to->log_ok(allow => [trouble], name => "$what: log") if $own;
    }
};

my @bad_bodies = (
    'a chunk size that is none'    => "${ok}$chunked\r\nxyz\r\nhello\r\n0\r\n\r\n",
    'a negative chunk size'        => "${ok}$chunked\r\n-5\r\nhello\r\n0\r\n\r\n",
    'a chunk size of 20 digits'    => "${ok}$chunked\r\n" . 'f' x 20 . "\r\nhello\r\n0\r\n\r\n",
    'a chunk longer than its size' => "${ok}$chunked\r\n3\r\nhello\r\n0\r\n\r\n",
    'bare LF behind a chunk size'  => "${ok}$chunked\r\n5\nhello\r\n0\r\n\r\n",
    'bare LF behind a chunk'       => "${ok}$chunked\r\n5\r\nhello\n0\r\n\r\n",
    'bad trailers'                 => "${ok}$chunked\r\n5\r\nhello\r\n0\r\nbad line\r\n\r\n",
);

subtest 'answers whose body is malformed: never complete' => sub {
    my @cases = @bad_bodies;
    while (my ($what, $bytes) = splice @cases, 0, 2) {
        my $r = $s->client(timeout => 5)->ask('GET', '/raw?b64=' . b64url($bytes));
        ok($r->status == 502 || !$r->complete, $what);
        isnt($r->cut || '', 'timeout', "$what: and it ends");
    }
};

subtest 'bytes behind an answer belong to nobody' => sub {
    my $next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for my $case (
        [ 'behind a length' => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" ],
        [ 'behind chunks'   => "HTTP/1.1 200 OK\r\n$chunked\r\n2\r\nok\r\n0\r\n\r\n" ],
        [ 'behind a 204'    => "HTTP/1.1 204 None\r\n\r\n" ],
        [ 'behind a 304'    => "HTTP/1.1 304 Same\r\n\r\n" ],
        )
    {
        my ($what, $bytes) = @$case;
        my $c = $s->client;
        my $r = $c->ask('GET', '/raw?then=next&b64=' . b64url($bytes . $next));
        like($r->status, qr/^(?:20[04]|304|502)$/, "$what: the answer, or none");
        for (1 .. 3) {
            my $after = ($c->end || ($r->field('Connection') || '') eq 'close' ? $s->client : $c)->ask('GET', '/echo');
            unlike($after->body, qr/evil/, "$what: not the next one's answer");
            is($after->status, 200, "$what: which has its own");
        }
    }
    my $c = $s->client;
    $c->ask('HEAD', '/raw?then=next&b64=' . b64url("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
    unlike($c->ask('GET', '/echo')->body, qr/^evil/, 'a HEAD answered with a body');
};

subtest 'odd but sound answers pass' => sub {
    my @sound = (
        'no reason'              => [ "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",           'ok' ],
        'no reason, no space'    => [ "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",            'ok' ],
        'HTTP/1.0'               => [ "HTTP/1.0 200 OK\r\n\r\nok",                              'ok' ],
        'HTTP/1.0, length'       => [ "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",         'ok' ],
        'no space, tabs'         => [ "HTTP/1.1 200 OK\r\nX-A:b\r\ncontent-length:\t2 \r\n\r\nok", 'ok' ],
        'CHUNKED'                => [ "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 'ok' ],
        'chunk extensions'       => [ "HTTP/1.1 200 OK\r\n$chunked\r\n2;a=b\r\nok\r\n0;c\r\n\r\n", 'ok' ],
        '200 fields'             => [ "HTTP/1.1 200 OK\r\n" . join('', map {"X-$_: 1\r\n"} 1 .. 150) . "Content-Length: 2\r\n\r\nok", 'ok' ],
    );
    while (my ($what, $case) = splice @sound, 0, 2) {
        my $r = $s->client->ask('GET', '/raw?b64=' . b64url($case->[0]));
        is($r->status, 200, $what);
        is($r->body, $case->[1], "$what: body");
    }
    my $r = $s->client->ask('GET', '/trickle/2');
    is($r->body, "ok\n", 'a head byte by byte');
};

$s->log_ok(allow => [ trouble, qr/AH\d+: (?:Request header exceeds|Number of request headers|.*malformed)/i ]);
done_testing;
