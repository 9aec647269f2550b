# Members that take too long: to accept, to answer, to go on.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a');

# The module's bounds are short, ours wide: a slow machine must not make a wrong answer of a late one.
sub server {
    my ($timeouts, @members) = @_;
    return Abl::Server->start(conf => balancer('app', @members, "BalancerTimeout $timeouts") . "BalancerPass / app\n");
}

sub timed { my ($code) = @_; my $from = time; my $r = $code->(); return ($r, time - $from) }

my $s = server('connect=300ms response=300ms gap=400ms', $m);

subtest 'no answer: 504' => sub {
    for my $method (qw(GET POST)) {
        my ($r, $took) = timed(sub { $s->client->ask($method, '/hang', [], $method eq 'POST' ? 'x' : undef) });
        is($r->status, 504, $method);
        cmp_ok($took, '>', 0.25, "$method: not before its time");
        cmp_ok($took, '<', 3 * patience, "$method: soon after");
        ok($m->await_end_of($m->last_request->{conn}), "$method: the connection is dropped");
    }
    is($s->get('/echo')->{status}, 200, 'the next request is served');
};

subtest 'just in time' => sub {
    my $t = server('response=3s gap=3s', $m);
    is($t->get('/delay/300')->{status}, 200, 'an answer within the bound');
    is($t->get('/gap/300')->{content}, 'firstafter', 'a gap within the bound');
    $t->log_ok;
};

subtest 'a head that never ends is no answer' => sub {
    my ($r, $took) = timed(sub { $s->client->ask('GET', '/trickle/100') });
    is($r->status, 504, 'status 504');
    cmp_ok($took, '<', 5 * patience, 'although bytes kept coming');
};

subtest 'a gap in the body' => sub {
    my ($r, $took) = timed(sub { $s->client->ask('GET', '/gap/8000') });
    ok(!$r->complete || $r->status == 504, 'never a complete-looking answer');
    cmp_ok($took, '<', 4 * patience, 'cut after the bound');
    ok($m->await_end_of($m->last_request->{conn}), 'the member\'s connection is dropped');
    $r = $s->client->ask('GET', '/sse?n=6&ms=150');
    ok($r->complete, 'many short gaps are no gap, however long they last together');
};

subtest 'a member that does not take the body' => sub {
    my $c = $s->client;
    $c->expect_answer_to('POST')->send($c->head('POST', '/stop-reading', [ 'Content-Length' => 64 << 20 ]));
    my $block = pattern(1 << 20);
    for (1 .. 64) { last if $c->send($block) < length $block }
    my $r = $c->response;
    ok($r->status == 504 || $c->end, 'the client is not kept for ever');
};

subtest 'a slow client is not the member\'s fault' => sub {
    my $c = $s->client;
    $c->expect_answer_to('POST')->send($c->head('POST', '/echo', [ 'Content-Length' => 6 ]));
    for my $part (qw(ab cd ef)) {
        select undef, undef, undef, 0.3;
        $c->send($part);
    }
    is($c->response->status, 200, 'a body that takes longer than response=');
};

subtest 'connecting' => sub {
    my $full = Abl::Member->full; # they listen as long as somebody holds them
    my $hole = Abl::Member->blackhole;
    my $t = server('connect=300ms response=2s', $full);
    my ($r, $took) = timed(sub { $t->client->ask('GET', '/') });
    like($r->status, qr/^50[34]$/, 'a full backlog');
    cmp_ok($took, '<', 4 * patience, 'is given up soon');
    $t->log_ok(allow => [trouble]);
    $t = server('connect=300ms response=2s', $full, $m);
    is($t->client->ask('POST', '/echo', [], 'x')->field('X-Member'), 'a', 'the next member') for 1 .. 3;
    $t->log_ok(allow => [trouble]);
    $t = server('response=300ms', $hole, $m);
    $m->forget;
    my $c      = $t->client;    # one connection is one child, and one rotation
    my @status = map { $c->ask('POST', '/echo', [], 'x')->status } 1 .. 2;
    is_deeply([ sort @status ], [ 200, 504 ], 'a black hole has our request, so a POST goes nowhere else');
    is(scalar $m->requests, 1, 'indeed');
    $t->log_ok(allow => [trouble]);
};

$s->log_ok(allow => [trouble]);
done_testing;
