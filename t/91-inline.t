# When a worker waits for an answer by itself, and when the request is parked at once. Who waited with a request is seen afterwards: the
# connection of one that was parked is adopted for good. No assertion depends on how fast anything is.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use List::Util qw(sum0);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $THREADS = 8;    # of the one child

my $m = Abl::Member->start(name => 'a');

# Without the lane, which would adopt a connection that has become idle, too.
sub server {
    return Abl::Server->start(
        threads => $THREADS, status => 1,
        conf    => balancer('app', $m) . "BalancerPass / app\nBalancerInline 1s\nBalancerLane off\n",
    );
}

sub adopted { my ($s) = @_; return sum0(map { $_->{adopted} } @{ $s->status_json->{seats} }) }

# So many requests at once, each on a connection of its own.
sub begin {
    my ($s, $n, $target) = @_;
    return map { my $c = $s->client; $c->request('GET', $target); $c } 1 .. $n;
}

# How many of them are answered.
sub finish { return scalar grep { $_->response->status == 200 } @_ }

subtest 'a member that is known to take longer is not waited for' => sub {
    my $s = server();
    my @c = begin($s, 2, '/echo?delay=100');
    is(finish(@c), 2, 'as long as nothing is known');
    is(adopted($s), 0, 'workers wait');

    @c = begin($s, 20, '/echo?delay=2000');
    is(finish(@c), 20, 'answers that take longer than a worker may wait');
    $_->close for @c;
    ok((wait_until { adopted($s) == 0 }), 'these connections are gone');

    @c = begin($s, $THREADS, '/echo?delay=300');
    is(finish(@c), $THREADS, 'from then on');
    is(adopted($s), $THREADS, 'no worker waits');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'half of the threads may wait' => sub {
    my $s    = server();
    my $most = $THREADS / 2;
    $m->forget;
    my @c = begin($s, $THREADS, '/gate');
    ok($m->await_requests($THREADS), 'a member hangs that was never slow');
    $m->release;
    is(finish(@c), $THREADS, 'everybody is served');
    cmp_ok(adopted($s), '>=', $THREADS - $most, 'all that are more have waited without a thread');
    $_->close for @c;
    ok((wait_until { adopted($s) == 0 }), 'these connections are gone');

    @c = begin($s, $most, '/echo?delay=100');
    is(finish(@c), $most, 'those who come then');
    is(adopted($s), 0, 'are waited for again');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

done_testing;
