# Applications are renewed: instances that are worn, stuck or of yesterday make room for others, and no request fails for it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Abl::Team;
use List::Util qw(max);
use Time::HiRes qw(time sleep);

needs(qw(python3));

# Looks at the instances again and again until this is so; returns whether it came to be, and how few were ready at any look.
sub fewest_until {
    my ($t, $code) = @_;
    my ($end, $fewest) = (time + 20 * patience, 1000);
    while (1) {
        my $app   = $t->app;
        my $ready = grep { $_->{state} eq 'ready' } @{ $app->{instances} };
        $fewest = $ready if $ready < $fewest;
        my $done = $code->($app);
        return ($done, $fewest) if $done || time > $end;
        sleep 0.005;
    }
}

# All that there are is ready, nobody of these is among them, and so it stays.
sub are_others {
    my ($n, @before) = @_;
    my %old = map { $_ => 1 } @before;
    return sub {
        my @all = @{ $_[0]{instances} };
        return !$_[0]{rolling} && @all == $n && !grep { $_->{state} ne 'ready' || $old{ $_->{pid} } } @all;
    };
}

# How many lived at once, as each has found when it began.
sub most_alive { my ($t) = @_; return max map { $_->[2] } $t->diary('begins') }

subtest 'so many requests' => sub {
    my $t = Abl::Team->start(keys => 'requests=20 instances=2', habits => 'diary=@DIR@/diary');
    ok($t->await_ready(2), 'two are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 8, path => '/sleep/5');
    ok((wait_until { $t->app->{starts} > 8 } 30), 'they are replaced');
    $t->unharmed($load, 'requests=');
    my %got;
    $got{ $_->[0] }++ for $t->diary('gets');
    cmp_ok(scalar(keys %got), '>', 6, 'many have served');
    cmp_ok(max(values %got), '<=', 20, 'nobody has had more');
    is_deeply([ $t->diary('has') ], [], 'nor more than one at a time');
    $t->server->log_ok;
};


subtest 'so much memory' => sub {
    my $t = Abl::Team->start(keys => 'memory=60M instances=2');
    ok($t->await_ready(2), 'two are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 8, path => '/leak/3');
    my ($most, $end) = (0, time + 20 * patience);
    while ($t->app->{starts} <= 6 && time < $end) {
        for my $pid (map { $_->{pid} } $t->instances('any')) {
            my ($kb) = (eval { slurp("/proc/$pid/smaps_rollup") } // '') =~ /^Pss:\s+(\d+)/m;
            $most = $kb if ($kb || 0) > $most;
        }
        sleep 0.02;
    }
    cmp_ok($t->app->{starts}, '>', 6, 'they are replaced');
    $t->unharmed($load, 'memory=');
    cmp_ok($most, '<', 75 * 1024, 'none has had much more');
    cmp_ok($most, '>', 40 * 1024, 'but most of it') or diag(explain($t->app));
    $t->server->log_ok;
};


subtest 'age' => sub {
    my $t = Abl::Team->start(keys => 'age=500ms');
    ok($t->await_ready(1), 'it is ready');
    my ($pid) = $t->pids;
    my $load = Abl::Load->start(port => $t->server->port, clients => 4, path => '/sleep/5');
    ok((wait_until { my @now = $t->pids; @now && !grep { $_ == $pid } @now } 10), 'it is replaced');
    $t->unharmed($load, 'age=');
    $t->server->log_ok;
};


subtest 'stuck' => sub {
    my $t = Abl::Team->start(keys => 'stuck=300ms stop-timeout=300ms');
    ok($t->await_ready(1), 'it is ready');
    my ($pid) = $t->pids;
    is($t->server->get('/hang')->{status}, 504, 'the client is told');
    ok((wait_until { !kill 0, $pid } 5), 'the instance is ended');
    is($t->server->get('/pid')->{status}, 200, 'another one serves');
    ($pid) = $t->pids;
    my $c = $t->server->client;
    $c->request('GET', '/hang');
    ok((wait_until { $t->server->status_member("http://127.0.0.1:" . ($t->instances)[0]{address} =~ s/.*://r)->{busy} } 5), 'a request is there');
    $c->close;
    ok((wait_until { !kill 0, $pid } 5), 'also when its client has left');
    $t->server->log_ok(allow => [qr/ABL00(05|09|35|37)/]);
};


subtest 'stuck, and asked where' => sub {
    my $t = Abl::Team->start(keys => 'stuck=300ms stop-timeout=500ms env:ABL_TEST_DIR=@DIR@', habits => 'complains stubborn family');
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my ($pid) = $t->pids;
    is($s->get('/hang')->{status}, 504, 'the client is told');
    ok($s->await_log(qr/ABL0030: web\[\d+\] $pid: it hangs at \/hang$/m), 'it says where it hangs, on SIGQUIT');
    ok($s->await_log(qr/ABL0035: .*\(pid $pid\) .*stuck=\W+signal 9 /), 'and is killed, because it goes on');
    ok($t->await_ready(1), 'another one takes its place');
    is($s->get('/pid')->{status}, 200, 'and serves');
    is(scalar($t->processes), 3, 'nothing is left of the first one') or diag(map { qx(ps -fp $_) } $t->processes);
    $s->log_ok(allow => [qr/ABL00(05|09|35|37)|ABL0030: .*it hangs/]);
};

subtest 'a rolling restart' => sub {
    my $t = Abl::Team->start(keys => 'instances=3 restart-file=@DIR@/restart failures=3 retry=1h', habits => 'broken=@DIR@/broken start=0.1 diary=@DIR@/diary');
    ok($t->await_ready(3), 'three are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 6, path => '/sleep/10');
    my %how  = (
        'by touching a file' => sub { spew($t->dir . '/restart', '') },
        'by a signal'        => sub { kill HUP => $t->control },
    );
    for my $how (sort keys %how) {
        my $others = are_others(3, $t->pids);
        $how{$how}->();
        my ($done, $fewest) = fewest_until($t, $others);
        ok($done, $how);
        is($fewest, 3, 'three are ready at any time');
    }
    my @before = $t->pids;
    spew($t->dir . '/broken', '');
    kill HUP => $t->control;
    my ($done, $fewest) = fewest_until($t, sub { $t->server->log =~ /ABL0034/ });
    ok($done, 'one that does not work stops it');
    is($fewest, 3, 'three are ready at any time');
    is_deeply([ $t->pids ], \@before, 'and all is as before');
    $t->unharmed($load, 'meanwhile');
    is(most_alive($t), 4, 'there was one more while one replaced another');
    is_deeply([ $t->diary('has') ], [], 'nobody has more than one request at a time');
    $t->server->log_ok(allow => [qr/ABL003[345]|ABL0030: .*something is broken/]);
};

# Requests that take a while, so that the old one is there for a while when it has to go; and in the end a place is free for one more.
subtest 'a rolling restart without one more' => sub {
    for my $ports (3, 8) {
        my $t = Abl::Team->start(keys => 'instances=3 surge=0', ports => $ports, habits => 'start=0.1 diary=@DIR@/diary');
        ok($t->await_ready(3), "$ports ports: three are ready");
        my $others = are_others(3, $t->pids);
        my $load   = Abl::Load->start(port => $t->server->port, clients => 6, path => '/sleep/300');
        ok($t->serves(6), 'and have requests');
        kill HUP => $t->control;
        my ($done, $fewest) = fewest_until($t, $others);
        ok($done, 'all are replaced');
        is($fewest, 2, 'one by one');
        $t->unharmed($load, 'meanwhile');
        is(most_alive($t), 3, 'there have never been more than three');
        $t->server->log_ok;
    }
};

# A request that may be sent again goes to the new instance then.
subtest 'who does not finish while it drains' => sub {
    my $t = Abl::Team->start(keys => 'drain-timeout=600ms', habits => 'diary=@DIR@/diary');
    my $s = $t->server;
    for my $case ([ GET => 200 ], [ POST => 502 ]) {
        my ($method, $status) = @$case;
        ok($t->await_ready(1), 'it is ready');
        my ($old) = $t->pids;
        my $c = $s->client;
        $c->request($method, "/hang-at/$old", [], $method eq 'POST' ? '' : undef);
        ok((wait_until { grep { $_->[0] == $old } $t->diary('gets') } 5), 'it has a request');
        my $from = time;
        kill HUP => $t->control;
        ok((wait_until { my ($i) = grep { $_->{pid} == $old } $t->instances('draining'); $i && $i->{leaves_because} eq 'rolling restart' } 10), 'it drains');
        is($s->get('/pid')->{status}, 200, 'another one serves');
        ok((wait_until { !kill 0, $old } 10), 'it is ended');
        cmp_ok(time - $from, '>=', 0.6, 'not before drain-timeout=');
        ok($s->await_log(qr/ABL0035: .*\(pid $old\) .*rolling restart\W+signal 15 /), 'which is said');
        is($c->response->{status}, $status, "the client of a $method is answered $status");
    }
    $s->log_ok(allow => [qr/ABL0003: .* closed the connection without an answer, and the request is not sent again/]);
};

# Each is three processes; what an instance leaves behind would be found among them.
subtest 'who has to go and does not want to' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 stop-timeout=500ms env:ABL_TEST_DIR=@DIR@', habits => 'stubborn family');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my @old  = $t->pids;
    my $load = Abl::Load->start(port => $s->port, clients => 4, path => '/sleep/10');
    my $from = time;
    kill HUP => $t->control;
    my ($done, $fewest) = fewest_until($t, are_others(2, @old));
    ok($done, 'they are replaced');
    is($fewest, 2, 'each when another one is ready');
    cmp_ok(time - $from, '>=', 1, 'not without having had stop-timeout=, one after the other');
    ok($s->await_log(qr/ABL0035: .*\(pid $_\) .*rolling restart\W+signal 9 /), 'killed') for @old;
    $t->unharmed($load, 'meanwhile');
    is(scalar($t->processes), 6, 'nothing is left of them') or diag(map { qx(ps -fp $_) } $t->processes);
    $s->log_ok;
    is_deeply([ $t->processes ], [], 'nor of the others when httpd has ended');
};

subtest 'who is worn and does not want to go' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 requests=20 stop-timeout=300ms env:ABL_TEST_DIR=@DIR@', habits => 'stubborn family');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my $load = Abl::Load->start(port => $s->port, clients => 4, path => '/sleep/5');
    ok((wait_until { (() = $s->log =~ /ABL0035: .*requests=\W+signal 9 /g) >= 4 } 30), 'they are replaced, and killed');
    $t->unharmed($load, 'meanwhile');
    ok($t->await_ready(2), 'then there are two');
    ok((wait_until { $t->processes == 6 } 5), 'and nothing is left of the others') or diag(map { qx(ps -fp $_) } $t->processes);
    $s->log_ok;
};

done_testing;
