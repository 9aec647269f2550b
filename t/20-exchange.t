# One request and its answer, byte for byte: methods, targets, framings, kept connections, kinds of address.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Digest::SHA qw(sha1_hex);

my $m    = Abl::Member->start(name => 'a');
my $unix = Abl::Member->start(name => 'unix', on => 'unix');
my $six  = Abl::Member->start(name => 'six', on => 'ip6');

my $s = Abl::Server->start(conf =>
      balancer('app',  $m)
    . balancer('unix', $unix)
    . balancer('six',  $six)
    . balancer('base', 'BalancerMember ' . $m->url . '/base')
    . balancer('slash', 'BalancerMember ' . $m->url . '/')
    . "BalancerPass / app\nBalancerPass /unix unix\nBalancerPass /six six\nBalancerPass /base2 base\n"
    . "BalancerPass /slash slash\nBalancerStatic /disk\n");

subtest 'methods' => sub {
    my $c = $s->client;
    for my $method (qw(GET POST PUT DELETE PATCH OPTIONS PROPFIND REPORT LINK BREW)) {
        my $body = $method =~ /^P/ ? "body of $method" : undef;
        my $r = $c->ask($method, "/echo/$method", [], $body);
        is($r->status, 200, $method);
        my $seen = $m->last_request;
        is($seen->line, "$method /echo/$method HTTP/1.1", "$method: request line");
        is($seen->{body}, $body, "$method: body") if defined $body;
    }
    my $r = $c->ask('POST', '/echo', [], '');
    is($m->last_request->field('Content-Length'), 0, 'an empty POST says so');
    $c->ask('GET', '/echo');
    is_deeply([ $m->last_request->field('Content-Length'), $m->last_request->field('Transfer-Encoding') ],
        [], 'a GET announces no body');
};

subtest 'answers without a body' => sub {
    my $c = $s->client;
    my $r = $c->ask('HEAD', '/length/1000');
    is($r->status, 200, 'HEAD');
    is($r->field('Content-Length'), 1000, 'HEAD: the length GET would have');
    is($m->last_request->method, 'HEAD', 'HEAD: arrives as HEAD');
    is($c->ask('HEAD', '/chunked/1000')->status, 200, 'HEAD of a chunked one');
    is($c->ask('GET', '/status/204')->status, 204, 'status 204');
    $r = $c->ask('GET', '/file', [ 'If-None-Match' => '"v1"' ]);
    is($r->status, 304, 'status 304');
    is($r->field('ETag'), '"v1"', '304: ETag');
    $r = $c->ask('GET', '/length/0');
    is($r->status, 200, 'length 0');
    is($r->length, 0, 'length 0: nothing');
    is($c->ask('GET', '/echo')->status, 200, 'the connection still works');
    is($c->pending, '', 'and nothing is left on it');
};

subtest 'status codes and reasons are the member\'s' => sub {
    for my $status (200, 201, 206, 299, 301, 400, 401, 403, 404, 405, 410, 418, 422, 451, 500, 501, 503, 599) {
        my $r = $s->client->ask('GET', "/status/$status");    # httpd closes after some of them
        is($r->status, $status, "status $status");
        is($r->body, "status $status from a\n", "$status: its body");
    }
};

subtest 'conditions and ranges are the member\'s business' => sub {
    my $c = $s->client;
    my $r = $c->ask('GET', '/file/1000', [ Range => 'bytes=8-15', 'If-Range' => '"v1"' ]);
    is($m->last_request->field('Range'), 'bytes=8-15', 'Range is passed on');
    is($m->last_request->field('If-Range'), '"v1"', 'If-Range too');
    is($r->status, 206, 'status 206');
    is($r->field('Content-Range'), 'bytes 8-15/1000', 'Content-Range');
    is($r->body, "0000008\n", 'the piece');
    $r = $c->ask('GET', '/file/1000');
    is($r->field('Accept-Ranges'), 'bytes', 'Accept-Ranges of the member');
};

subtest 'bodies of requests' => sub {
    my $c = $s->client;
    for my $n (1, 1000, 8192, 65536, 300_000) {
        my $body = pattern($n);
        $c->ask('POST', '/echo', [], $body);
        my $seen = $m->last_request;
        is($seen->{sha1}, sha1_hex($body), "$n bytes with a length");
        is($seen->field('Content-Length'), $n, "$n bytes: the length is kept");
        $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked' ]));
        $c->send($c->chunk(substr $body, $_ * 5000, 5000)) for 0 .. int(($n - 1) / 5000);
        $c->send("0\r\n\r\n");
        is($c->response->status, 200, "$n bytes in chunks");
        $seen = $m->last_request;
        is($seen->{sha1}, sha1_hex($body), "$n bytes in chunks: arrive");
        my $framings = () = ($seen->field('Content-Length'), $seen->field('Transfer-Encoding'));
        is($framings, 1, "$n bytes in chunks: exactly one framing");
    }
};

subtest 'bodies of answers' => sub {
    my $c = $s->client;
    for my $n (1, 8192, 300_000) {
        for my $path ('length', 'chunked', 'close') {
            my $r = $c->ask('GET', "/$path/$n");
            is($r->sha1, sha1_hex(pattern($n)), "$path/$n");
            ok($r->complete, "$path/$n: complete");
            # httpd counts a short body itself when all of it is there at once
            my $framing = $path eq 'length' ? qr/^length$/ : $n < 300_000 ? qr/^(?:chunked|length)$/ : qr/^chunked$/;
            like($r->framing, $framing, "$path/$n: framing");
        }
    }
    is($c->ask('GET', '/chunked/5000?size=7')->sha1, sha1_hex(pattern(5000)), 'tiny chunks');
};

