# Applications are looked after: started, replaced, recycled, rolled, and ended with httpd.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Team;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

needs(qw(python3));

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
    ok((wait_until { join(' ', map { s{.*/}{}r } sort glob "/proc/$pid/fd/*") eq '0 1 2 3' } 5), 'nothing is open but its own') or diag(qx(ls -l /proc/$pid/fd));
    $s->log_ok;
};

subtest 'as another user' => sub {
    plan skip_all => 'httpd is not started by root here' if $> != 0;
    my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
    for my $place (qw(port socket fd)) {
        my $t = Abl::Team->start(place => $place, keys => 'user=nobody umask=077 ready-uri=/pid');
        my $r = $t->server->get('/ids');
        is($r->{status}, 200, "$place: httpd reaches it");
        like($r->{content}, qr/\A$uid $gid 77 0\z/, 'and it is nobody');
        my ($pid) = $t->pids;
        like(slurp("/proc/$pid/status"), qr/^Groups:\s*(?:$gid)?\s*$/m, 'with no group but his');
        if ($place ne 'port') {
            my $socket = ($t->instances)[0]{address} =~ m{\Aunix:([^|]+)} ? $1 : die;
            is(sprintf('%o', (stat $socket)[2] & 0777), '600', 'nobody else may connect');
        }
        $t->server->log_ok;
    }
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

subtest 'what it says, to a program' => sub {
    my $t = Abl::Team->start(keys => '"log=|exec cat >> @DIR@/piped"');
    my $file = $t->dir . '/piped';
    spew($file, '');
    chmod 0666, $file;
    $t->server->get('/say/to-a-program');
    ok((wait_until { slurp($file) =~ /^to-a-program$/m } 5), 'is read by it');
    my ($cat) = map { m{/proc/(\d+)/} } grep { (readlink || '') eq $file } glob '/proc/[0-9]*/fd/1';
    kill KILL => $cat;
    ok((wait_until { $t->server->get('/say/once-more'); slurp($file) =~ /^once-more$/m } 10), 'and by another one, when it has died');
    $t->server->log_ok(allow => [qr/ABL0030/]);
};

subtest 'who never stops talking' => sub {
    my $t = Abl::Team->start(habits => 'talks');
    my $s = $t->server;
    is($s->get('/pid')->{status}, 200, 'serves all the same');
    ok($s->await_log(qr/ABL0049: web\[1\] \d+: \d+ lines were left out/), 'and some of it is left out');
    is($s->get('/pid')->{status}, 200, 'serves still');
    $s->log_ok(allow => [qr/ABL0030|ABL0049/]);
};

subtest 'instances that die' => sub {
    my $t = Abl::Team->start(keys => 'instances=4', ports => 10);
    ok($t->await_ready(4), 'four are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 8, path => '/sleep/20');
    for (1 .. 5) {
        my ($victim) = $t->pids;
        kill KILL => $victim;
        ok((wait_until { my @now = $t->pids; @now == 4 && !grep { $_ == $victim } @now } 10), 'one that is killed is replaced');
        sleep 1;    # a second of work, after which it counts as one that worked
    }
    $t->unharmed($load, 'kill -9');
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
    $t->unharmed($load, 'meanwhile');
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
        ok((wait_until { (() = $s->log =~ /resuming normal operations/g) > $n } 10), 'httpd restarts');
        sleep 1;    # at work
    }
    $t->unharmed($load, 'meanwhile');
    is_deeply([ $t->control, $t->pids ], [ $control, @before ], 'control process and instances are the same');
    $s->log_ok;
};

subtest 'the configuration changes' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 env:COLOUR=blue env:ABL_TEST_DIR=@DIR@');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my $load    = Abl::Load->start(port => $s->port, clients => 4, path => '/sleep/20');
    my @before  = $t->pids;
    my $control = $t->control;
    ok($t->reconfigure(sub { s/instances=2/instances=3/ }), 'one more');
    ok($t->await_ready(3), 'comes');
    my %now = map { $_ => 1 } $t->pids;
    is(scalar(grep { $now{$_} } @before), 2, 'and the others stay');
    ok($t->reconfigure(sub { s/instances=3/instances=1/ }), 'two fewer');
    ok($t->await_ready(1), 'go');
    ok($t->reconfigure(sub { s/COLOUR=blue/COLOUR=red/ }), 'made differently');
    ok((wait_until { $s->get('/env/COLOUR')->{content} eq 'red' } 10), 'they are replaced');
    ok($t->await_ready(1), 'each');
    my $old = $t->{first};
    $t->{first} = Abl::Team::free_ports($t->{nports});
    ok($t->reconfigure(sub { my $ports = $t->ports; s/ports=$old-\d+/$ports/ }), 'other ports');
    ok((wait_until { my @i = $t->instances('any'); @i == 1 && $i[0]{address} !~ /:$old/ } 10), 'are used');
    $t->unharmed($load, 'meanwhile');
    is($t->control, $control, 'the control process is the same');
    ok($t->reconfigure(sub { s/^( *)BalancerApp web.*$/$1BalancerMember http:\/\/127.0.0.1:1/m }), 'no application any more');
    ok((wait_until { !$t->processes } 10), 'nothing of it is left') or diag(join ' ', $t->processes);
    ok((wait_until { !kill 0, $control } 10), 'and no control process');
    my $line = $t->section(keys => 'instances=1 env:ABL_TEST_DIR=@DIR@') =~ /^( *BalancerApp.*)$/m ? $1 : die;
    ok($t->reconfigure(sub { s/^ *BalancerMember .*$/$line/m }), 'and one again');
    is($s->get('/pid')->{status}, 200, 'which serves');
    $s->log_ok(allow => [qr/ABL0002/]);
    is_deeply([ $t->processes ], [], 'until httpd ends');
};

