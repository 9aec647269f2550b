# The queue in front of members that are full: its bounds, who leaves it, and what survives it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Digest::SHA qw(sha1_hex);
use Time::HiRes qw(time);

my $prefork = Abl::Server->default_mpm eq 'prefork';
my $m = Abl::Member->start(name => 'a');

# One member that takes one request at a time.
sub server {
    my ($queue, %o) = @_;
    my ($modules, $files, $more, $timeout) = @o{qw(modules files more timeout)};
    return Abl::Server->start(
        status => 1, children => 2, modules => $modules || [], files => $files,
        conf   => balancer('app', [ $m, 'concurrency=1' ], "BalancerQueue $queue", $timeout ? "BalancerTimeout $timeout" : ())
            . "BalancerPass / app\n" . ($more || ''),
    );
}

# A client whose request occupies the member until the test releases it.
sub occupy {
    my ($s) = @_;
    $m->forget;
    my $c = $s->client;
    $c->request('GET', '/gate/occupies');
    $m->await_requests(1);
    return $c;
}

# Clients whose requests wait in the queue, one behind the other.
sub queue {
    my ($s, @paths) = @_;
    my $already = $s->status_balancer->{queue}{length};
    return map {
        my $c = $s->client;
        $c->request('GET', $_);
        ok($s->await_queue(++$already), "$_ is queued");
        $c;
    } @paths;
}

sub served { return map { $_->target } $m->requests }

my $s = server('length=100 timeout=30s');

subtest 'a request waits, and is served' => sub {
    my $first = occupy($s);
    my ($second) = queue($s, '/echo/second');
    is(scalar $m->requests, 1, 'the member has one request');
    my $member = $s->status_member($m);
    is($member->{busy}, 1, 'the status knows it is busy');
    is($member->{concurrency}, 1, 'and its limit');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is($second->response->status, 200, 'then the second');
    is($s->unrest, '', 'nothing is left');
};

subtest 'bodies are intact' => sub {
    my $body  = pattern(200_000);
    my $first = occupy($s);
    my $plain = $s->client;
    $plain->request('POST', '/echo/plain', [], $body);
    $s->await_queue(1);
    my $chunked = $s->client;
    $chunked->expect_answer_to('POST')->send($chunked->head('POST', '/echo/chunked', [ 'Transfer-Encoding' => 'chunked' ]));
    $chunked->send($chunked->chunk($_)) for $body =~ /(.{1,7000})/gs;
    $chunked->send("0\r\n\r\n");
    $s->await_queue(2);
    $m->release;
    is($_->response->status, 200, 'answered') for $first, $plain, $chunked;
    is($_->{sha1}, sha1_hex($body), $_->target) for ($m->requests)[ 1, 2 ];
};

subtest 'a slow upload does not occupy the member' => sub {
    $m->forget;
    my $slow = $s->client;
    $slow->expect_answer_to('POST')->send($slow->head('POST', '/echo/slow', [ 'Content-Length' => 6 ]) . 'abc');
    is($s->client->ask('GET', '/echo/quick')->status, 200, 'another request is served meanwhile');
    $slow->send('def');
    is($slow->response->status, 200, 'and then the slow one');
    is_deeply([served()], [ '/echo/quick', '/echo/slow' ], 'in this order');
    my $gone = $s->client;
    $gone->send($gone->head('POST', '/echo/gone', [ 'Content-Length' => 6 ]) . 'abc');
    $gone->abort;
    is($s->unrest(5), '', 'an upload that ends early leaves nothing');
};

subtest 'WebSocket' => sub {
    my $first = occupy($s);
    my $ws    = $s->client;
    $ws->request('GET', '/upgrade', [ Connection => 'Upgrade', Upgrade => 'websocket' ]);
    ok($s->await_queue(1), 'queued');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is($ws->start_response->status, 101, 'then the tunnel is there');
    $ws->send('hello');
    my $end = time + 5;
    $ws->fill($end - time) until length $ws->pending >= 5 || time > $end || $ws->end;
    is($ws->pending, 'hello', 'and carries');
    is($s->status_member($m)->{busy}, 1, 'the tunnel occupies the member');
    my ($next) = queue($s, '/echo/after');
    ok((stays { !grep { $_ eq '/echo/after' } served() }), 'the next request waits for its end');
    $ws->close;
    is($next->response->status, 200, 'and is served after it');
    is($s->unrest, '', 'nothing is left');
};