subtest 'HTTP/1.0 clients' => sub {
    for my $path ('length/5000', 'chunked/5000', 'close/5000') {
        my $c = $s->client;
        $c->send("GET /$path HTTP/1.0\r\n\r\n");
        my $r = $c->response;
        is($r->sha1, sha1_hex(pattern(5000)), "$path arrives");
        isnt($r->framing, 'chunked', "$path is not chunked");
        like($m->last_request->line, qr{ HTTP/1\.1$}, 'the member is asked in HTTP/1.1');
        is(scalar(() = $m->last_request->field('Host')), 1, 'and told one Host');
    }
};

subtest 'targets go on byte for byte' => sub {
    my $long  = '/echo?' . join '&', map {"k$_=" . 'v' x 90} 1 .. 80;
    my @exact = (
        '/echo',          '/echo?',         '/echo??',      '/echo?a=b?c',        '/echo/',
        '/echo//x',       '//echo',         '/echo/a%2Fb',  '/echo/a%2fb',        '/echo/%41',
        '/echo/%7e~',     '/echo/a;b=c;d',  '/echo;x?y;z',  '/echo/a+b%20c',      '/echo/%C3%A4%ff',
        '/echo/a:b@c!$&', "/echo/'()*,=",   '/echo/%25%32', '/echo?q=%00%0d%0a',  '/echo/a%5Cb',
        '/echo?x=/../y',  '/echo/x/.hidden', '/echo?%',     '/echo?[]{}|^',       $long,
    );
    my $c = $s->client;
    for my $target (@exact) {
        my $r = $c->ask('GET', $target);
        my $seen = $r->status == 200 ? $m->last_request->target : 'status ' . $r->status;
        is($seen, $target, substr $target, 0, 60);
        $c = $s->client if $c->end || ($r->field('Connection') || '') =~ /close/i;
    }
    cmp_ok(length $long, '>', 7500, 'the long one was long');
    $c = $s->client;
    $c->ask('GET', 'http://other.test/echo?abs', [ Host => 'wrong.test' ]);
    is($m->last_request->target, '/echo?abs', 'an absolute target goes on without its origin');
    is($m->last_request->field('Host'), 'other.test', 'which becomes the Host');
};

subtest 'kept connections' => sub {
    my $c = $s->client;
    my %used;
    $used{ $c->ask('GET', '/echo')->field('X-Connection') }++ for 1 .. 5;
    is(scalar keys %used, 1, 'five requests use one connection to the member');
    $m->forget;
    $c->ask('PUT', '/echo', [], 'x' x 1000);
    $c->ask('GET', '/chunked/1000');
    $c->ask('GET', '/status/204');
    $c->ask('GET', '/file', [ 'If-None-Match' => '"v1"' ]);
    is(scalar($m->connections), 0, 'whatever the framing');
    for my $path ('/echo', '/chunked/1000') {
        my $head = $c->ask('HEAD', $path)->field('X-Connection');
        isnt($c->ask('GET', '/echo')->field('X-Connection'), $head, "HEAD $path: some servers send the body all the same");
    }
    $m->forget;
    $c->ask('POST', '/echo', [], 'x' x 1000);
    is(scalar($m->connections), 1, 'but a POST, which may not be sent twice, gets one that nobody is about to close');
    my $first = $c->ask('GET', '/echo?close=1')->field('X-Connection');
    isnt($c->ask('GET', '/echo')->field('X-Connection'), $first, 'not one the member closes');
    my $r = $c->ask('GET', '/echo', [ Connection => 'close' ]);
    is($r->status, 200, 'a client that closes');
    unlike($m->last_request->{head}, qr/^Connection: .*close/mi, 'does not close the member\'s connection');
};

subtest 'kinds of address' => sub {
    my $c = $s->client;
    is($c->ask('GET', '/unix/echo')->field('X-Member'), 'unix', 'unix socket');
    is($c->ask('GET', '/six/echo')->field('X-Member'), 'six', 'IPv6');
    is($c->ask('GET', '/base2/echo?q')->status, 200, 'a member with a path');
    is($m->last_request->target, '/base/base2/echo?q', 'which stands before the client\'s');
    $c->ask('GET', '/slash/echo');
    is($m->last_request->target, '/slash/echo', 'a path of / adds nothing');
};

subtest 'pipelined requests are answered in order' => sub {
    my $c = $s->client;
    $c->request('GET', "/status/$_") for 201, 404, 299, 200;
    is(join(' ', map { $c->response->status } 1 .. 4), '201 404 299 200', 'four at once');
};

subtest 'many at once' => sub {
    my @c = map { $s->client } 1 .. 10;
    $_->request('GET', '/length/100000') for @c;
    my $sum = sha1_hex(pattern(100_000));
    is((grep { $_->response->sha1 eq $sum } @c), 10, 'nothing is mixed up');
};

subtest 'a status without a name' => sub {
    for my $status (299, 200, 404, 599) {
        my $r = $s->client->ask('GET', '/raw?b64=' . b64url("HTTP/1.1 $status\r\nContent-Length: 2\r\n\r\nok"));
        is($r->status, $status, "$status stays $status");
    }
};

subtest 'what is between the client and httpd stays there' => sub {
    for my $offer ('h2c', 'foo, h2c', 'TLS/1.0', 'HTTP/2.0') {
        $s->client->ask('GET', '/echo', [ Connection => 'Upgrade, HTTP2-Settings', Upgrade => $offer, 'HTTP2-Settings' => 'AAMAAABkAARAAAAA' ]);
        unlike($m->last_request->{head}, qr/^(?:Upgrade|HTTP2-Settings):/mi, "an offer of $offer");
    }
};

$s->log_ok;
done_testing;