subtest 'what does not work' => sub {
    my %case = (
        'exit=7'                     => qr/exit status 7/,
        'deaf'                       => qr/not ready within start-timeout=/,
    );
    for my $habit (sort keys %case) {
        my $t = Abl::Team->start(habits => "$habit pidfile=\@DIR@/pids", keys => 'start-timeout=200ms failures=3 retry=1h stop-timeout=200ms', queue => '200ms');
        ok((wait_until { $t->app->{failed} } 10), "$habit: it has failed") or diag(explain($t->app));
        like($t->app->{last_failure}{why}, $case{$habit}, 'and the status says how');
        is_deeply($t->app->{last_failure}{last_lines}, $habit eq 'deaf' ? [] : ['what a pity'], 'and what it said last');
        is($t->server->get('/pid')->{status}, 503, 'who has waited for too long is told');
        is($t->server->get('/static/a.txt')->{status}, 200, 'the rest goes on');
        is(() = slurp($t->dir . '/pids') =~ /\n/g, 3, 'and nothing is started any more');
        $t->server->log_ok(allow => [qr/ABL003[0235]|ABL0018/]);
    }
    my $t = Abl::Team->start(habits => 'broken=@DIR@/broken', keys => 'failures=2 retry=300ms instances=2');
    ok($t->await_ready(2), 'two are ready');
    spew($t->dir . '/broken', '');
    my ($victim) = $t->pids;
    kill KILL => $victim;
    ok((wait_until { $t->app->{failed} } 10), 'new ones do not work');
    is($t->server->get('/pid')->{status}, 200, 'the other one does');
    unlink $t->dir . '/broken';
    ok($t->await_ready(2), 'and when it is mended there are two again');
    ok((wait_until { !$t->app->{failed} } 5), 'which is no failure any more');
    $t->server->log_ok(allow => [qr/ABL003[035]/]);
};

