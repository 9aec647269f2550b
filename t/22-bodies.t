# Big bodies and unusual ones: constant memory, 100-continue, early hints, trailers, early answers, both
# directions at once.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Digest::SHA qw(sha1_hex);

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n");

my $big  = 50 << 20;
my $grow = 8 << 10;     # kB a child may grow by while such a body passes

subtest '50 MB down and up, in constant memory' => sub {
    my $c = $s->client;
    $c->ask('GET', '/length/300000');
    $c->ask('POST', '/echo', [], pattern(300_000));
    my $before = $s->peak_memory;
    my $block  = pattern(1 << 20);
    my $sum    = do { my $d = Digest::SHA->new(1); $d->add($block) for 1 .. 50; $d->hexdigest };
    for my $path ('length', 'chunked', 'close') {
        $c->request('GET', "/$path/$big");
        my $r = $c->response(keep => 0);
        is($r->sha1, $sum, "down: $path");
        ok($r->complete, "down: $path is complete");
    }
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Content-Length' => $big ]));
    is($c->send($block), length $block, 'up') for 1 .. 50;
    is($c->response->status, 200, 'up: answered');
    is($m->last_request->{sha1}, $sum, 'up: arrived');
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk($block)) for 1 .. 50;
    $c->send("0\r\n\r\n");
    is($c->response->status, 200, 'up in chunks: answered');
    is($m->last_request->{sha1}, $sum, 'up in chunks: arrived');
    my $more = $s->peak_memory - $before;
    if ($ENV{ABL_PRELOAD}) { pass('memory is not judged under a sanitizer') }
    else { cmp_ok($more, '<', $grow, "httpd grew by $more kB") }
};

subtest 'a slow reader does not make httpd hoard' => sub {
    my $before = $s->peak_memory;
    my $c = $s->client(rcvbuf => 4096);
    $c->request('GET', '/length/20000000');
    my $r = $c->start_response;
    for (1 .. 50) { $r->more; select undef, undef, undef, 0.005 }
    my $more = $s->peak_memory - $before;
    cmp_ok($more, '<', $grow, "httpd grew by $more kB") unless $ENV{ABL_PRELOAD};
    $c->close;
    ok($m->await_end_of($m->last_request->{conn}), 'when it leaves, the member is let go');
};

subtest 'Expect: 100-continue' => sub {
    my $c = $s->client;
    my @expect = (Expect => '100-continue', 'Content-Length' => 5);
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', \@expect));
    is($c->interim->status, 100, '100 comes before the body');
    $c->send('hello');
    my $r = $c->response;
    is($r->status, 200, 'then the answer');
    is(scalar($r->interims), 0, 'and no second 100');
    is($m->last_request->{body}, 'hello', 'the body arrived');
    $r = $c->ask('POST', '/echo', \@expect, 'hello');
    is($r->status, 200, 'a client that does not wait');
    $r = $c->ask('POST', '/continue', [], 'hello');
    is($r->status, 200, 'a member that says 100 unasked');
    $r = $c->ask('GET', '/status/417');
    is($r->status, 417, 'the connection still works');
};

subtest 'interim answers' => sub {
    my $c = $s->client;
    my $r = $c->ask('GET', '/103');
    is_deeply([ map { $_->status } $r->interims ], [103], '103 arrives first');
    is(($r->interims)[0] && ($r->interims)[0]->field('Link'), '</style.css>; rel=preload', 'with its fields');
    is($r->field('Link'), undef, 'which are not those of the answer');
    is($r->body, "hinted\n", 'then the answer');
    is($c->ask('GET', '/many-1xx/10')->status, 200, 'ten of them');
    my $old = $s->client;
    $old->send("GET /103 HTTP/1.0\r\n\r\n");
    $r = $old->response;
    is(scalar($r->interims), 0, 'HTTP/1.0 gets none');
    is($r->status, 200, 'but the answer');
    my $flood = $s->client->ask('GET', '/many-1xx/5000');
    like($flood->status, qr/^(?:200|502)$/, 'a flood of them ends');
};

subtest 'trailers' => sub {
    my $c = $s->client;
    my $r = $c->ask('GET', '/trailers', [ TE => 'trailers' ]);
    is($r->body, 'hello', 'body');
    is($r->trailer('X-Sum'), 5, 'from the member');
    is($r->trailer('X-Late'), 'yes', 'both of them');
    $c->expect_answer_to('POST')
        ->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked', Trailer => 'X-Sum' ]));
    $c->send($c->chunk('abc') . "0\r\nX-Sum: 3\r\n\r\n");
    is($c->response->status, 200, 'answered');
    is_deeply($m->last_request->{trailers}, ['X-Sum: 3'], 'to the member');
    is($m->last_request->field('X-Sum'), undef, 'not mixed into the head');
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk('abc') . "0\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    $c->response;
    is_deeply([ grep { /evil|Length|Encoding|6\.6/ } @{ $m->last_request->{trailers} } ], [],
        'no framing, routing or identity in trailers');
};

subtest 'an answer before the body is read' => sub {
    for my $path ('/early-413', '/early-413?abrupt=1') {
        my $c = $s->client;
        $c->expect_answer_to('POST')->send($c->head('POST', $path, [ 'Content-Length' => 20 << 20 ]));
        my $block = pattern(1 << 20);
        for (1 .. 20) { last if $c->send($block) < length $block }
        my $r = $c->response;
        # after a RST the answer may be lost to us as well
        like($r->status, $path =~ /abrupt/ ? qr/^(?:413|502)$/ : qr/^413$/, "$path: the answer comes through");
        is($r->body, "too much\n", "$path: whole") if $r->status == 413;
    }
    my $r = $s->client->ask('POST', '/early-413', [], 'small');
    is($r->status, 413, 'with a small body');
};

subtest 'both directions at once' => sub {
    my $c = $s->client;
    $c->expect_answer_to('POST')->send($c->head('POST', '/mirror', [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk('one'));
    my $r = $c->start_response;
    is($r->more, 'one', 'the first word comes back before the body ends');
    for my $word (qw(two three)) {
        $c->send($c->chunk($word));
        is($r->more, $word, "so does $word");
    }
    $c->send("0\r\n\r\n");
    1 while defined $r->more;
    ok($r->complete, 'and it ends');
    my $body = pattern(3 << 20);
    $r = $c->ask('POST', '/mirror', [], $body);
    is($r->sha1, sha1_hex($body), '3 MB mirrored');
};

subtest 'LimitRequestBody' => sub {
    my $t = Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\nLimitRequestBody 1000\n");
    $m->forget;
    is($t->client->ask('POST', '/echo', [], 'x' x 1001)->status, 413, 'one byte too many');
    is(scalar $m->requests, 0, 'does not reach a member');
    is($t->client->ask('POST', '/echo', [], 'x' x 1000)->status, 200, 'just enough');
    my $c = $t->client;
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk('x' x 600) . $c->chunk('x' x 600) . "0\r\n\r\n");
    is($c->response->status, 413, 'in chunks');
    is((grep { $_->{complete} } $m->requests), 1, 'nor does that, as a whole');
    $t->log_ok(allow => [ trouble, qr/AH\d+: (?:Requested content-length|Read content length)/i ]);
};

$s->log_ok(allow => [trouble]);
done_testing;
