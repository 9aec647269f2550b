# What the client gets when something fails: the table of the design, row by row (queues have their own test).
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

sub server { my ($balancer, $conf) = @_; return Abl::Server->start(conf => $balancer . "BalancerPass / app\n" . ($conf || '')) }

my $m = Abl::Member->start(name => 'good');

subtest 'no usable member: 503 and Retry-After' => sub {
    my $s = server(balancer('app', Abl::Member->refused, Abl::Member->refused));
    for my $method (qw(GET POST)) {
        my $r = $s->client->ask($method, '/', [], $method eq 'POST' ? 'body' : undef);
        is($r->status, 503, $method);
        like($r->field('Retry-After'), qr/\A\d+\z/, "$method: Retry-After");
    }
    my $c = $s->client;
    $c->ask('POST', '/', [], 'x' x 100_000);
    is($c->ask('GET', '/')->status, 503, 'the client\'s connection is usable, or its end was announced')
        unless $c->end || $c->await_end(0.1);
    $s->log_ok(allow => [trouble]);
};

subtest 'refused: the next member, any method' => sub {
    my $s = server(balancer('app', Abl::Member->refused, Abl::Member->refused, $m));
    $m->forget;
    for my $method (qw(GET POST PUT PATCH)) {
        my $r = $s->client->ask($method, '/echo', [], $method eq 'GET' ? undef : 'body');
        is($r->field('X-Member'), 'good', $method);
        is($m->last_request->{body}, 'body', "$method: with its body") unless $method eq 'GET';
    }
    is(scalar $m->requests, 4, 'each once');
    $s->log_ok(allow => [trouble]);
};

subtest 'gone before any byte of the answer: the next member when that is safe' => sub {
    for my $how (qw(reset-before close-before)) {
        my $bad = Abl::Member->start(name => 'bad', always => "/$how");
        my $s   = server(balancer('app', $bad, $m));
        $m->forget;
        my @got = map { $s->client->ask('GET', "/echo/$_")->field('X-Member') || 0 } 1 .. 6;
        is_deeply(\@got, [ ('good') x 6 ], "$how: GET goes on");
        is(scalar $m->requests, 6, "$how: each once at the good one");
        cmp_ok(scalar $bad->requests, '>', 0, "$how: the bad one was asked");
        for my $method (qw(PUT DELETE)) {
            my $r = $s->client->ask($method, '/echo', [], 'x');
            is($r->field('X-Member'), 'good', "$how: $method is idempotent too");
        }
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'gone before any byte, and no other member: 502' => sub {
    for my $how (qw(reset-before close-before reset-head close-head)) {
        my $s = server(balancer('app', $m));
        my $r = $s->client->ask('GET', "/$how");
        is($r->status, 502, $how);
        ok($r->complete, "$how: a whole answer");
        is($s->client->ask('GET', '/echo')->status, 200, "$how: the next request is served");
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'part of a head: never another member\'s' => sub {
    my $bad = Abl::Member->start(name => 'bad', always => '/reset-head');
    my $s   = server(balancer('app', $bad, $m));
    $m->forget;
    my @r   = map { $s->client->ask('POST', '/echo', [], 'x') } 1 .. 4;
    is((grep { $_->status == 502 || $_->status == 200 } @r), 4, '502 or the good member\'s answer');
    is($m->requests + $bad->requests, 4, 'each POST was sent once');
    $s->log_ok(allow => [trouble]);
};

subtest 'kept connection closed under a request: the same member, once, uncharged' => sub {
    for my $path ('/stale', '/stale?rst=1') {
        my $s = server(balancer('app', $m));
        my $c = $s->client;
        my $first = $c->ask('GET', $path)->field('X-Connection');
        my $r = $c->ask('GET', '/echo/second');
        is($r->status, 200, "$path: the client notices nothing");
        isnt($r->field('X-Connection'), $first, "$path: another connection");
        $s->log_ok(name => "$path: not worth a warning");
    }
    my $s = server(balancer('app', $m));
    my $c = $s->client;
    is($c->ask('GET', '/bye')->status, 200, 'one that was closed in between');
    $m->sync;
    is($c->ask('POST', '/echo', [], 'body')->status, 200, 'is not used, so that even a POST is safe');
    $s->log_ok;
};

subtest 'answer ends short: the client sees that' => sub {
    my $s = server(balancer('app', $m));
    for my $path ('/short', '/short?rst=1', '/short-chunked', '/short-chunked?rst=1', '/short-chunked?inside=1',
        '/reset-body', '/short?length=1000000')
    {
        my $r = $s->client->ask('GET', $path);
        ok(!$r->complete || $r->status == 502, "$path: never a complete-looking body");
        like($r->cut || '', qr/^(?:fin|rst)$/, "$path: the connection ends") unless $r->status == 502;
        my $old = $s->client;
        $old->send("GET $path HTTP/1.0\r\n\r\n");
        $r = $old->response;
        ok(!$r->complete || $r->status == 502, "$path: nor for HTTP/1.0") if $path =~ /rst|reset|length/;
    }
    is($s->client->ask('GET', '/echo')->status, 200, 'the next request is served');
    $s->log_ok(allow => [trouble]);
};

subtest 'the client goes away: 499, and the member is not charged' => sub {
    my $s = server(balancer('app', $m));
    for my $how (qw(close abort)) {
        $m->forget;
        my $c = $s->client;
        $c->request('GET', "/hang/$how");
        $m->await_requests(1);
        my ($seen) = $m->requests;
        $c->$how;
        ok($m->await_end_of($seen->{conn}), "$how while waiting: the member\'s connection is closed");
        ok($s->await_access(qr{^499 .*hang/$how}m), "$how: logged as 499");
    }
    my $c = $s->client;
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo/part', [ 'Content-Length' => 1000 ]) . 'only this');
    $m->sync;
    $c->close;
    ok($s->await_access(qr{echo/part}m), 'away in the middle of its body');
    is((grep { $_->{complete} && $_->target eq '/echo/part' } $m->requests), 0, 'no member takes half a body for a whole one');
    is($s->client->ask('GET', '/echo')->field('X-Member'), 'good', 'the member gets the next request');
    $s->log_ok;
};

subtest 'a member comes back' => sub {
    my $gone = Abl::Member->start(name => 'phoenix');
    my $port = $gone->port;
    my $s    = Abl::Server->start(status => 1, conf => balancer('app', $gone) . "BalancerPass / app\n");
    is($s->get('/')->{status}, 200, 'there');
    $gone->stop;
    my $waits = $s->client;
    $waits->request('GET', '/');
    ok($s->await_queue(1), 'gone: who has nobody else waits');
    $gone = Abl::Member->start(name => 'phoenix', port => $port);
    is($waits->response->status, 200, 'until it is back');
    $s->log_ok(allow => [trouble]);
};

done_testing;
