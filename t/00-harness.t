# The harness itself: the member misbehaves as told, the client sees every byte, the server starts, judges
# its log and stops. Needs no module: stock mod_proxy stands in.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $m = Abl::Member->start(name => 'a');

sub to_member { return Abl::Client->connect(port => $m->port, @_) }

sub ask {
    my (@request) = @_;
    my $c = to_member();
    $c->request(@request);
    return $c->response;
}

subtest 'a member echoes what it saw, and journals it' => sub {
    my $r = ask('POST', '/x/echo?a=1', [ 'X-Foo' => 'bar', 'x-foo' => 'baz' ], 'hello');
    is($r->status, 200, 'answer');
    like($r->body, qr{^line: POST /x/echo\?a=1 HTTP/1\.1$}m, 'request line');
    like($r->body, qr/^header: X-Foo: bar\nheader: x-foo: baz$/m, 'fields in order');
    like($r->body, qr/^length: 5$/m, 'length');
    is($r->field('X-Member'), 'a', 'says who it is');
    my $seen = $m->last_request;
    is($seen->method, 'POST', 'journal: method');
    is($seen->target, '/x/echo?a=1', 'journal: target');
    is_deeply([ $seen->field('x-foo') ], [ 'bar', 'baz' ], 'journal: fields');
    is($seen->{body}, 'hello', 'journal: body');
    is($seen->{sha1}, 'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d', 'journal: digest');
    ok($seen->{complete}, 'journal: complete');
};

subtest 'bodies in every framing' => sub {
    my $sum = Digest::SHA::sha1_hex(pattern(200_000));
    for my $path (qw(length chunked close)) {
        my $r = ask('GET', "/$path/200000");
        is($r->sha1, $sum, "$path: body");
        ok($r->complete, "$path: complete");
        is($r->framing, $path, "$path: framing");
    }
    my $c = to_member();
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk('abc') . $c->chunk('de') . "0\r\nX-Late: 1\r\n\r\n");
    my $r = $c->response;
    is($m->last_request->{length}, 5, 'chunked request body');
    is_deeply($m->last_request->{trailers}, ['X-Late: 1'], 'request trailers');
    $r = $c->ask('GET', '/trailers');
    is($r->trailer('X-Sum'), 5, 'answer trailers, on the same connection');
    is($r->field('X-Connection'), $m->last_request->{conn}, 'connection number');
};

subtest 'full duplex' => sub {
    my $c = to_member();
    $c->expect_answer_to('POST')->send($c->head('POST', '/mirror', [ 'Transfer-Encoding' => 'chunked' ]));
    my $r = $c->start_response;
    for my $word (qw(one two three)) {
        $c->send($c->chunk($word));
        is($r->more, $word, "$word comes back before the body ends");
    }
    $c->send("0\r\n\r\n");
    1 while defined $r->more;
    ok($r->complete, 'and it ends');
};

subtest 'cut answers' => sub {
    for my $case ([ short => 'fin' ], [ 'short?rst=1' => 'rst' ], [ 'short-chunked' => 'fin' ],
        [ 'reset-body' => 'rst' ], [ 'reset-before' => 'rst' ], [ 'close-before' => 'fin' ],
        [ 'reset-head' => 'rst' ], [ 'close-head' => 'fin' ])
    {
        my ($path, $end) = @$case;
        my $r = ask('GET', "/$path");
        ok(!$r->complete, "$path is not complete");
        is($r->cut, $end, "$path ends by $end");
    }
};

subtest 'kept connections that die' => sub {
    my $c = to_member();
    is($c->ask('GET', '/stale')->status, 200, 'stale: first answer');
    $c->request('GET', '/echo');
    my $r = $c->response;
    is($r->status, 0, 'stale: no second answer');
    is($r->cut, 'fin', 'stale: closed');
    like((grep { $_->{stale} } $m->connections)[0]{stale}[0], qr{^GET /echo}, 'stale: what arrived is known');
    $c = to_member();
    $c->ask('GET', '/echo');
    $m->drop_idle;
    is($c->await_end, 'fin', 'an idle connection is dropped on order');
};

subtest 'interim answers' => sub {
    my $r = ask('GET', '/103');
    is_deeply([ map { $_->status } $r->interims ], [103], '103 before the answer');
    like(($r->interims)[0]->field('Link'), qr/style/, 'with its field');
    my $c = to_member();
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ Expect => '100-continue', 'Content-Length' => 3 ]));
    is($c->interim->status, 100, '100 before the body');
    $c->send('abc');
    is($c->response->status, 200, 'then the answer');
    $r = ask('GET', '/many-1xx/5');
    is(scalar $r->interims, 5, 'many of them');
};

subtest 'early answer' => sub {
    my $c = to_member();
    $c->request('POST', '/early-413', [ 'Content-Length' => 1_000_000 ], 'part');
    is($c->response->status, 413, 'without the body');
    $c->close;
    $m->await_close;
    ok(!$m->last_request->{complete}, 'and the journal says so');
};

