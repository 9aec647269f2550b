# balancer-status: the ledger as JSON, for reading.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my @m = map { Abl::Member->start(name => $_) } qw(a b c);
my $conf = balancer('app', [ $m[0], 'concurrency=1 route=one weight=1.5' ], [ $m[1], 'status=backup set=3' ], 'BalancerMethod latency',
    'BalancerQueue length=7 per-client=5')
    . balancer('other', $m[2]) . <<'END';
BalancerPass /app app
BalancerPass /gate app
BalancerPass /other other
<Location /secret>
    SetHandler balancer-status
    Require all denied
</Location>
END
my $s = Abl::Server->start(status => 1, conf => $conf);

subtest 'what it says' => sub {
    my $c = $s->client;
    is($c->ask('GET', '/app/x')->status, 200, 'a request') for 1 .. 3;
    my $gate = $s->client;
    $gate->request('GET', '/gate/x');
    $m[0]->await_requests(4);
    my $waiting = $s->client;
    $waiting->request('GET', '/app/y');
    $s->await_queue(1);
    my $got = $s->status_json;
    is($got->{version}, 1, 'its version');
    is($got->{check}, 'ok', 'the verdict');
    cmp_ok(scalar @{ $got->{seats} }, '>=', 1, 'seats');
    ok(kill(0, $got->{seats}[0]{pid}), 'of processes that live');
    my ($app, $other) = @{ $got->{balancers} };
    is("$app->{name} $app->{method} $other->{name} $other->{method}", 'app latency other roundrobin', 'balancers in their order');
    my $age = delete $app->{queue}{head_age_ms};
    cmp_ok($age, '>', 0, 'the age of the head');
    is_deeply([ @{ $app->{queue} }{qw(length limit per_client waited)} ], [ 1, 7, 5, 0 ], 'the queue');
    my ($a, $b) = @{ $app->{members} };
    is($a->{address}, $m[0]->url, 'address');
    is_deeply([ @$a{qw(route status set weight concurrency busy queued requests failures)} ], [ 'one', 'on', 0, 1.5, 1, 1, 0, 4, 0 ], 'the first');
    is_deeply([ @$b{qw(status set weight concurrency busy requests latency_ms)} ], [ 'backup', 3, 1, 0, 0, 0, undef ], 'the second');
    cmp_ok($a->{latency_ms}, '>', 0, 'a latency');
    cmp_ok($a->{bytes}, '>', 300, 'bytes both ways');
    ok(!$a->{draining} && !$a->{removed}, 'neither draining nor removed');
    $m[0]->release;
    is($_->response->status, 200, 'answered') for $gate, $waiting;
};

subtest 'only for reading, and only for whom it is meant' => sub {
    my $c = $s->client;
    my $r = $c->ask('POST', "/-/status", [], 'x=1');
    is($r->status, 405, 'POST');
    like($r->field('Allow'), qr/GET/, 'which says what is allowed');
    is($s->client->ask('GET', '/secret')->status, 403, 'Require holds');
    $r = $s->client->ask('HEAD', "/-/status");
    is($r->status, 200, 'HEAD');
    $r = $s->client->ask('GET', "/-/status");
    is($r->field('Content-Type'), 'application/json', 'a type');
    is($r->field('Cache-Control'), 'no-store', 'nobody keeps it');
};
$s->log_ok(allow => [qr/AH01630/]);

subtest 'with no balancer at all' => sub {
    my $none = Abl::Server->start(status => 1, conf => '');
    is_deeply($none->status_json->{balancers}, [], 'an empty list');
    $none->log_ok;
};

done_testing;
