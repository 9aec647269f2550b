# A one-at-a-time server goes on working when nobody waits for its answer any more. So the place at a limited member stays taken
# until it has answered or closed, whoever has given up: the client, or the module itself.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a');

sub server {
    my ($keys, $timeout) = @_;
    return Abl::Server->start(
        status => 1, children => 2,
        conf   => balancer('app', [ $m, $keys ], 'BalancerQueue length=10 timeout=30s', $timeout ? "BalancerTimeout $timeout" : ())
            . "BalancerPass / app\n",
    );
}

sub targets { return map { $_->target } $m->requests }

# Somebody has given up: the next request must wait until `over` has happened, and then be served.
sub place_stays {
    my ($s, $what, $over) = @_;
    my $before = $m->requests;
    my $next   = $s->client;
    $next->request('GET', '/echo/next');
    ok($s->await_queue(1), "$what: the next request is queued");
    ok((stays { $s->status_member($m)->{busy} == 1 && $m->requests == $before } 0.5), "$what: and stays there");
    is($s->status_json->{check}, 'ok', "$what: check");
    $over->();
    is($next->response->status, 200, "$what: until the member is free");
    is((targets())[-1], '/echo/next', "$what: it was asked once more, for this");
    is($s->unrest(2), '', "$what: nothing is left");
    return;
}

my %ends = (
    'it answers' => '/gate/first',
    'it closes'  => '/gate/first?then=close',
    'it resets'  => '/gate/first?then=rst',
);
my %leave = (FIN => sub { $_[0]->close }, RST => sub { $_[0]->abort });

subtest 'a client that goes away while the member works' => sub {
    my $s = server('concurrency=1');
    for my $how (sort keys %leave) {
        for my $end (sort keys %ends) {
            $m->forget;
            my $c = $s->client;
            $c->request('GET', $ends{$end});
            $m->await_requests(1);
            $leave{$how}->($c);
            place_stays($s, "$how, $end", sub { $m->release });
        }
    }
    $s->log_ok(allow => [trouble]);
};

subtest 'in the middle of the answer' => sub {
    my $s = server('concurrency=1');
    for my $how (sort keys %leave) {
        $m->forget;
        my $c = $s->client;
        $c->request('GET', '/sse?n=2&ms=gate');
        my $r = $c->start_response;
        is($r->status, 200, 'the answer has begun');
        $leave{$how}->($c);
        place_stays($s, $how, sub { $m->release; $m->release; });
    }
    $s->log_ok(allow => [trouble]);
};

subtest 'an answer that takes too long' => sub {
    my $s = server('concurrency=1', 'response=400ms');
    for my $end (sort keys %ends) {
        $m->forget;
        my $c    = $s->client;
        my $from = time;
        $c->request('GET', $ends{$end});
        my $r    = $c->response;
        my $took = time - $from;
        is($r->status, 504, "$end: the client is told");
        cmp_ok($took, '<', 2 * patience, "$end: at once");
        is($s->status_member($m)->{busy}, 1, "$end: the member is still occupied");
        place_stays($s, "$end", sub { $m->release });
    }
    $s->log_ok(allow => [trouble]);
};

subtest 'an answer that stops in the middle' => sub {
    my $s = server('concurrency=1', 'gap=400ms');
    $m->forget;
    my $c = $s->client;
    $c->request('GET', '/sse?n=2&ms=gate');
    my $r = $c->response;
    ok(!$r->complete, 'the client sees that it is not whole');
    place_stays($s, 'gap', sub { $m->release; $m->release; });
    $s->log_ok(allow => [trouble]);
};

subtest 'many that give up' => sub {
    my $s = server('concurrency=1', 'response=300ms');
    $m->forget;
    my @c = map { my $c = $s->client; $c->request('GET', '/gate/hang'); $c } 1;
    is($_->response->status, 504, 'a member that hangs: 504') for @c;
    my @more = map { my $c = $s->client; $c->request('GET', "/echo/$_"); ok($s->await_queue($_), "$_ waits"); $c } 1 .. 3;
    $_->abort for @more;
    ok($s->await_queue(0), 'they leave the queue while the member hangs');
    is($s->status_member($m)->{busy}, 1, 'which is still one place taken, not more');
    is(scalar $m->requests, 1, 'it has seen one request');
    $s->log_ok(allow => [ trouble, "AH00045" ]);
};

subtest 'and httpd is restarted meanwhile' => sub {
    my $s = server('concurrency=1');
    $m->forget;
    my $c = $s->client;
    $c->request('GET', '/gate/first');
    $m->await_requests(1);
    $c->abort;
    ok($s->await_access(qr{^499 .*/gate/first}m, 5), 'its request is over for httpd');
    my @old = $s->children;
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /(?:AH00493|AH00171|AH00297).*resuming/s } 10), 'a graceful restart');
    ok((wait_until { !grep { kill 0, $_ } @old } 10), 'the children of the generation before do not wait for it');
    place_stays($s, 'the generation before', sub { $m->release });
    $s->log_ok(allow => [trouble]);
};

