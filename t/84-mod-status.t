# What mod_status shows: requests and connections that have no worker, and how balancers are.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $page = "<Location /server-status>\n    SetHandler server-status\n</Location>\nBalancerStatic /server-status\nExtendedStatus On\n";

# name => the rest of the balancer's line, of ?auto or (the cells) of the page.
sub lines_of {
    my ($s, $brief) = @_;
    my $body = $s->client->ask('GET', '/server-status' . ($brief ? '?auto' : ''), [ Connection => 'close' ])->body;
    return { $brief ? $body =~ /^AppbalanceBalancer\[(\S+)\]: (.*)$/mg : $body =~ m{^<tr><td>([\w.-]+)</td>(<td>\d+ of \d+</td><td>\d+</td><td>\d+ of \d+</td>)</tr>$}mg };
}

subtest 'a line for each balancer' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b c d);
    my $s = Abl::Server->start(
        modules => ['status'], status => 1,
        conf    => balancer('app', [ $m[0], 'concurrency=1' ], [ $m[1], 'concurrency=1' ], 'BalancerQueue length=7')
            . balancer('Other.one-2', $m[2], [ $m[3], 'status=disabled' ], 'BalancerPlaces 3') . "BalancerPass / app\nBalancerPass /o Other.one-2\n$page",
    );
    is_deeply(lines_of($s, 1), { app => 'members=2 used=2 busy=0 queue=0', 'Other.one-2' => 'members=2 used=1 busy=0 queue=0' },
        'idle; a disabled member is not in use, and a place for one is no member');
    $m[1]->stop;
    is($s->client->ask('GET', '/x')->field('X-Member'), 'a', 'requests do without a member that has ended') for 1 .. 2;
    ok((wait_until { $s->status_member($m[1])->{away} }), 'it is away');
    my @c = map { $s->client } 1 .. 2;
    $c[0]->request('GET', '/gate');
    $m[0]->await_requests(3);
    $c[1]->request('GET', '/next');
    $s->await_queue(1);
    is_deeply(lines_of($s, 1), { app => 'members=2 used=1 busy=1 queue=1', 'Other.one-2' => 'members=2 used=1 busy=0 queue=0' }, 'one is away, one request waits');
    is_deeply(lines_of($s), { app => '<td>1 of 2</td><td>1</td><td>1 of 7</td>', 'Other.one-2' => '<td>1 of 2</td><td>0</td><td>0 of 1000</td>' }, 'for people, too');
    my $html = $s->client->ask('GET', '/server-status')->body;
    like($html, qr{<h2>mod_appbalance</h2>.*<th>balancer</th><th>members in use</th><th>requests at them</th><th>waiting</th>.*</table>}s, 'with a head');
    is(scalar(() = $html =~ /<table\b/g), scalar(() = $html =~ m{</table>}g), 'the page is whole');
    $m[0]->release;
    is($_->response->status, 200, 'answered') for @c;
    ok((wait_until { lines_of($s, 1)->{app} eq 'members=2 used=1 busy=0 queue=0' }), 'nobody waits any more');
    $s->log_ok(allow => ['ABL0070']);
};

subtest 'without a balancer' => sub {
    my $s = Abl::Server->start(modules => ['status'], conf => $page);
    is_deeply([ lines_of($s, 1), lines_of($s) ], [ {}, {} ], 'there is no line');
    $s->log_ok;
};

if (Abl::Server->default_mpm ne 'event') {
    note('only the event MPM can let a request wait without a thread');
    done_testing;
    exit;
}

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    modules => ['status'], status => 1, children => 2, threads => 8, files => { 'static/a.txt' => "file\n" },
    conf    => balancer('app', $m) . "BalancerPass / app\nBalancerStatic /static\n$page",
);

sub figures { return { map { /^([^:]+): (.*)/ ? ($1 => $2) : () } split /\n/, $s->client->ask('GET', '/server-status?auto', [ Connection => 'close' ])->body } }
sub figure { my ($name) = @_; return figures()->{$name} }

my @c = map { $s->client } 1 .. 12;
$_->request('GET', '/gate') for @c;
ok($m->await_requests(12), 'they all wait for the member');
ok((wait_until { figure('AppbalanceParkedRequests') == 12 }), 'and are shown') or diag(explain(figures()));
is(figure('AppbalanceAdoptedConnections'), 12, 'their connections too');
cmp_ok(figure('BusyWorkers'), '<', 4, 'they are not busy workers');
like($s->client->ask('GET', '/server-status')->body, qr/12 requests wait without a worker/, 'for people');
my $sum = 0;
$sum += $_->{parked} for @{ $s->status_json->{seats} };
is($sum, 12, 'and in balancer-status');
$m->release;
$_->response for @c;
ok((wait_until { figure('AppbalanceParkedRequests') == 0 }), 'nobody waits any more');
is(figure('AppbalanceAdoptedConnections'), 12, 'the connections are kept');

my $before = figures()->{'Total Accesses'};
for my $turn (1 .. 5) { $_->ask('GET', '/length/100000') for @c }
$s->client->ask('GET', '/length/10', [ Connection => 'close' ]) for 1 .. 20;    # these httpd counts by itself
my $after = figures();
cmp_ok($after->{'Total Accesses'} - $before, '>=', 80, 'their requests are counted');
cmp_ok($after->{'Total Accesses'} - $before, '<=', 82, 'once') or diag(explain($after));
cmp_ok($after->{'Total kBytes'}, '>=', 60 * 100_000 / 1024, 'and their bytes');
$_->close for @c;
ok((wait_until { figure('AppbalanceAdoptedConnections') == 0 }), 'closed connections are gone');
is($s->unrest, '', 'nothing is left');
$s->log_ok;

done_testing;
