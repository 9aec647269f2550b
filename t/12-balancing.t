# Who gets the next request: round robin, weights, the least busy.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my @m = map { Abl::Member->start(name => $_) } qw(a b c);

sub names {
    my ($s, $n) = @_;
    my $c = $s->client;    # one connection is one child under every MPM
    return join ' ', map { $c->ask('GET', '/')->field('X-Member') || '-' } 1 .. $n;
}

sub count { my ($names) = @_; my %n; $n{$_}++ for split / /, $names; return join ' ', map { "$_$n{$_}" } sort keys %n }

subtest 'round robin' => sub {
    my $s = Abl::Server->start(conf => balancer('app', @m) . "BalancerPass / app\n");
    my $names = names($s, 9);
    is(count($names), 'a3 b3 c3', 'evenly');
    unlike($names, qr/(\w) \1/, 'and in turn');
    $s->log_ok;
};

subtest 'weights' => sub {
    my $s = Abl::Server->start(
        conf => balancer('app', [ $m[0], 'weight=5' ], [ $m[1], 'weight=2' ], $m[2], 'BalancerMethod roundrobin')
            . "BalancerPass / app\n");
    my $names = names($s, 16);
    is(count($names), 'a10 b4 c2', 'by weight');
    unlike($names, qr/a a a a/, 'smoothly, not in blocks');
    $s->log_ok;
};

SKIP: {
    skip 'a prefork child has one request at a time', 1 if Abl::Server->default_mpm eq 'prefork';
    subtest 'the least busy' => sub {
        my $s = Abl::Server->start(
            conf => balancer('app', @m, 'BalancerMethod leastbusy') . "BalancerPass / app\n");
        $_->forget for @m;
        my @held = map { my $c = $s->client; $c->request('GET', '/gate'); $c } 1 .. 2;
        wait_until { map({ $_->requests } @m) == 2 };
        my ($free) = grep { !$_->requests } @m;
        is(count(names($s, 5)), $free->name . '5', 'the idle one gets all');
        $_->release for @m;
        is($_->response->status, 200, 'a held one is answered') for @held;
        like(count(names($s, 6)), qr/[ab]\d/, 'then they get some again');
        $s->log_ok;
    };
}

subtest 'a member that refuses gets nothing, and nobody notices' => sub {
    my $s = Abl::Server->start(
        conf => balancer('app', Abl::Member->refused, $m[0]) . "BalancerPass / app\n");
    is(count(names($s, 10)), 'a10', 'ten requests, ten answers');
    $s->log_ok(allow => [trouble]);
};

done_testing;
