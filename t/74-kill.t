# Children killed with SIGKILL, at random and under load: the clients of a killed child notice, nobody else does, and nothing
# that the child had is lost for longer than a second.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;
use Time::HiRes qw(time);

my $prefork = Abl::Server->default_mpm eq 'prefork';
my $seconds = 30;
my $service = 20;    # ms
my @m = map { Abl::Counter->start(name => $_) } qw(a b);
my $s = Abl::Server->start(
    status => 1, children => $prefork ? 40 : 4, threads => 16,
    conf   => balancer('app', (map { [ $_, 'concurrency=1' ] } @m), 'BalancerMethod leastbusy',
        'BalancerQueue length=1000 timeout=60s') . <<'END' . ($prefork ? "StartServers 40\nMinSpareServers 10\n" : "MinSpareThreads 40\n"),
BalancerPass / app
END
);
$s->expect_kills;

subtest 'one that is killed while its request is at a member, and others wait' => sub {
    my $m = Abl::Member->start(name => 'gate');
    my $t = Abl::Server->start(status => 1, children => $prefork ? 12 : 3, threads => 4,
        conf => balancer('app', [ $m, 'concurrency=1' ], 'BalancerQueue length=100 timeout=30s') . <<'END');
BalancerPass / app
LogFormat "%P" pid
CustomLog "@DIR@/pids.log" pid
END
    $t->expect_kills;
    # the one child that has a connection open to the member
    my $holder = sub {
        my $inode = qr/socket:\[\d+\]/;
        my $port  = sprintf ':%04X', $m->port;
        my %to_member = map { (split)[9] => 1 } grep { (split)[2] =~ /\Q$port\E\z/ } split /\n/, slurp('/proc/net/tcp');
        for my $pid ($t->children) {
            for my $fd (glob "/proc/$pid/fd/*") {
                my $link = readlink $fd or next;
                return $pid if $link =~ /\Asocket:\[(\d+)\]\z/ && $to_member{$1};
            }
        }
        return;
    };
    my $first = $t->client;
    $first->request('GET', '/gate');
    $m->await_requests(1);
    my $pid = $holder->() or return fail('a child has a connection to the member');
    my @waits;
    for my $n (1 .. 5) {
        push @waits, $t->client;
        $waits[-1]->request('GET', "/echo/$n");
        ok($t->await_queue($n), "request $n waits");
    }
    my $from = time;
    kill 'KILL', $pid;
    my %count = (served => 0, cut => 0);
    for my $c (@waits) {    # some may have been that child's own
        my $r = $c->response;
        if ($r->complete && $r->status == 200) { $count{served}++ }
        else                                   { $count{cut}++; ok($c->end, 'cut with its child') }
    }
    cmp_ok(time - $from, '<', 1 + 1.5 * patience, 'the queue moves on within a second');
    is($count{served} + $count{cut}, 5, "$count{served} were served, $count{cut} cut");
    ok($first->await_end, 'the client of the killed one notices');
    is($t->unrest(1 + patience), '', 'nothing is left');
    ok((wait_until { !grep { $_->{pid} == $pid } @{ $t->status_json->{seats} } } 3), 'its seat is free');
    is($t->client->ask('GET', '/echo')->status, 200, 'and the next request is served');
    $t->log_ok(allow => [trouble]);
};

subtest 'at random, for half a minute' => sub {
    my $load = Abl::Load->start(port => $s->port, clients => 24, path => "/work?ms=$service");
    ok((wait_until { $s->status_balancer->{queue}{length} >= 10 } 15), 'the queue has filled');
    srand 74;
    my ($kills, $end) = (0, time + $seconds);
    my %sound = (ok => 0);
    while (time < $end) {
        select undef, undef, undef, 0.1 + rand 0.4;
        my @children = $s->children or next;
        $kills += kill 'KILL', $children[ rand @children ];
        my $status = eval { $s->status_json } or next;    # its own child may be the one
        $sound{ $status->{check} }++;
    }
    my $seen = $load->finish;
    cmp_ok($kills, '>', 30, "$kills children were killed");
    cmp_ok($seen->{broken}, '>', 0, "$seen->{broken} clients have noticed");
    is_deeply([ keys %{ $seen->{answers} } ], [200], "all $seen->{answers}{200} others were answered with 200") or diag(explain($seen));
    is($seen->{unfinished}, 0, 'everybody');
    cmp_ok($seen->{longest_gap}, '<', 1 + ($service / 1000) + 0.3 * patience,
        sprintf 'no stall: the longest was %.2f s', $seen->{longest_gap});
    is_deeply([ keys %sound ], ['ok'], "the ledger was sound whenever asked, $sound{ok} times") or diag(explain(\%sound));
    is($s->unrest(1), '', 'and nothing is left a second later');
    my %alive = map { $_ => 1 } $s->children, $s->status_json->{control};
    ok((wait_until { !grep { !$alive{ $_->{pid} } } @{ $s->status_json->{seats} } } 3), 'no seat of a dead child');
};

# httpd finds it strange too: its own pace of new children, and that many die
$s->log_ok(allow => [ trouble, 'AH10159', 'AH10392', 'AH10393', 'AH00287' ]);
done_testing;