subtest 'a client that goes away leaves at once' => sub {
    my %leave = (
        'by FIN' => sub { $_[0]->close },
        'by RST' => sub { $_[0]->abort },
    );
    for my $how (sort keys %leave) {
        my $first = occupy($s);
        my ($gone, $stays) = queue($s, '/echo/gone', '/echo/stays');
        my $from = time;
        $leave{$how}->($gone);
        ok($s->await_queue(1), "$how: one is left in the queue");
        cmp_ok(time - $from, '<', 1 * patience, "$how: at once");
        $m->release;
        is($_->response->status, 200, "$how: the others are answered") for $first, $stays;
        is_deeply([served()], [ '/gate/occupies', '/echo/stays' ], "$how: the member never sees its request");
        is($s->unrest, '', "$how: nothing is left");
    }
};

subtest 'a client that has only sent more is not gone' => sub {
    my $first = occupy($s);
    my $c     = $s->client;
    $c->expect_answer_to('GET')->expect_answer_to('GET')
        ->send($c->head('GET', '/echo/one', []) . $c->head('GET', '/echo/two', []));
    ok($s->await_queue(1), 'queued, with the next request behind it');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is($c->response->status, 200, 'and request one');
    is($c->response->status, 200, 'and request two');
    is_deeply([served()], [ '/gate/occupies', '/echo/one', '/echo/two' ], 'in this order');
};

$s->log_ok(allow => [trouble]);

subtest 'HTTP/2' => sub {
    plan(skip_all => 'prefork and mod_http2 do not go together') if $prefork;
    plan(skip_all => 'curl is missing') unless Abl::Util::tool('curl');
    my $h2 = server('length=100 timeout=30s', modules => ['http2'], more => "Protocols h2c http/1.1\n");
    my $curl = sub {
        my $pid = open my $out, '-|', 'curl', '--silent', '--http2-prior-knowledge', '--noproxy', '*', '--max-time', 30, '-w',
            ' %{http_code} %{http_version}', $h2->url($_[0])
            or die "curl: $!\n";
        return ($pid, $out);
    };
    my $first = occupy($h2);
    my (undef, $stays) = $curl->('/echo/stays');
    ok($h2->await_queue(1), 'queued');
    my ($pid, $gone) = $curl->('/echo/gone');
    ok($h2->await_queue(2), 'one more');
    my $from = time;
    kill 'KILL', $pid;
    close $gone;
    ok($h2->await_queue(1), 'whose client goes away and leaves the queue');
    cmp_ok(time - $from, '<', 2 * patience, 'soon');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    like(do { local $/; <$stays> }, qr/ 200 2\z/, 'and the stream');
    is_deeply([served()], [ '/gate/occupies', '/echo/stays' ], 'the member never sees the other one');
    is($h2->unrest, '', 'nothing is left');
    $h2->log_ok(allow => [trouble]);
};

subtest 'a piece of a page whose client goes away' => sub {
    my $t = server('length=100 timeout=30s', modules => ['include'], files => { 'pages/x.shtml' => '<!--#include virtual="/echo/piece" -->' }, more => <<'END');
BalancerStatic /pages
<Directory "@ROOT@/pages">
    Options +Includes
    SetOutputFilter INCLUDES
</Directory>
END
    my $first = occupy($t);
    my ($gone) = queue($t, '/pages/x.shtml');
    my $from = time;
    $gone->abort;
    ok($t->await_queue(0), 'leaves the queue');
    cmp_ok(time - $from, '<', 2 * patience, 'soon');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is_deeply([served()], ['/gate/occupies'], 'the member never sees the piece');
    is($t->unrest, '', 'nothing is left');
    $t->log_ok(allow => [trouble]);
};

sub refused {
    my ($r, $why, $what) = @_;
    is($r->status, 503, "$what: 503");
    like($r->field('Retry-After'), qr/\A[1-9]\d*\z/, "$what: with Retry-After");
    like($r->body, $why, "$what: the page says why");
    return;
}

