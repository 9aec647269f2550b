# Applications are looked after: started, replaced, recycled, rolled, and ended with httpd.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Team;
use Time::HiRes qw(time sleep);

needs(qw(python3));

# Nobody was refused or cut off.
sub unharmed {
    my ($load, $what) = @_;
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, [ keys %{ $seen->{answers} } ] ], [ 0, [200] ], "$what: no request has failed") or diag(explain($seen));
    cmp_ok($seen->{answers}{200} || 0, '>', 20, "$what: of many");
    return;
}

subtest 'a life' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 env:ABL_TEST_DIR=@DIR@', habits => 'family');
    my $s = $t->server;
    is($s->get('/pid')->{status}, 200, 'the first request waits until an instance is there');
    ok($t->await_ready(2), 'two are ready') or diag(explain($t->app));
    my %asked = map { $s->get('/pid')->{content} => 1 } 1 .. 6;
    is_deeply([ sort { $a <=> $b } keys %asked ], [ $t->pids ], 'both serve');
    like(slurp('/proc/' . $t->control . '/cmdline'), qr/\Aappbalance: control\0/, 'the control process says what it is');
    is(scalar($t->processes), 6, 'each with its family');
    my $from = time;
    $s->log_ok;
    cmp_ok(time - $from, '<', 6 * patience, 'httpd ends in time');
    is_deeply([ $t->processes ], [], 'and with it whatever was begun');
};

subtest 'where it listens' => sub {
    for my $place (qw(socket fd)) {
        my $t = Abl::Team->start(place => $place, keys => 'instances=2 ready-uri=/pid');
        ok($t->await_ready(2), "$place: two are ready") or diag(explain($t->app));
        my %asked = map { $t->server->get('/pid')->{content} => 1 } 1 .. 6;
        is_deeply([ sort { $a <=> $b } keys %asked ], [ $t->pids ], 'both serve');
        $t->server->log_ok;
    }
};

subtest 'how it is made' => sub {
    my $t = Abl::Team->start(keys => 'env:COLOUR=blue env:PORT=%{port} umask=027 nice=3 limit:nofile=123');
    my $s = $t->server;
    is($s->get('/env/COLOUR')->{content}, 'blue',   'env:');
    is($s->get('/env/HTTPD_ROOT')->{content}, '(none)', 'nothing of httpd\'s environment');
    like($s->get('/env/PORT')->{content}, qr/\A\d+\z/, 'its port in the environment');
    is($s->get('/cwd')->{content}, $t->dir, 'dir=');
    my ($pid) = $t->pids;
    my $ids = join ' ', (stat "/proc/$pid")[ 4, 5 ];
    is($s->get('/ids')->{content}, "$ids 27 3", 'umask=, nice=');
    like(slurp("/proc/$pid/limits"), qr/^Max open files +123 +123 /m, 'limit:');
    is_deeply([ map { s{.*/}{}r } sort glob "/proc/$pid/fd/*" ], [ 0 .. 3 ], 'nothing is open but its own') or diag(qx(ls -l /proc/$pid/fd));
    $s->log_ok;
};

subtest 'what it says' => sub {
    my $t = Abl::Team->start;
    my $s = $t->server;
    my $pid = $s->get('/pid')->{content};
    $s->get('/say/hello-there');
    ok($s->await_log(qr/ABL0030: web\[\d+\] $pid: hello-there/), 'is in the error log, with its name and pid');
    $s->log_ok(allow => [qr/ABL0030/]);
    $t = Abl::Team->start(keys => 'log=@DIR@/web.log');
    $t->server->get('/say/into-a-file');
    ok((wait_until { slurp($t->dir . '/web.log') =~ /^into-a-file$/m } 5), 'or in its own file');
    $t->server->log_ok;
};

subtest 'instances that die' => sub {
    my $t = Abl::Team->start(keys => 'instances=4', ports => 10);
    ok($t->await_ready(4), 'four are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 12, path => '/sleep/20');
    for (1 .. 5) {
        my ($victim) = $t->pids;
        kill KILL => $victim;
        ok((wait_until { my @now = $t->pids; @now == 4 && !grep { $_ == $victim } @now } 10), 'one that is killed is replaced');
        sleep 1;    # a second of work, after which it counts as one that worked
    }
    unharmed($load, 'kill -9');
    $t->server->log_ok(allow => [qr/ABL0035: .* unasked: signal 9/]);
};

subtest 'the control process dies' => sub {
    my $t = Abl::Team->start(keys => 'instances=2');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my @before = $t->pids;
    my $load   = Abl::Load->start(port => $s->port, clients => 6, path => '/sleep/20');
    for (1 .. 3) {
        my $control = $t->control;
        kill KILL => $control;
        ok((wait_until { $t->control != $control } 10), 'another one takes its place');
    }
    is_deeply([ $t->pids ], \@before, 'the instances are the same');
    unharmed($load, 'meanwhile');
    $s->get('/say/still-heard');
    ok($s->await_log(qr/ABL0030: .*still-heard/), 'what they say is still heard');
    kill KILL => $before[0];
    ok((wait_until { my @now = $t->pids; @now == 2 && $now[0] != $before[0] } 10), 'and they are still looked after');
    $s->log_ok(allow => [qr/ABL003[05]|ABL0045|AH00052/]);
};

subtest 'graceful restarts' => sub {
    my $t = Abl::Team->start(keys => 'instances=2');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my ($control, @before) = ($t->control, $t->pids);
    my $load = Abl::Load->start(port => $s->port, clients => 6, path => '/sleep/20');
    for my $n (1 .. 3) {
        $s->signal('USR1');
        ok((wait_until { (() = $s->log =~ /AH00493.*resuming/g) >= $n } 10), 'httpd restarts');
        sleep 1;    # at work
    }
    unharmed($load, 'meanwhile');
    is_deeply([ $t->control, $t->pids ], [ $control, @before ], 'control process and instances are the same');
    $s->log_ok;
};

done_testing;
