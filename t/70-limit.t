# concurrency=1 is one request at that member at any instant, counted over all children, and the member is never left waiting:
# two members that count, busy for half a minute, behind event and behind prefork, at the same time.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Time::HiRes qw(time);

my $seconds = 30;
# ms; a member in Perl and two wake-ups take the best part of a millisecond between two requests, and three where other programs
# want the processors, too; if anybody polled, or waited for the lock's 20 ms, it would be far more
my $service = 80;
my %kind    = (
    event   => { children => 5, threads => 16, clients => 60 },
    prefork => { children => 27, clients => 24, conf => "StartServers 27\n" },
);

for my $mpm (sort keys %kind) {
    my $k = $kind{$mpm};
    $k->{members} = [ map { Abl::Counter->start(name => "$mpm-$_") } 'a', 'b' ];
    $k->{server}  = Abl::Server->start(
        mpm => $mpm, status => 1, children => $k->{children}, threads => $k->{threads},
        conf => balancer('app', (map { [ $_, 'concurrency=1' ] } @{ $k->{members} }), 'BalancerMethod leastbusy',
            'BalancerQueue length=1000 timeout=60s') . "BalancerPass / app\n" . ($k->{conf} || ''),
    );
}
for my $k (values %kind) {
    $k->{load} = Abl::Load->start(port => $k->{server}->port, clients => $k->{clients}, path => "/work?ms=$service");
}
# all clients are there before we count
for my $k (values %kind) {
    ok((wait_until { $k->{server}->status_balancer->{queue}{length} >= $k->{clients} / 2 } 15), 'the queue has filled');
    $_->reset for @{ $k->{members} };
}

my (%most, $rounds);
my $end = time + $seconds;
while (time < $end) {    # meanwhile the ledger must be right at any moment
    for my $mpm (sort keys %kind) {
        my $status = $kind{$mpm}{server}->status_json;
        $rounds++;
        is($status->{check}, 'ok', "$mpm: check") unless $status->{check} eq 'ok';
        for my $member (@{ $status->{balancers}[0]{members} }) {
            $most{$mpm} = $member->{busy} if $member->{busy} > ($most{$mpm} || 0);
        }
    }
    select undef, undef, undef, 0.5;
}

for my $mpm (sort keys %kind) {
    my $k = $kind{$mpm};
    for my $m (@{ $k->{members} }) {
        my $stats = $m->reset;
        my $busy  = $stats->{busy} / $stats->{elapsed};
        is($stats->{peak}, 1, "$mpm: never more than one request at " . $m->name);
        cmp_ok($busy, '>=', patience > 1 ? 0.9 : 0.95,    # instrumented code is slower than what is measured here
             sprintf '%s: %s was busy %.1f %% of the time', $mpm, $m->name, 100 * $busy);
    }
    my $seen = $k->{load}->finish;
    is_deeply([ keys %{ $seen->{answers} } ], [200], "$mpm: all answers are 200") or diag(explain($seen));
    is($seen->{broken} + $seen->{unfinished}, 0, "$mpm: and every request got one");
    is($most{$mpm}, 1, "$mpm: the ledger says so as well");
    is($k->{server}->unrest, '', "$mpm: nothing is left");
    $k->{server}->log_ok;
}
done_testing;
