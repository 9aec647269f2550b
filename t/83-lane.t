# Requests of kept connections are handled by the loop's own thread. Whatever keeps that thread busy, or from going on at
# all, keeps nobody else: t/module/mod_slow_worker.c has a hook that sleeps.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Cwd ();
use File::Basename qw(dirname);
use Time::HiRes qw(time);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';
my $module = Cwd::abs_path(dirname(__FILE__) . '/..') . '/build/module/.libs/mod_slow_worker.so';
-f $module or die "$module is missing; run make modules first\n";

my $m = Abl::Member->start(name => 'a');

sub server {
    my ($conf, %o) = @_;
    return Abl::Server->start(
        status => 1, threads => 16, children => 1,
        files  => { 'static/a.txt' => "file\n", 'static/big.bin' => 'x' x 3_000_000 }, %o,
        conf   => "LoadModule slow_worker_module \"$module\"\n$conf" . balancer('app', [ $m, $o{keys} || '' ]) . "BalancerPass / app\nBalancerStatic /static\n",
    );
}

# Clients that have been served before.
sub kept { my ($s, $n) = @_; return map { my $c = $s->client(timeout => 20); is($c->ask('GET', '/length/5')->status, 200, 'a first request'); $c } 1 .. $n }

sub undisturbed {
    my ($what, @c) = @_;
    my $from = time;
    for my $turn (1 .. 3) {
        $_->request('GET', '/length/7') for @c;
        is(scalar(grep { $_->response->status == 200 } @c), scalar @c, "$what: turn $turn");
    }
    cmp_ok(time - $from, '<', patience, "$what: at once");
    return;
}

sub slow_ones { my ($s) = @_; return scalar(() = $s->log =~ /slow worker: has a request/g) }

for my $lane (qw(on off)) {
    subtest "BalancerLane $lane: hooks that take long" => sub {
        my $s = server("BalancerLane $lane\n");
        my @c = kept($s, 8);
        for my $n (1, 5) {
            my $before = slow_ones($s);
            my @slow = @c[ 0 .. $n - 1 ];
            $_->request('GET', '/length/9', [ 'X-Slow' => 3000 ]) for @slow;
            ok((wait_until { slow_ones($s) >= $before + $n }), "$n at once");
            undisturbed("meanwhile", @c[ $n .. 7 ], $s->client);
            is(scalar(grep { $_->response->status == 200 } @slow), $n, 'they are answered, too');
            undisturbed("afterwards", @c);
        }
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };

    subtest "BalancerLane $lane: half a request" => sub {
        my $s = server("BalancerLane $lane\n");
        my @c = kept($s, 6);
        my @half = @c[ 0, 1 ];
        $_->send("GET /length/11 HTTP/1.1\r\nHos") for @half;
        undisturbed("meanwhile", @c[ 2 .. 5 ]);
        $_->send("t: h\r\n\r\n") for @half;
        is(length $_->response->body, 11, 'the other half') for @half;
        $half[0]->send("GET /length/11 HTTP/1.1\r\nHos");
        $half[0]->abort;
        undisturbed("and when that is given up", @c[ 2 .. 5 ]);
        $s->log_ok;
    };

    subtest "BalancerLane $lane: everything on one connection" => sub {
        my $s = server("BalancerLane $lane\nKeepAliveTimeout 5\nMaxKeepAliveRequests 1000\n");
        my @c = kept($s, 3);
        my %length = ('/length/5' => 5, '/static/a.txt' => 5, '/static/big.bin' => 3_000_000, '/chunked/10' => 10, '/length/300000' => 300_000, '/static/none' => undef);
        for my $path (sort keys %length, sort keys %length) {
            $_->request('GET', $path) for @c;
            my @r = map { $_->response } @c;
            if (defined $length{$path}) { is(join(' ', map { length $_->body } @r), join(' ', ($length{$path}) x @c), $path) }
            else                        { is(join(' ', map { $_->status } @r), join(' ', (404) x @c), $path) }
        }
        $c[0]->request('POST', '/echo', [ 'Content-Length' => 60 ]);
        $c[0]->trickle('y' x 60, 0.01);
        is($c[0]->response->status, 200, 'a body that comes slowly');
        $c[1]->send(join '', map {"GET $_ HTTP/1.1\r\nHost: h\r\n\r\n"} '/length/5', '/static/a.txt', '/length/7', '/static/big.bin', '/length/8');
        is(join(' ', map { length $c[1]->response->body } 1 .. 5), '5 5 7 3000000 8', 'pipelined');
        is($c[2]->ask('GET', '/length/5', [ Connection => 'close' ])->status, 200, 'Connection: close');
        ok($c[2]->await_end(5), 'is obeyed');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };

    subtest "BalancerLane $lane: a slow client" => sub {
        my $s = server("BalancerLane $lane\n");
        my @c    = kept($s, 6);
        my @lazy = map { my $c = $s->client(timeout => 20, rcvbuf => 4096); $c->ask('GET', '/length/5'); $c } 1 .. 3;
        $_->request('GET', '/length/8000000') for @lazy;
        undisturbed("meanwhile", @c);
        is(scalar(grep { length $_->response->body == 8_000_000 } @lazy), 3, 'it gets all of it');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };
}

subtest 'restarts' => sub {
    my $s = server("BalancerLane on\nKeepAliveTimeout 20\n");
    my @c = kept($s, 4);
    my $generation = sub { return scalar(() = $s->log =~ /resuming normal operations/g) };
    $c[0]->request('GET', '/length/9', [ 'X-Slow' => 2000 ]);
    ok((wait_until { slow_ones($s) }), 'one is at work');
    my $before = $generation->();
    $s->signal('USR1');
    ok((wait_until { $generation->() > $before } 10), 'restarted');
    is($c[0]->response->status, 200, 'it is answered');
    ok($_->await_end(5), 'and the others are closed') for @c[ 1 .. 3 ];
    is($s->client->ask('GET', '/length/5')->status, 200, 'it goes on');
    ok((wait_until { $s->children == 1 } 10), 'the old child ends');
    $s->log_ok;
};

# httpd's handler for a crash (CoreDumpDirectory) has to be called, on whichever thread it happens
subtest 'signals' => sub {
    my $s = server("BalancerLane on\n");
    kept($s, 1);
    my ($pid) = $s->children;
    my @blocked = map { slurp($_) =~ /^SigBlk:\s*\S*?(\w{8})$/m ? hex $1 : () } glob "/proc/$pid/task/*/status";
    cmp_ok(scalar @blocked, '>', 16, 'there are threads');
    my ($SEGV, $TERM) = map { 1 << $_ - 1 } 11, 15;
    is(scalar(grep { $_ & $SEGV } @blocked), 0, 'a crash is told to all of them');
    cmp_ok(scalar(grep { $_ & $TERM } @blocked), '>=', 2, 'and an end not to those of the module');
    $s->log_ok;
};

# without the lane it is one of httpd's workers that reads, and httpd has to kill the child
subtest 'a stop ends half a request' => sub {
    my $s = server("BalancerLane on\n");
    my ($c) = kept($s, 1);
    $c->send("GET /length/11 HTTP/1.1\r\nHos");
    undisturbed('meanwhile', $s->client);
    my $from = time;
    $s->signal('TERM');
    ok((wait_until { !$s->{proc}->alive } 20), 'it ends');
    cmp_ok(time - $from, '<', 5 * patience, 'soon');
};

done_testing;
