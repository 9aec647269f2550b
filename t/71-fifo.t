# One queue for the whole server: requests that come to different children are served in the order in which they came.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;

plan(skip_all => 'for an MPM with threads') if Abl::Server->default_mpm eq 'prefork';

my $requests = 200;
my $threads  = 64;
my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    status => 1, children => 4, threads => $threads,
    conf   => balancer('app', [ $m, 'concurrency=1' ], 'BalancerQueue length=1000 timeout=60s') . <<'END',
BalancerPass / app
LogFormat "%P %U" pids
CustomLog "@DIR@/pids.log" pids
END
);

sub in_order {
    my (%o) = @_;
    $m->forget;
    my @clients = $s->client;
    $clients[0]->request('GET', '/gate/first');
    $m->await_requests(1);
    for my $n (1 .. $requests) {
        push @clients, $s->client(timeout => 30);
        $clients[-1]->request('GET', "/echo/$n");
        $s->await_queue($n) or return fail("request $n is in the queue");
    }
    my @gone = $o{leave} ? grep { $_ % 3 == 0 } 1 .. $requests : ();
    $clients[$_]->abort for @gone;
    $s->await_queue($requests - @gone) or return fail('those who are gone are out of the queue');
    my $status = $s->status_json;
    is($status->{check}, 'ok', 'the ledger is sound with a full queue');
    cmp_ok($status->{balancers}[0]{queue}{head_age_ms}, '>', 0, 'the queue has an age');
    $m->release;
    my %gone = map { $_ => 1 } @gone;
    my @stay = grep { !$gone{$_} } 1 .. $requests;
    is((grep { $clients[$_]->response->status == 200 } 0, @stay), 1 + @stay, 'all are answered');
    my (undef, @served) = map { $_->target } $m->requests;
    is_deeply(\@served, [ map {"/echo/$_"} @stay ], 'in the order in which they came');
    return;
}

subtest 'two hundred in a row' => sub { in_order() };

subtest 'across children' => sub {
    my $log = $s->dir . '/pids.log';
    ok((wait_until { (() = slurp($log) =~ m{/echo/}g) == $requests }), 'all are logged');
    my %per_child;
    $per_child{$_}++ for slurp($log) =~ m{^(\d+) /echo/}mg;
    cmp_ok(scalar keys %per_child, '>=', 3, 'at least three children had some: ' . join ', ', sort values %per_child);
};

subtest 'with some that leave from all over the queue' => sub { in_order(leave => 1) };

is($s->unrest, '', 'nothing is left');
$s->log_ok;
done_testing;