subtest 'length=' => sub {
    my $t = server('length=2 timeout=30s');
    my $first = occupy($t);
    my @queued = queue($t, '/echo/1', '/echo/2');
    my $from = time;
    refused($t->client->ask('GET', '/echo/3'), qr/\bqueue\b.*\bfull\b/is, 'one too many');
    cmp_ok(time - $from, '<', 2 * patience, 'at once');
    $m->release;
    is($_->response->status, 200, 'the others are answered') for $first, @queued;
    is_deeply([served()], [ '/gate/occupies', '/echo/1', '/echo/2' ], 'and only they were served');
    is($t->unrest, '', 'nothing is left');
    $t->log_ok(allow => [trouble]);
};

subtest 'length=0: no queue' => sub {
    my $t = server('length=0');
    my $first = occupy($t);
    refused($t->client->ask('GET', '/echo/1'), qr/\bfull\b|\bbusy\b/i, 'full');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is($t->client->ask('GET', '/echo/2')->status, 200, 'and the next, after it');
    $t->log_ok(allow => [trouble]);
};

subtest 'timeout=' => sub {
    my $t = server('length=10 timeout=500ms');
    my $first = occupy($t);
    my $from = time;
    my $r = $t->client->ask('GET', '/echo/late');
    my $took = time - $from;
    refused($r, qr{\bnone\b.*\bbecame free\b}i, 'waited too long');
    unlike($r->body, qr/\bfull\b/i, 'it does not say the queue is full');
    cmp_ok($took, '>=', 0.45, 'not before its time');
    cmp_ok($took, '<', 1.5 * patience, 'soon after');
    is($t->status_balancer->{queue}{length}, 0, 'it is no longer in the queue');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    is_deeply([served()], ['/gate/occupies'], 'the member never sees the other one');
    is($t->unrest, '', 'nothing is left');
    $t->log_ok(allow => [trouble]);
};

subtest 'per-client=' => sub {
    my $t = server('length=10 per-client=2 timeout=30s');
    my $first = occupy($t);
    my @queued = queue($t, '/echo/1', '/echo/2');
    refused($t->client->ask('GET', '/echo/3'), qr/\bqueue\b|\bmany\b/i, 'a third place for one address');
    my $other = $t->client(from => '127.0.0.2');
    $other->request('GET', '/echo/other');
    ok($t->await_queue(3), 'another address gets in');
    $queued[0]->abort;
    ok($t->await_queue(2), 'one leaves');
    push @queued, queue($t, '/echo/4');
    $m->release;
    is($_->response->status, 200, 'all of these are answered') for $first, $queued[1], $other, $queued[2];
    is_deeply([served()], [ '/gate/occupies', '/echo/2', '/echo/other', '/echo/4' ], 'in order');
    is($t->unrest, '', 'nothing is left');
    $t->log_ok(allow => [trouble]);
};

subtest 'ErrorDocument is the last word' => sub {
    my $t = server('length=0', more => "ErrorDocument 503 \"our own page\"\n");
    my $first = occupy($t);
    my $r = $t->client->ask('GET', '/echo/1');
    is($r->status, 503, 'refused');
    is($r->body, 'our own page', 'with the page of the configuration');
    like($r->field('Retry-After'), qr/\A[1-9]\d*\z/, 'and Retry-After');
    $m->release;
    is($first->response->status, 200, 'the first is answered');
    $t->log_ok(allow => [trouble]);
};

subtest 'a member that is gone does not keep the queue' => sub {
    my $mortal = Abl::Member->start(name => 'mortal');
    my $t = Abl::Server->start(status => 1, children => 2,
        conf => balancer('app', [ $mortal, 'concurrency=1' ], 'BalancerQueue length=10 timeout=20s') . "BalancerPass / app\n");
    my @c = map { $t->client } 1 .. 4;
    $c[0]->request('GET', '/gate');
    $mortal->await_requests(1);
    for my $n (1 .. 3) { $c[$n]->request('GET', "/echo/$n"); $t->await_queue($n) }
    $mortal->stop;
    my @status = map { $_->response->status } @c;
    is((grep { $_ == 502 || $_ == 503 } @status), 4, 'everybody is told') or diag("@status");
    is($t->unrest, '', 'nothing is left');
    $t->log_ok(allow => [trouble]);
};

done_testing;
