# What a member sends slowly reaches the client as it comes: nothing waits for more to follow.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Compress::Raw::Zlib qw(WANT_GZIP Z_OK Z_STREAM_END);
use Time::HiRes qw(time);

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

# ---- in each way of waiting

my %kinds = (
    'events'               => 'as=chunked&type=text/event-stream',
    'X-Accel-Buffering: no' => 'as=length&unbuffered=1',
    'until close'          => 'as=close',
);

# The test lets the member send the next piece only when this one is here. At once: nobody waits for what does not come.
my $AT_ONCE = 1;    # second, for all three; it was 0.02, and 2 or more where somebody waited

sub comes_in_pieces {
    my ($what, $c, $query) = @_;
    my ($here, $text, $from) = (0, '', time);
    $c->request('GET', "/pieces?n=3&$query");
    my $r = $c->start_response;
    for my $n (1 .. 3) {
        $text .= "data: $n\n\n";
        $here += $r->await_body(qr/\A\Q$text\E\z/) ? 1 : 0;
        $m->release;
    }
    my $took = time - $from;
    1 while defined $r->more;
    is($here, 3, "$what: each is here before the next one is sent");
    cmp_ok($took, '<', $AT_ONCE * patience, "$what: at once");
    ok($r->complete, "$what: and the end");
    return;
}

my @drivers = Abl::Server->default_mpm eq 'event'
    ? map {"BalancerInline $_->[0]\nBalancerLane $_->[1]\n"} [ 0, 'on' ], [ 0, 'off' ], [ '5ms', 'on' ], [ '1s', 'off' ], [ 'off', 'off' ]
    : '';

for my $driver (@drivers) {
    subtest 'pieces, ' . ($driver =~ s/\n/ /gr || 'a thread for each') => sub {
        my $t = Abl::Server->start(conf => $driver . balancer('app', $m) . "BalancerPass / app\n");
        for my $kind (sort keys %kinds) {
            comes_in_pieces($kind, $t->client, $kinds{$kind});
            my $c = $t->client;
            $c->ask('GET', '/length/5') for 1, 2;
            comes_in_pieces("$kind, on a kept connection", $c, $kinds{$kind});
            comes_in_pieces("$kind, once more", $c, $kinds{$kind}) unless $kind eq 'until close';
        }

        # Far more than any buffer on the way holds. Its end is not held back until more comes.
        my $n = 4_000_000;
        for my $kind (qw(chunked length)) {
            my $c = $t->client(rcvbuf => 4096);
            $c->ask('GET', '/length/5');
            $c->request('GET', "/pieces?n=2&as=$kind&size=$n");
            select undef, undef, undef, 0.1;    # all buffers are full
            my $r = $c->start_response(keep => 0);
            for my $piece (1, 2) {
                while ($r->length < $piece * $n) { defined $r->more or last }
                is($r->length, $piece * $n, "a slow client, $kind: all of piece $piece is here before more is sent");
                $m->release;
            }
            1 while defined $r->more;
            ok($r->complete, "a slow client, $kind: and the end");
        }
        $t->log_ok;
    };
}

subtest 'pieces over HTTP/2' => sub {
    plan(skip_all => 'prefork and mod_http2 do not go together') if Abl::Server->default_mpm eq 'prefork';
    my $t = Abl::Server->start(modules => ['http2'], conf => balancer('app', $m) . "BalancerPass / app\nProtocols h2c http/1.1\n");
    my $h = Abl::H2->connect(port => $t->port);
    my %text;
    my $from = time;
    my @streams = map { $h->request('GET', "/pieces?n=3&$kinds{$_}") } sort keys %kinds;
    for my $n (1 .. 3) {
        $_ .= "data: $n\n\n" for @text{@streams};
        for my $id (@streams) { ok($h->await(sub { $h->body($id) eq $text{$id} }), "stream $id: piece $n is here before the next one is sent") }
        $m->release;
    }
    cmp_ok(time - $from, '<', $AT_ONCE * patience, 'at once');
    for my $id (@streams) {
        $h->await(sub { $h->ended($id) });
        is($h->ended($id), 'end', "stream $id: and the end");
    }
    my $size = 300_000;
    $h = Abl::H2->connect(port => $t->port, window => 1000);
    my $id = $h->request('GET', "/pieces?n=2&as=chunked&size=$size");
    for my $piece (1, 2) {
        $h->await(sub { length $h->body($id) > ($piece - 1) * $size });
        for (1 .. $size / 1000) { $h->give($id, 1000) }
        ok($h->await(sub { length $h->body($id) == $piece * $size }), "a slow client: all of piece $piece");
        $m->release;
    }
    $h->await(sub { $h->ended($id) });
    is($h->ended($id), 'end', 'a slow client: and the end');
    $t->log_ok;
};

# mod_deflate obeys a flush: events stay events when they are compressed.
subtest 'compressed events' => sub {
    for my $driver (@drivers) {
        my $t = Abl::Server->start(modules => [qw(filter deflate)], conf => $driver . balancer('app', $m)
            . "BalancerPass / app\nAddOutputFilterByType DEFLATE text/event-stream\n");
        my $c = $t->client;
        $c->ask('GET', '/length/5');
        $c->request('GET', "/pieces?n=3&$kinds{events}", [ 'Accept-Encoding' => 'gzip' ]);
        my $r = $c->start_response;
        is($r->field('Content-Encoding'), 'gzip', 'it is compressed');
        my ($inflate) = Compress::Raw::Zlib::Inflate->new(WindowBits => WANT_GZIP);
        my ($here, $text, $seen) = (0, '', '');
        for my $n (1 .. 3) {
            $text .= "data: $n\n\n";
            while ($seen ne $text) {
                my $packed = $r->more;
                last unless defined $packed;
                my $status = $inflate->inflate($packed, my $plain);
                last unless $status == Z_OK || $status == Z_STREAM_END;
                $seen .= $plain;
            }
            $here += $seen eq $text ? 1 : 0;
            $m->release;
        }
        is($here, 3, 'each event is here before the next one is sent');
        $t->log_ok;
    }
};

$s->log_ok(allow => [trouble]);
done_testing;
