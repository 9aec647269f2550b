# Requests that wait hold no thread: with far more of them than threads, httpd goes on as if nobody waited.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;
use Compress::Zlib ();
use Digest::SHA qw(sha1_hex);
use Time::HiRes qw(time sleep);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $THREADS = 8;    # of the one child
my @upgrade = (Connection => 'Upgrade', Upgrade => 'websocket', 'Sec-WebSocket-Version' => 13,
    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==');

my $m = Abl::Member->start(name => 'a');

sub server {
    my ($keys, %o) = @_;
    return Abl::Server->start(
        threads => $THREADS, status => 1, files => { 'static/a.txt' => "file\n" }, %o,
        conf => balancer('app', [ $m, $keys ], 'BalancerQueue length=200 timeout=20s')
            . "BalancerPass / app\nBalancerStatic /static\nBalancerInline 5ms\n" . ($o{conf} || ''),
    );
}

# Static files come at once, on new connections.
sub undisturbed {
    my ($s, $what) = @_;
    my $from = time;
    is($s->client->ask('GET', '/static/a.txt')->body, "file\n", "$what: a static file") for 1 .. 3;
    cmp_ok(time - $from, '<', patience, "$what: at once");
    return;
}

subtest 'many wait for one member' => sub {
    my $s = server('concurrency=1');
    $m->forget;
    my @c = map { $s->client } 1 .. 60;
    $_->request('GET', '/gate') for $c[0];
    $m->await_requests(1);
    $_->request('GET', '/echo') for @c[ 1 .. $#c ];
    ok($s->await_queue(59), 'all others are queued');
    undisturbed($s, 'meanwhile');
    $m->release;
    is(scalar(grep { $_->response->status == 200 } @c), 60, 'then everybody is served');
    is_deeply([ map { $_->target } $m->requests ], [ '/gate', ('/echo') x 59 ], 'once');
    is($_->ask('GET', '/echo/again')->status, 200, 'and the connection is still good') for @c[ 0, 30, 59 ];
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'many wait for answers' => sub {
    my $s = server('');
    $m->forget;
    my @c = map { $s->client } 1 .. 60;
    $_->request('GET', '/gate') for @c;
    ok($m->await_requests(60), 'the member has them all');
    undisturbed($s, 'meanwhile');
    $m->release;
    is(scalar(grep { $_->response->status == 200 } @c), 60, 'everybody is served');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'clients that leave' => sub {
    my $s = server('concurrency=1');
    $m->forget;
    my $first = $s->client;
    $first->request('GET', '/gate');
    $m->await_requests(1);
    my @c = map { my $c = $s->client; $c->request('GET', "/echo/$_"); $c } 1 .. 40;
    ok($s->await_queue(40), 'they are queued');
    $_ % 2 ? $c[$_]->abort : $c[$_]->close for 0 .. 38;
    ok($s->await_queue(1), 'and out of the queue at once');
    ok((wait_until { 39 == (() = $s->access_log =~ /^499 .*echo/mg) } 5), 'logged as 499');
    $m->release;
    is($_->response->status, 200, 'who stayed is served') for $first, $c[39];
    is_deeply([ map { $_->target } $m->requests ], [ '/gate', '/echo/40' ], 'the member has seen nobody else');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'a queue that is full, and one that takes too long' => sub {
    my $s = Abl::Server->start(threads => $THREADS, status => 1,
        conf => balancer('app', [ $m, 'concurrency=1' ], 'BalancerQueue length=3 timeout=300ms') . "BalancerPass / app\nBalancerInline 5ms\n");
    $m->forget;
    my $first = $s->client;
    $first->request('GET', '/gate');
    $m->await_requests(1);
    my @c = map { my $c = $s->client; $c->request('GET', '/echo'); $c } 1 .. 3;
    $s->await_queue(3);
    is($s->client->ask('GET', '/echo')->status, 503, 'no place: 503');
    for my $c (@c) {
        my $r = $c->response;
        is($r->status, 503, 'waited too long: 503');
        ok($r->field('Retry-After'), 'with Retry-After');
    }
    ok($_->await_end(5), 'httpd closes after a 503') for @c;
    $m->release;
    is($first->response->status, 200, 'who was first is served');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok(allow => [trouble]);
};

# Megabytes, the client's buffer (0: of the usual size, where httpd's core once had more than it keeps without waiting).
for my $case ([ 3, 8192 ], [ 8, 0 ]) {
    my ($mb, $buffer) = @$case;
    subtest "a client that takes its time, $mb MB" => sub {
        my $s    = server('concurrency=1', conf => "LogLevel core:trace6\n");
        my $n    = $mb << 20;
        my @slow = map { $s->client($buffer ? (rcvbuf => $buffer) : ()) } 1 .. 20;
        for my $c (@slow) {
            $c->request('GET', "/length/$n");
            ok((wait_until { $s->status_member($m)->{requests} } 5), 'it begins') if $c == $slow[0];
        }
        ok($s->await_queue(0, 20), 'each answer is taken off the member');
        ok((wait_until { $s->status_member($m)->{busy} == 0 } 10), 'which is free again, although nobody has read');
        undisturbed($s, 'meanwhile');
        is($s->client->ask('GET', '/echo')->status, 200, 'and serves others');
        my $sum = sha1_hex(pattern($n));
        is(scalar(grep { my $r = $_->response(keep => 0); $r->complete && $r->sha1 eq $sum } @slow), 20, 'and then each gets all of it');
        is($s->unrest, '', 'nothing is left');
        unlike($s->log, qr/flushing because/, 'no thread has waited in httpd\'s core for a client');
        $s->log_ok;
    };
}

# A filter that keeps what it gets until it is told to flush gives all of that together with the flush to httpd's core, which would wait. On
# a connection's first request the chain of filters is older than the one that takes the flush away.
subtest 'pieces that the client has no room for' => sub {
    for my $lane (qw(on off)) {
        my $s = server('concurrency=20', modules => ['buffer'],
            conf => "BalancerLane $lane\nSendBufferSize 4096\nLogLevel core:trace6\n<Location /pieces>\nSetOutputFilter BUFFER\n</Location>\n");
        $m->forget;
        my @c = map { $s->client(rcvbuf => 4096) } 1 .. 20;
        $_->request('GET', '/pieces?n=2&as=length&size=30000') for @c;
        ok($m->await_requests(20), "lane $lane: the member has them all");
        undisturbed($s, 'after the first piece');
        $m->release for 1 .. 2;
        ok((wait_until { $s->status_member($m)->{busy} == 0 } 5), 'the member is free again, although nobody has read');
        is(scalar(grep { $_->response(keep => 0)->length == 60_000 } @c), 20, 'and then each client gets all of it');
        is($s->unrest, '', 'nothing is left');
        ok($s->log !~ /flushing because/, 'no thread has waited in httpd\'s core for a client');
        $s->log_ok;
    }
};

subtest 'a client that takes nothing for too long' => sub {
    my $s = server('concurrency=1', conf => "Timeout 1\n");
    my $c = $s->client(rcvbuf => 8192);
    $c->request('GET', '/length/' . (8 << 20));
    ok($s->await_access(qr{^499 .*/length/}m, 10), 'is given up');
    ok(!$c->response(keep => 0)->complete, 'and sees that it has not got everything');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'what an adopted connection can still do' => sub {
    my $s = server('', conf => "BalancerInline 0\nKeepAliveTimeout 1\nMaxKeepAliveRequests 5\n");
    my $c = $s->client;
    is($c->ask('GET', $_)->status, 200, $_) for '/length/10', '/static/a.txt', '/chunked/10', '/length/300000', '/static/a.txt';
    my $r = $c->ask('GET', '/length/10');
    like($r->field('Connection') || '', qr/close/i, 'the last that MaxKeepAliveRequests allows says so');
    ok($c->await_end(5), 'and the connection ends');

    $c = $s->client;
    $c->expect_answer_to('GET') for 1 .. 5;
    $c->send(join '', map {"GET $_ HTTP/1.1\r\nHost: h\r\n\r\n"} '/length/5', '/static/a.txt', '/length/70000', '/length/7', '/static/a.txt');
    is(join(' ', map { length $c->response->body } 1 .. 5), '5 5 70000 7 5', 'pipelined');

    $c = $s->client;
    is($c->ask('GET', '/length/5', [ Connection => 'close' ])->status, 200, 'Connection: close');
    ok($c->await_end(5), 'is obeyed');

    $c = $s->client;
    $c->ask('GET', '/length/5');
    my $from = time;
    ok($c->await_end(10), 'KeepAliveTimeout ends an idle one');
    cmp_ok(time - $from, '>', 0.7, 'not before its time');

    $c = $s->client;
    $c->ask('GET', '/length/5');
    $c->send("GET /length/6 HTTP/1.1\r\n");
    $c->expect_answer_to('GET');
    sleep 0.2;
    $c->send("Host: h\r\n\r\n");
    is(length $c->response->body, 6, 'a request in two pieces');
    $c->send("nonsense\r\n\r\n");
    $c->expect_answer_to('GET');
    is($c->response->status, 400, 'nonsense');
    ok($c->await_end(5), 'ends it');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'uploads' => sub {
    my $s = server('', conf => "BalancerInline 0\n");
    for my $length (300_000, 300) {
        my $body = pattern($length);
        my @c = map { $s->client } 1 .. 30;
        for my $c (@c) {
            $c->send($c->head('POST', '/echo', [ 'Content-Length' => $length ]) . substr $body, 0, $length / 10);
            $c->expect_answer_to('POST');
        }
        undisturbed($s, "$length bytes each, while they have stopped in the middle");
        $_->send(substr $body, $length / 10) for @c;
        my $sum = sha1_hex($body);
        is(scalar(grep { $_->response->body =~ /^sha1: \Q$sum\E$/m } @c), 30, 'all of each arrives');
    }
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

# How long such a body will be nobody knows, and a filter may have eaten what came without a word.
subtest 'uploads that a filter unpacks' => sub {
    for my $keys ('', 'concurrency=1') {
        my $s = server($keys, modules => [qw(filter deflate)], conf => "BalancerInline 0\nSetInputFilter DEFLATE\n");
        for my $length (300_000, 300) {
            my $body   = pattern($length);
            my $packed = Compress::Zlib::memGzip($body);
            my @c      = map { $s->client } 1 .. 30;
            $m->forget;
            for my $c (@c) {
                $c->send($c->head('POST', '/echo', [ 'Content-Encoding' => 'gzip', 'Content-Length' => length $packed ]) . substr $packed, 0, 5);
                $c->expect_answer_to('POST');
            }
            undisturbed($s, "$length bytes each, while they have stopped in the middle of its head");
            $_->send(substr $packed, 5, length($packed) / 2) for @c;
            undisturbed($s, 'and in the middle of the body');
            is(scalar $m->requests, 0, 'no member has been asked yet') if $keys || $length == 300;
            $_->send(substr $packed, 5 + int length($packed) / 2) for @c;
            my $sum = sha1_hex($body);
            is(scalar(grep { $_->response->body =~ /^sha1: \Q$sum\E$/m } @c), 30, 'all of each arrives');
            is($m->last_request->field('Content-Length'), $length, 'with its length') if $keys || $length == 300;
        }
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    }
};

subtest 'events as they come' => sub {
    my $s = server('', conf => "BalancerInline 0\n");
    $m->forget;
    my @c = map { my $c = $s->client; $c->request('GET', '/sse?n=3&ms=gate'); $c } 1 .. 20;
    my @r = map { $_->start_response } @c;
    $m->await_requests(20);
    undisturbed($s, 'meanwhile');
    for my $event (1 .. 3) {
        $m->release;
        is(scalar(grep { defined $_->more } @r), 20, "event $event") if $event < 3;
    }
    for my $r (@r) { 1 while defined $r->more }
    is(scalar(grep { $_->complete } @r), 20, 'and the end');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'tunnels' => sub {
    my $s = server('');
    my @c = map { $s->client } 1 .. 40;
    $_->request('GET', '/upgrade', \@upgrade) for @c;
    is(scalar(grep { $_->start_response->status == 101 } @c), 40, 'far more than there are threads');
    undisturbed($s, 'meanwhile');
    for my $turn (1 .. 3) {
        $_->send("turn $turn ") for @c;
        is(scalar(grep { my $c = $_; wait_until { $c->fill(0); $c->pending =~ /turn $turn / } 5 } @c), 40, "turn $turn: each has its echo");
    }
    $_->close for @c;
    is($s->unrest(5), '', 'nothing is left');
    $s->log_ok;
};

subtest 'graceful restarts' => sub {
    my $s = server('concurrency=1');
    $m->forget;
    my $idle = $s->client;
    is($idle->ask('GET', '/echo?delay=50')->status, 200, 'a connection that is adopted, and idle');
    $m->forget;
    my @c = map { $s->client } 1 .. 20;
    $c[0]->request('GET', '/gate');
    $m->await_requests(1);
    $_->request('GET', '/echo') for @c[ 1 .. 19 ];
    ok($s->await_queue(19), 'many are parked');
    my @old = $s->children;
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /AH00493.*resuming/s } 10), 'httpd restarts');
    ok($idle->await_end(5), 'the idle one ends at once');
    ok((wait_until { my %old = map { $_ => 1 } @old; grep { !$old{$_} } $s->children } 10), 'with a new child');
    is($s->client->ask('GET', '/static/a.txt')->status, 200, 'which serves');
    undisturbed($s, 'the new generation');
    is($s->status_balancer->{queue}{length}, 19, 'the others still wait');
    $m->release;
    is(scalar(grep { $_->response->status == 200 } @c), 20, 'and are served');
    ok($_->await_end(5), 'then their connection ends') for @c[ 0, 19 ];
    ok((wait_until { !grep { kill 0, $_ } @old } 10), 'and the old child');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'a stop while they wait' => sub {
    my $s = server('concurrency=1', conf => "BalancerInline 0\n");
    $m->forget;
    my @c = map { my $c = $s->client; $c->request('GET', '/gate'); $c } 1 .. 20;
    ok($s->await_queue(19), 'many are parked');
    $s->{at_once} = 1;
    my $from = time;
    $s->log_ok;
    cmp_ok(time - $from, '<', 5 * patience, 'httpd ends all the same');
    ok($_->await_end(5), 'and their connections') for @c;
    $m->release;
};

subtest 'a child that is killed while they wait' => sub {
    my $s = server('concurrency=1', children => 2)->expect_kills;
    $m->forget;
    my @c = map { my $c = $s->client; $c->request('GET', '/gate'); $c } 1 .. 30;
    ok($s->await_queue(29), 'many are parked');
    kill 'KILL', $s->children;
    ok($_->await_end(5), 'their connections end') for @c;
    $m->release;
    ok((wait_until { eval { $s->client->ask('GET', '/echo')->status == 200 } } 10), 'the next children serve');
    is($s->unrest(3), '', 'nothing is left');
    $s->log_ok(allow => [trouble]);
};

done_testing;