subtest 'restarted again and again while a member hangs' => sub {
    my $s = server('concurrency=50', 'response=200ms');
    $m->forget;
    for my $n (1 .. 6) {
        is($s->client->ask('GET', '/gate/hang')->status, 504, 'too late') for 1 .. 2;
        my @old = $s->children;
        $s->signal('USR1');
        ok((wait_until { (() = $s->log =~ /resuming/g) > $n } 10), "restart $n");
        ok((wait_until { !grep { kill 0, $_ } @old } 10), 'makes room');
        is($s->status_member($m)->{busy}, 2 * $n, 'and forgets nothing');
        is($s->status_json->{check}, 'ok', 'check');
    }
    my @keepers = map { $_->{pid} } @{ $s->status_json->{seats} };
    cmp_ok(scalar @keepers, '>', 6, 'each time somebody keeps the places');
    $m->release;
    is($s->unrest(5), '', 'until the member is free');
    $s->log_ok(allow => [trouble]);
};

subtest 'and stopped' => sub {
    my $s = server('concurrency=1', 'response=200ms');
    $m->forget;
    is($s->client->ask('GET', '/gate/hang')->status, 504, 'too late');
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /resuming.*resuming/s } 10), 'a graceful restart');
    ok((wait_until { @{ $s->status_json->{seats} } >= 2 } 5), 'somebody keeps the place');
    my @seats = map { $_->{pid} } @{ $s->status_json->{seats} };
    $s->log_ok(allow => [trouble]);
    $s->stop;
    ok((wait_until { !grep { kill 0, $_ } @seats } 5), 'nobody outlives httpd');
    $m->release;
};

# Answers that are none, to the end of which the member's work would be over.
sub raw { my ($bytes, $then) = @_; return '/raw?b64=' . b64url("HTTP/1.1 200 OK\r\n$bytes") . "&then=$then" }
my %invalid = (
    'two lengths' => "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    'no chunk'    => "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
);

subtest 'an answer that is invalid' => sub {
    my $s = server('concurrency=1');
    for my $what (sort keys %invalid) {
        $m->forget;
        my $r = $s->client->ask('GET', raw($invalid{$what}, 'gate,close'));
        ok($r->status == 502 || !$r->complete, "$what: the client is told");
        place_stays($s, $what, sub { $m->release });
    }
    $s->log_ok(allow => [trouble]);
};

# A WebSocket, open on both sides.
sub tunnel {
    my ($s, $then) = @_;
    my $c = $s->client;
    $c->request('GET', "/upgrade?then=$then", [ Connection => 'Upgrade', Upgrade => 'websocket' ]);
    is($c->start_response->status, 101, 'a tunnel');
    return $c;
}

subtest 'a WebSocket whose client goes away' => sub {
    my $s = server('concurrency=1');
    $m->forget;
    tunnel($s, 'gate,close')->abort;
    place_stays($s, 'RST', sub { $m->release });
    $s->log_ok(allow => [trouble]);
};

# What a member does for ever, and how the client leaves it.
my %endless = (
    'events'            => sub { my $c = $_[0]->client; $c->request('GET', '/sse?n=10000&ms=20'); $c->start_response; $c->close },
    'an invalid answer' => sub { $_[0]->client->ask('GET', raw($invalid{'two lengths'}, 'gate')) },
    'a WebSocket'       => sub { tunnel($_[0], 'gate')->abort },
);

subtest 'an answer without an end' => sub {
    my $s = server('concurrency=1');
    for my $what (sort keys %endless) {
        $m->forget;
        $endless{$what}->($s);
        my $from = time;
        my $conn = $m->last_request->{conn};
        my $next = $s->client(timeout => 15);
        $next->request('GET', '/echo/next');
        ok($m->await_end_of($conn, 1), "$what: the member learns at once that nobody listens any more");
        is($next->response->status, 200, "$what: and is closed when it goes on, for the next request");
        cmp_ok(time - $from, '<', 8 * patience, "$what: soon");
        is($s->unrest(2), '', "$what: nothing is left");
    }
    $s->log_ok(allow => [trouble]);
};

subtest 'without a limit nobody waits for that' => sub {
    my $s = server('', 'response=300ms');
    $m->forget;
    is($s->client->ask('GET', '/hang')->status, 504, 'too late');
    ok($m->await_end_of($m->last_request->{conn}), 'the connection is closed at once');
    is($s->unrest(1), '', 'and nothing is left');
    $s->log_ok(allow => [trouble]);
};

done_testing;
