# Applications are looked after: started, kept alive, changed, and ended with httpd. How they are renewed: t/96; where they are, and as whom: t/98.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Team;
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

# A program that needs some time for each line gets the last ones, too.
subtest 'what it says at its end, to a program' => sub {
    my $program = q(exec perl -pe 'BEGIN { $| = 1 } select undef, undef, undef, 0.03' >> @DIR@/piped);
    my $t = Abl::Team->start(habits => 'farewell', keys => qq(instances=2 "log=|$program"));
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    $s->get('/say/before');
    ok((wait_until { (eval { slurp($t->dir . '/piped') } // '') =~ /^before$/m } 5), 'it reads');
    $s->signal('TERM');
    ok((wait_until { !$s->{proc}->alive } 15), 'httpd stops');
    is_deeply([ split /\n/, slurp($t->dir . '/piped') ], [qw(before farewell farewell)], 'what they said last has been read');
    $s->log_ok;
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
        ok((wait_until { !grep { $_->{age_ms} < 1000 } $t->instances } 10), 'and counts as one that works after a second');
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
        ok($t->serves(20), 'requests go on');
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
    is($t->control, $control, 'the control process goes on, for the member');
    my $line = $t->section(keys => 'instances=1 env:ABL_TEST_DIR=@DIR@') =~ /^( *BalancerApp.*)$/m ? $1 : die;
    ok($t->reconfigure(sub { s/^ *BalancerMember .*$/$line/m }), 'and one again');
    is($s->get('/pid')->{status}, 200, 'which serves');
    $s->log_ok(allow => [qr/ABL0002/]);
    is_deeply([ $t->processes ], [], 'until httpd ends');
};

subtest 'so many starts at once' => sub {
    for my $most (1, 3) {
        my $t = Abl::Team->start(keys => 'instances=4' . ($most > 1 ? " starts=$most" : ''), habits => 'until=@DIR@/go diary=@DIR@/diary');
        ok((wait_until { $t->diary('begins') == $most } 20), "$most begin");
        ok((stays { $t->instances('starting') == $most && $t->instances('any') == $most }), 'and the next ones wait for them');
        spew($t->dir . '/go', '');
        ok($t->await_ready(4), 'four are ready');
        my ($starting, $peak) = (0, 0);
        for ($t->diary) {
            $starting += { begins => 1, listens => -1 }->{ $_->[1] } // 0;
            $peak = $starting if $starting > $peak;
        }
        cmp_ok($peak, '<=', $most, 'at no time have there been more who began');
        $t->server->log_ok;
    }
};

# It listens long before it can do anything.
subtest 'ready-uri= says no for a while' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 ready-uri=/ready starts=2', habits => 'ready=@DIR@/ready diary=@DIR@/diary');
    my $s = $t->server;
    my $asked = sub { my %of; $of{ $_->[0] }++ for $t->diary('gets'); return %of };
    ok((wait_until { my %of = $asked->(); (grep { $_ > 3 } values %of) == 2 } 20), 'both are asked again and again');
    is_deeply([ map { $_->{state} } $t->instances('any') ], [ ('starting') x 2 ], 'and are not ready');
    my $load = Abl::Load->start(port => $s->port, clients => 6, path => '/sleep/10');
    ok($s->await_queue(6), 'requests wait');
    is_deeply([ grep { $_->[2] ne '/ready' } $t->diary('gets') ], [], 'none goes to them');
    spew($t->dir . '/ready', '');
    ok($t->await_ready(2), 'then they are ready');
    ok($t->serves(20), 'and serve');
    $t->unharmed($load, 'meanwhile');
    $s->log_ok;
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
