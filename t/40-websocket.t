# Upgraded connections: WebSocket with the npm package ws, and the tunnel beneath it byte by byte.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Abl::App;
use Digest::SHA qw(sha1_hex);
use IO::Select;
use JSON::PP;
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a');
my @upgrade = (Connection => 'Upgrade', Upgrade => 'websocket', 'Sec-WebSocket-Version' => 13,
    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==');

my $s = Abl::Server->start(conf => balancer('app', $m) . balancer('short', $m, 'BalancerTimeout tunnel=500ms')
        . "BalancerPass / app\nBalancerPass /brief short\n");

sub tunnel {
    my ($path, %o) = @_;
    my $c = $s->client(%o);
    $c->request('GET', $path, \@upgrade);
    my $r = $c->start_response;
    is($r->status, 101, "$path: upgraded") or diag($r->body);
    return ($c, $r);
}

# Waits until this many bytes came back.
sub await_bytes { my ($c, $n) = @_; while (length $c->pending < $n) { $c->fill or last } return $c->pending }

subtest 'the handshake' => sub {
    my ($c, $r) = tunnel('/upgrade/x?y');
    is(lc $r->field('Upgrade'), 'websocket', 'Upgrade');
    like($r->field('Connection'), qr/upgrade/i, 'Connection');
    my $seen = $m->last_request;
    is($seen->target, '/upgrade/x?y', 'target');
    is(lc $seen->field('Upgrade'), 'websocket', 'the member is asked for the upgrade');
    like($seen->field('Connection'), qr/upgrade/i, 'with its Connection');
    is($seen->field('Sec-WebSocket-Key'), 'dGhlIHNhbXBsZSBub25jZQ==', 'and its key');
    is($seen->field('X-Forwarded-For'), '127.0.0.1', 'and who asks');
};

subtest 'bytes both ways' => sub {
    my ($c) = tunnel('/upgrade?hello=first');
    is(await_bytes($c, 5), 'first', 'what the member sent right behind its head');
    $c->send("\x00\xff\r\n\r\nGET / HTTP/1.1");
    is(await_bytes($c, 23), "first\x00\xff\r\n\r\nGET / HTTP/1.1", 'any bytes at all');
    my $early = $s->client;
    $early->expect_answer_to('GET')->send($early->head('GET', '/upgrade', \@upgrade) . 'early');
    is($early->start_response->status, 101, 'bytes that follow the request at once');
    is(await_bytes($early, 5), 'early', 'are not lost');
};

subtest 'much, while the other side is slow' => sub {
    my ($c) = tunnel('/upgrade', rcvbuf => 16384);
    my $before = $s->peak_memory;
    my $bytes  = pattern(3 << 20);
    my ($sent, $got) = (0, '');
    while (length $got < length $bytes) {
        $sent += syswrite($c->socket, $bytes, 65536, $sent) || 0 if $sent < length $bytes;
        $c->fill($sent < length $bytes ? 0 : undef) or $sent < length $bytes or last;
        $got .= substr $c->{in}, 0, length $c->{in}, '';
    }
    is(sha1_hex($got), sha1_hex($bytes), '3 MB there and back');
    cmp_ok($s->peak_memory - $before, '<', 8192, 'in bounded memory') unless $ENV{ABL_PRELOAD};
};

subtest 'endings' => sub {
    my ($c) = tunnel('/upgrade');
    my $conn = $m->last_request->{conn};
    $c->close;
    ok($m->await_end_of($conn), 'the client closes: so does the member\'s side');
    ($c) = tunnel('/upgrade');
    $conn = $m->last_request->{conn};
    $c->abort;
    ok($m->await_end_of($conn), 'the client resets');
    my $raw = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nlast words";
    ($c) = tunnel('/raw?b64=' . b64url($raw));
    is(await_bytes($c, 10), 'last words', 'the member closes: its last bytes arrive');
    ok($c->end || $c->await_end, 'and then the end');
    ok($s->await_access(qr/^101 .*upgrade/m), 'logged as 101');
};

subtest 'a client that resets while the member takes nothing' => sub {
    my $t = Abl::Server->start(status => 1, conf => balancer('app', $m) . "BalancerPass / app\nBalancerInline off\n");
    my $c = $t->client;
    $c->request('GET', '/upgrade?then=deaf,hang', \@upgrade);
    is($c->start_response->status, 101, 'upgraded');
    my $ready = IO::Select->new($c->socket);
    1 while $ready->can_write(0.2) && syswrite $c->socket, 'x' x 65536;
    is($t->status_member($m)->{busy}, 1, 'as much as anybody takes');
    $c->abort;
    ok((wait_until { $t->status_member($m)->{busy} == 0 } 5), 'is noticed by the worker that waits, too');
    $t->log_ok;
};

subtest 'refused upgrades are ordinary answers' => sub {
    my $c = $s->client;
    for my $status (200, 403, 404, 426) {
        my $r = $s->client->ask('GET', "/status/$status", \@upgrade);
        is($r->status, $status, "status $status");
        is($r->body, "status $status from a\n", "status $status: its body");
    }
    my $r = $c->ask('GET', '/chunked/1000', \@upgrade);
    is($r->length, 1000, 'a chunked one');
    is($c->ask('GET', '/echo')->status, 200, 'the connection goes on as HTTP');
};

subtest 'what is no upgrade to WebSocket is not tunnelled' => sub {
    for my $case ([ 'h2c' => Connection => 'Upgrade', Upgrade => 'h2c' ], [ 'no Connection' => Upgrade => 'websocket' ]) {
        my ($what, @fields) = @$case;
        my $r = $s->client->ask('GET', '/upgrade', \@fields);
        is($r->status, 200, "$what: an ordinary request");
        is($m->last_request->field('Upgrade'), undef, "$what: without Upgrade");
    }
    my $old = $s->client;
    $old->send("GET /upgrade HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    isnt($old->response->status, 101, 'nor HTTP/1.0');
    my $r = $s->client->ask('POST', '/echo', \@upgrade, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    is((grep { $_->target eq '/smuggled' } $m->requests), 0, 'a POST that asks for it stays one request');
};

subtest 'time-outs of tunnels' => sub {
    my ($c) = tunnel('/brief/upgrade');
    my $from = time;
    for (1 .. 4) { select undef, undef, undef, 0.25; $c->send('x') }
    is(await_bytes($c, 4), 'xxxx', 'one that is used stays, however long');
    ok($c->await_end, 'an idle one ends');
    ($c) = tunnel('/upgrade');
    ok(!$c->await_end(0.7), 'without tunnel= none is ended so soon');
};

subtest 'WebSocket with ws' => sub {
    my $node = Abl::Util::tool('node');
    my %env  = Abl::App::node_env();
    local $ENV{NODE_PATH} = $env{NODE_PATH};
    if (!$node || system($node, '-e', 'require("ws")') != 0) {
        die "node with ws is missing, and nothing may be skipped here\n" if $ENV{CI} || $ENV{ABL_ALL};
        plan(skip_all => 'node with the package ws is not installed');
    }
    my $ws = Abl::App->node('ws.js');
    my $t  = Abl::Server->start(conf => balancer('app', 'BalancerMember ' . $ws->url) . "BalancerPass / app\n");
    my $client = Abl::App->folder . '/ws-client.js';
    my @lines  = qx($node $client ws://127.0.0.1:@{[ $t->port ]}/chat);
    cmp_ok(scalar @lines, '>', 10, 'conversations');
    for my $line (@lines) {
        my $said = decode_json($line);
        ok($said->{ok}, $said->{name}) or diag($said->{got});
    }
    is($t->get('/')->{content}, "no websocket\n", 'and ordinary requests to the same server');
    $t->log_ok;
};

$s->log_ok;
done_testing;