subtest 'exact bytes, upgrade, pipelining' => sub {
    my $bytes = "HTTP/1.1 200 OK\nBad: \x00\xff\r\n\r\n";
    my $c = to_member();
    $c->request('GET', '/raw?b64=' . b64url($bytes));
    $c->fill;
    1 while $c->fill(0.5);
    is($c->pending, $bytes, 'raw bytes');
    $c = to_member();
    $c->request('GET', '/upgrade?hello=hi', [ Connection => 'Upgrade', Upgrade => 'x' ]);
    is($c->response->status, 101, 'upgraded');
    $c->fill if length $c->pending < 2;
    is($c->pending, 'hi', 'first bytes right behind the head');
    $c->send('ping');
    $c->fill;
    is($c->pending, 'hiping', 'raw echo');
    $c = to_member();
    $c->request('GET', "/status/$_") for 200, 404, 204;
    is_deeply([ map { $c->response->status } 1 .. 3 ], [ 200, 404, 204 ], 'three in a row');
};

subtest 'release instead of sleep' => sub {
    my $c = to_member();
    $c->request('GET', '/gate');
    $m->sync;
    is($c->fill(0.05), 0, 'waits');
    $m->release;
    is($c->response->status, 200, 'goes on');
};

subtest 'IPv6, unix, absent ones' => sub {
    my $six = Abl::Member->start(on => 'ip6');
    like($six->url, qr{^http://\[::1\]:\d+$}, 'IPv6 url');
    is(Abl::Client->connect(host => '::1', port => $six->port)->ask('GET', '/echo')->status, 200, 'IPv6');
    my $unix = Abl::Member->start(on => 'unix');
    like($unix->url, qr{^unix:/.*\|http://member/$}, 'unix url');
    is(Abl::Client->connect(path => $unix->path)->ask('GET', '/echo')->status, 200, 'unix');
    ok(!eval { Abl::Client->connect(port => Abl::Member->refused->port); 1 }, 'refused');
    my $hole = Abl::Member->blackhole;
    my $c    = Abl::Client->connect(port => $hole->port);
    $c->request('GET', '/');
    is($c->fill(0.05), 0, 'black hole answers nothing');
    my $full = Abl::Member->full;
    ok(!IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $full->port, Timeout => 0.2), 'full backlog');
};

subtest 'many connections at once' => sub {
    my @clients = map { to_member() } 1 .. 100;
    $_->request('GET', '/gate') for @clients;
    $m->forget;
    $m->release;
    is((grep { $_->response->status == 200 } @clients), 100, 'all answered');
};

subtest 'a server, and its verdict' => sub {
    my $s = Abl::Server->start(
        module  => 0,
        modules => [qw(proxy proxy_http headers)],
        files   => { 'static/a.txt' => "static\n" },
        conf    => 'ProxyPass /static !' . "\nProxyPass / " . $m->url . '/',
        vhosts  => [ '127.0.0.1' => '', 'b.test' => 'Header set X-Vhost b' ],
    );
    is($s->get('/static/a.txt')->{content}, "static\n", 'a file');
    my $r = $s->get('/echo');
    is($r->{headers}{'x-member'}, 'a', 'through stock mod_proxy');
    $r = $s->client(name => 'b.test')->ask('GET', '/static/a.txt');
    is($r->field('X-Vhost'), 'b', 'virtual host');
    ok($s->await_access(qr{^200 \d+ \S+ "GET /echo HTTP/1\.1"}m), 'access log');
    cmp_ok($s->peak_memory, '>', 1000, 'memory of the children is known');
    my @pids = ($s->pid, $s->children);
    $s->log_ok;
    is((grep { kill 0, $_ } @pids), 0, 'nothing of it is left');
};

subtest 'the verdict fails when it should' => sub {
    my $s = Abl::Server->start(
        module  => 0,
        modules => [qw(proxy proxy_http)],
        conf    => 'ProxyPass / ' . Abl::Member->refused->url . '/',
    );
    is($s->get('/')->{status}, 503, 'no member');
    $s->_halt;
    ok($s->_complaints > 0,          'the log is not clean');
    is($s->_complaints(qr/AH\d+:/), 0, 'what is allowed does not count');
    $s->log_ok(allow => [ 'AH00957', 'AH01114' ], name => 'allowed by id');
};

subtest 'configtest' => sub {
    my ($code, $text) = Abl::Server->configtest('KeepAlive On', module => 0);
    is($code, 0, 'good');
    ($code, $text) = Abl::Server->configtest('NoSuchThing On', module => 0);
    isnt($code, 0, 'bad');
    like($text, qr/NoSuchThing/, 'and says why');
    ok(!eval { Abl::Server->start(module => 0, conf => 'NoSuchThing On') }, 'does not start');
    like($@, qr/NoSuchThing/, 'and says why');
};

done_testing;
