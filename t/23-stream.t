# What a member sends slowly reaches the client as it comes: nothing waits for more to follow.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    modules => [qw(filter deflate)],
    conf    => balancer('app', $m) . "BalancerPass / app\n",
);

# The member sends the next event only when told to, so an event that is here cannot have waited for one.
subtest 'server sent events' => sub {
    my $c = $s->client;
    $c->request('GET', '/sse?n=4&ms=gate');
    my $r = $c->start_response;
    is($r->status, 200, 'the head comes with the first event');
    is($r->field('Content-Type'), 'text/event-stream', 'and says what it is');
    for my $n (1 .. 4) {
        ok($r->await_body(qr/data: $n\n\n\z/), "event $n is here before the next one is sent");
        $m->release;
    }
    1 while defined $r->more;
    ok($r->complete, 'the end is the end');
};

subtest 'events over a minute of silence are not cut by the first-byte time-out' => sub {
    my $t = Abl::Server->start(
        conf => balancer('app', $m, 'BalancerTimeout response=300ms') . "BalancerPass / app\n");
    my $c = $t->client;
    $c->request('GET', '/sse?n=2&ms=600');
    my $r = $c->response;
    ok($r->complete, 'complete');
    like($r->body, qr/data: 2/, 'with the late event');
    $t->log_ok;
};

subtest 'a head alone' => sub {
    my $c    = $s->client;
    my $head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Early: 1\r\n\r\n";
    $c->request('GET', '/raw?then=hang&b64=' . b64url($head));
    my $r = $c->start_response;
    is($r->field('X-Early'), 1, 'reaches the client before any byte of the body');
    $c->close;
    ok($m->await_end_of($m->last_request->{conn}), 'the member is let go when the client leaves');
};

subtest 'half a body' => sub {
    for my $raw ("Content-Length: 10\r\n\r\nfirst", "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "\r\nfirst") {
        my $c = $s->client;
        $c->request('GET', '/raw?then=hang&b64=' . b64url("HTTP/1.1 200 OK\r\n$raw"));
        my $r = $c->start_response;
        ok($r->await_body(qr/first/), 'reaches the client: ' . ($raw =~ /\A([\w-]+)/ ? $1 : 'until close'));
        $c->close;
    }
};

subtest 'a client that leaves in the middle of a stream' => sub {
    $m->forget;
    my $c = $s->client;
    $c->request('GET', '/sse?n=1000&ms=20');
    my $r = $c->start_response;
    $r->await_body(qr/data: 1\n/);
    my ($conn) = map { $_->{conn} } $m->requests;
    $c->abort;
    ok($m->await_end_of($conn), 'the member\'s connection is closed');
    ok($s->await_access(qr/^499 .*sse/m), 'logged as 499');
};

subtest 'many streams at once' => sub {
    my $n = Abl::Server->default_mpm eq 'prefork' ? 6 : 12;
    my @c = map { $s->client } 1 .. $n;
    $_->request('GET', '/sse?n=3&ms=50') for @c;
    is((grep { my $r = $_->response; $r->complete && $r->body =~ /data: 3/ } @c), $n, 'all arrive whole');
};

$s->log_ok(allow => [trouble]);
done_testing;
