# Applications are looked after: what may go wrong, with them and with those who look after them.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Abl::Team;
use Fcntl qw(O_RDONLY O_NONBLOCK);
use File::Temp ();
use POSIX qw(mkfifo);

needs(qw(python3));

subtest 'what does not work' => sub {
    # under load a worker needs some time until it can say what is wrong
    my %case = (
        'exit=7' => [ '20s',   qr/exit status 7/ ],
        'deaf'   => [ '200ms', qr/not ready within start-timeout=/ ],
    );
    for my $habit (sort keys %case) {
        my ($time, $why) = @{ $case{$habit} };
        my $t = Abl::Team->start(habits => $habit, keys => "start-timeout=$time failures=3 retry=1h stop-timeout=200ms", queue => '200ms');
        ok((wait_until { $t->app->{failed} } 10), "$habit: it has failed") or diag(explain($t->app));
        like($t->app->{last_failure}{why}, $why, 'and the status says how');
        is_deeply($t->app->{last_failure}{last_lines}, $habit eq 'deaf' ? [] : ['what a pity'], 'and what it said last');
        is($t->server->get('/pid')->{status}, 503, 'who has waited for too long is told');
        is($t->server->get('/static/a.txt')->{status}, 200, 'the rest goes on');
        is($t->app->{starts}, 3, 'and nothing is started any more');
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

subtest 'other ports, while the former instance has a request' => sub {
    my $t = Abl::Team->start(ports => 4);
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my ($old) = $t->pids;
    my $c = $s->client;
    $c->request('GET', '/sleep/1500');
    ok((wait_until { grep { $_->{busy} } @{ $s->status_balancer->{members} } } 5), 'a request is there');
    my $first = Abl::Team::free_ports(4);
    ok($t->reconfigure(sub { s/ports=\d+-\d+/ports=$first-@{[$first + 3]}/ }), 'it has other ports');
    ok($t->await_ready(1), 'a new one is ready');
    my ($new) = $t->pids;
    is($c->response->{status}, 200, 'the request is answered by the old one');
    ok((wait_until { !kill 0, $old } 5), 'which ends then');
    ok((wait_until { !grep { $_->{removed} } @{ $s->status_json->{applications} } } 5), 'and is forgotten');
    is_deeply([ $t->pids, $t->app->{starts} ], [ $new, 1 ], 'and the new one is left alone');
    $s->log_ok(allow => [qr/AH00288/]);    # worker has no place for a new child while the old one is there
};

subtest 'the control process is killed while httpd ends' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 env:ABL_TEST_DIR=@DIR@', habits => 'stubborn family');
    ok($t->await_ready(2), 'two are ready');
    my $control = $t->control;
    my $proc    = $t->server->{proc};
    $t->server->{judged} = 1;
    kill TERM => $t->server->pid;
    ok((wait_until { !$t->server->children && kill 0, $control } 10), 'only the control process is left');
    kill KILL => $control;
    ok((wait_until { !$proc->alive } 10), 'httpd ends');
    is_deeply([ $t->processes ], [], 'and nothing survives it') or kill KILL => $t->processes;
};

subtest 'httpd and its control process are killed at the same instant' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 env:ABL_TEST_DIR=@DIR@', habits => 'family');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    # what has only begun is not counted: two instances with a child and one more each, and twice the same
    my (@before, @then);
    ok((wait_until { @then = @before; @before = sort $t->processes; @before == 6 && "@before" eq "@then" } 10), 'with all of their families') or diag("@before");
    my $who = join '', map { "$_: " . ((eval { slurp("/proc/$_/stat") } // 'gone') =~ s/(?:\S+ ){5}\K.*//rs) . "\n" } @before;
    my @httpd  = ($s->pid, $t->control);
    my @children = grep { $_ != $httpd[1] } $s->children;
    kill STOP => $httpd[1];    # it must not notice
    kill KILL => @httpd, @children;
    ok((wait_until { !$s->{proc}->alive } 10), 'nobody is left') or return;
    is_deeply([ sort $t->processes ], [ sort @before ], 'who could end the instances') or diag($who);
    ok($s->_launch, 'httpd is started again');
    ok($s->await_log(qr/ABL0054/), 'and ends them') or diag($s->log);
    ok($t->await_ready(2), 'two are ready');
    ok((wait_until { my %now = map { $_ => 1 } $t->processes; keys %now == 6 && !grep { $now{$_} } @before } 5), 'all of them new')
        or diag(explain([ $t->processes ], \@before));
    $s->log_ok(allow => [qr/ABL0054|AH00098|AH00475/]);
    is_deeply([ glob $s->dir . '/appbalance/*.run' ], [], 'an end in order leaves no file');
};

subtest 'another LogLevel' => sub {
    my $t = Abl::Team->start(server => { log_level => 'appbalance:warn' });
    my $s = $t->server;
    ok($t->await_ready(1), 'there is an instance');
    unlike($s->log, qr/ABL0036/, 'which is not worth a word');
    my $control = $t->control;
    ok($t->reconfigure(sub { s/appbalance:warn/appbalance:info/ }), 'a graceful restart with another LogLevel');
    kill KILL => $t->pids;
    ok($s->await_log(qr/ABL0036: .* is ready after/), 'the control process has heard of it');
    is($t->control, $control, 'and is the same');
    $s->log_ok(allow => [qr/ABL003[56]/]);
};

subtest 'there can be no new process for a while' => sub {
    my $dir = File::Temp::tempdir('abl-nofork-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    spew("$dir/nofork.c", <<"END");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
pid_t fork(void)
{
    pid_t (*real)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
    if (access("$dir/no", F_OK) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return real();
}
END
    plan skip_all => 'no compiler' if system "cc -shared -fPIC -o $dir/nofork.so $dir/nofork.c -ldl 2>/dev/null";
    my $t = Abl::Team->start(server => { env => { LD_PRELOAD => "$dir/nofork.so" } });
    ok($t->await_ready(1), 'it is ready');
    my ($pid, $control) = ($t->pids, $t->control);
    spew("$dir/no", '');
    kill KILL => $control;
    ok($t->server->await_log(qr/ABL0044/), 'the control process cannot be replaced');
    is($t->server->get('/pid')->{content}, $pid, 'requests go on');
    unlink "$dir/no";
    ok((wait_until { $t->control != $control } 30), 'another one takes its place when it can');
    is_deeply([ $t->pids ], [$pid], 'the instance is the same');
    $t->server->log_ok(allow => [qr/ABL004[45]|AH00052|AH00159/]);
};

subtest 'log= is a named pipe' => sub {
    my $dir = File::Temp::tempdir('abl-fifo-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    mkfifo("$dir/fifo", 0666) or die "$dir/fifo: $!\n";
    my $t = Abl::Team->start(keys => "log=$dir/fifo");
    ok($t->await_ready(1), 'nobody reads it: it is ready all the same');
    ok($t->server->await_log(qr/ABL0041/), 'which is said');
    $t->server->log_ok(allow => [qr/ABL00(30|41)/]);
    sysopen my $reader, "$dir/fifo", O_RDONLY | O_NONBLOCK or die "$dir/fifo: $!\n";
    $t = Abl::Team->start(keys => "log=$dir/fifo instances=2");
    ok($t->await_ready(2), 'somebody has it open');
    $t->server->get('/say/into-a-pipe');
    my $text = '';
    ok((wait_until { sysread $reader, $text, 4096, length $text; $text =~ /^into-a-pipe$/m } 5), 'he reads what they say');
    my $longest = 'x' x 1900;
    $t->server->get("/say/$longest") for 1 .. 60;
    kill KILL => ($t->pids)[0];
    ok($t->await_ready(2), 'and when he is too slow nobody waits for him');
    $t->server->log_ok(allow => [qr/ABL0035/]);
};

subtest 'memory= is less than what it has when it starts' => sub {
    my $t = Abl::Team->start(keys => 'memory=1M instances=2 failures=3 retry=1h', queue => '300ms');
    ok((wait_until { $t->app->{failed} } 15), 'it has failed') or diag(explain($t->app));
    like($t->app->{last_failure}{why}, qr/memory= is too small: it had \d+ MB after \d requests/, 'and the status says why');
    my $starts = $t->app->{starts};
    cmp_ok($starts, '<=', 5, 'it was not started again and again');
    $t->server->get('/pid') for 1 .. 3;
    is($t->app->{starts}, $starts, 'nor is it now');
    $t->server->log_ok(allow => [qr/ABL00(18|33|50)/]);
};

subtest 'more instances, and fewer' => sub {
    for my $place (qw(socket fd port)) {
        my $t = Abl::Team->start(place => $place, ports => 3, keys => 'env:N=1', habits => 'start=0.2');
        my $s = $t->server;
        ok($t->await_ready(1), "$place: one is ready");
        my @first = $t->pids;
        my $last  = $t->{first} + 5;
        my $load  = Abl::Load->start(port => $s->port, clients => 4, path => '/sleep/10');
        ok($t->reconfigure(sub { s/env:N=1/env:N=1 instances=3/; s/(ports=\d+)-\d+/$1-$last/ }), 'there are to be three');
        ok($t->await_ready(3), 'there are');
        ok((grep { $_ == $first[0] } $t->pids), 'and the first one is among them');
        ok($t->serves(20), 'they serve');
        ok($t->reconfigure(sub { s/ instances=3//; s/(ports=\d+)-\d+/$1-@{[$last - 3]}/ }), 'there is to be one');
        ok($t->await_ready(1), 'there is');
        ok($t->serves(20), 'it serves');
        $t->unharmed($load, 'meanwhile');
        is(scalar @{ $s->status_json->{applications} }, 1, 'it has been one application all the time');
        $s->log_ok;
    }
};

subtest 'another build of the module' => sub {
    my $dir   = File::Temp::tempdir('abl-build-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $bytes = slurp(Abl::Server::module_path());
    spew("$dir/module.so", $bytes);
    local $ENV{ABL_MODULE} = "$dir/module.so";
    my $t = Abl::Team->start(queue => '10s');
    ok($t->await_ready(1), 'it is ready');
    my ($old, $control) = ($t->pids, $t->control);
    my $changed = ($bytes =~ s/\0(\d+\.\d+\.\d+ [\d ]*)\d\0/\0${1}x\0/g);    # what a build calls itself
    ok($changed, 'there is another build') or return;
    spew("$dir/other.so", $bytes);
    rename "$dir/other.so", "$dir/module.so" or die "rename: $!\n";
    ok($t->reconfigure(sub { s/^KeepAliveTimeout 10$/KeepAliveTimeout 9/m }), 'httpd takes it');
    is($t->server->get('/pid')->{status}, 200, 'requests are answered');
    ok(!kill(0, $old) && !kill(0, $control), 'nobody of the old build is left');
    $t->server->log_ok;
};

subtest 'a slow client is no stuck instance' => sub {
    my $t = Abl::Team->start(keys => 'stuck=1s', section => 'BalancerBuffer response=64K file=0');
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my @before = $t->pids;
    my $c      = $s->client(timeout => 20, buffer => 4096);
    $c->request('GET', '/big/30');
    my $waits = sub { grep { $_->{busy} } @{ $s->status_balancer->{members} } };
    ok(wait_until(\&$waits, 5), 'a client does not read');
    ok(stays(\&$waits, 2), 'and the instance has to wait for him for longer than stuck=');
    is(length $c->response->{body}, 30 << 20, 'and gets all of the answer then');
    is_deeply([ $t->pids ], \@before, 'the instance goes on');
    $s->log_ok;
};

done_testing;