subtest 'so many requests' => sub {
    my $t = Abl::Team->start(keys => 'requests=20 instances=2');
    ok($t->await_ready(2), 'two are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 8, path => '/sleep/5');
    ok((wait_until { $t->app->{starts} > 8 } 30), 'they are replaced');
    $t->unharmed($load, 'requests=');
    cmp_ok((sort { $b <=> $a } map { $_->{requests} } $t->instances('any'))[0], '<=', 20, 'nobody has more');
    $t->server->log_ok;
};

subtest 'so much memory' => sub {
    my $t = Abl::Team->start(keys => 'memory=60M instances=2');
    ok($t->await_ready(2), 'two are ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 8, path => '/leak/3');
    my ($most, $end) = (0, time + 6);
    while (time < $end) {
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

subtest 'as many as are needed' => sub {
    my $t = Abl::Team->start(keys => 'instances=1-3 grow=100ms idle=1s');
    ok($t->await_ready(1), 'one is ready');
    my $load = Abl::Load->start(port => $t->server->port, clients => 9, path => '/sleep/50');
    ok($t->await_ready(3), 'three under load');
    $t->unharmed($load, 'meanwhile');
    ok($t->await_ready(1), 'one when it is over');
    $t->server->log_ok;
};

subtest 'a rolling restart' => sub {
    my $t = Abl::Team->start(keys => 'instances=3 restart-file=@DIR@/restart failures=3 retry=1h', habits => 'broken=@DIR@/broken start=0.1');
    ok($t->await_ready(3), 'three are ready');
    my @before = $t->pids;
    my $load   = Abl::Load->start(port => $t->server->port, clients => 6, path => '/sleep/10');
    my $others = sub { my %old = map { $_ => 1 } @_; return wait_until { my @now = $t->pids; @now == 3 && !$t->app->{rolling} && !grep { $old{$_} } @now } 20 };
    spew($t->dir . '/restart', '');
    ok($others->(@before), 'by touching a file');
    @before = $t->pids;
    kill HUP => $t->control;
    ok($others->(@before), 'by a signal');
    @before = $t->pids;
    spew($t->dir . '/broken', '');
    kill HUP => $t->control;
    ok($t->server->await_log(qr/ABL0034/), 'one that does not work stops');
    is_deeply([ $t->pids ], \@before, 'and all is as before');
    $t->unharmed($load, 'meanwhile');
    $t->server->log_ok(allow => [qr/ABL003[0345]/]);
};

subtest 'a stranger at its port' => sub {
    my $first    = Abl::Team::free_ports(3);
    my $stranger = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $first, Listen => 5, Blocking => 0) or die "port $first: $!\n";
    my $t = Abl::Team->start(section => qq(BalancerApp other "python3 @{[Abl::Team->worker]} %{port}" ports=$first-@{[$first + 2]}));
    ok($t->server->await_log(qr/ABL0031: .*:$first is in use by somebody else/), 'is noticed');
    ok((wait_until { (grep { $_->{name} eq 'other' && grep { $_->{state} eq 'ready' } @{ $_->{instances} } } @{ $t->server->status_json->{applications} }) } 10), 'another port is taken');
    is($t->server->get('/pid')->{status}, 200, 'all requests are answered') for 1 .. 4;
    ok(!$stranger->accept, 'and none goes to the stranger');
    $t->server->log_ok(allow => [qr/ABL0031/]);
};

# While nobody looks after it, whoever finds that an instance is gone keeps the others away from its port.
subtest 'a stranger comes while nobody looks' => sub {
    my $t = Abl::Team->start(keys => 'instances=2');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my ($gone) = $t->instances;
    my $port = $gone->{address} =~ s/.*://r;
    kill STOP => $t->control;
    kill KILL => $gone->{pid};
    ok((wait_until { !Abl::Util::accepts($port) } 5), 'one is killed');
    is($s->get('/pid')->{status}, 200, 'requests are answered') for 1 .. 4;
    my $stranger = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, Blocking => 0, ReuseAddr => 1) or die "port $port: $!\n";
    is($s->get('/pid')->{status}, 200, 'and go on to be') for 1 .. 8;
    ok(!$stranger->accept, 'none goes to the stranger who has taken its port');
    kill CONT => $t->control;
    ok((wait_until { my @now = $t->pids; @now == 2 && !grep { $_ == $gone->{pid} } @now } 10), 'then it is replaced, elsewhere');
    is($s->get('/pid')->{status}, 200, 'and all is well') for 1 .. 4;
    my $asked = $stranger->accept;    # to see whether somebody is there, before it is seen who
    is($asked ? sysread($asked, my $text, 1000) : 0, 0, 'without a word to the stranger');
    $s->log_ok(allow => [qr/ABL0035|ABL0031/]);
};

subtest 'who does not want to end' => sub {
    my $t = Abl::Team->start(habits => 'stubborn family', keys => 'instances=2 env:ABL_TEST_DIR=@DIR@');
    ok($t->await_ready(2), 'two are ready');
    my $from = time;
    $t->server->log_ok;
    cmp_ok(time - $from, '<', 6 * patience, 'does not hold httpd up');
    is_deeply([ $t->processes ], [], 'and ends');
};

subtest 'httpd is killed' => sub {
    my $t = Abl::Team->start(habits => 'family', keys => 'instances=2 env:ABL_TEST_DIR=@DIR@');
    ok($t->await_ready(2), 'two are ready');
    my @children = ($t->server->children);
    kill KILL => $t->server->pid;
    ok((wait_until { !$t->processes } 10), 'the instances end') or diag(join ' ', $t->processes);
    kill KILL => @children;
    $t->server->{judged} = 1;
};

done_testing;
