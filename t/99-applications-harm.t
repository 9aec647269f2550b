# What administrators, other programs and the machine do to those who look after applications.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Abl::Team;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(time);

needs(qw(python3));

# CPU seconds that a process has used.
sub cpu {
    my ($pid) = @_;
    my @fields = split ' ', slurp("/proc/$pid/stat") =~ s/\A.*\) //sr;
    return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# A library that makes a call in a new process slow while a file exists; undef: there is no compiler.
sub slow_call {
    my ($dir) = @_;
    chmod 0755, $dir;    # it is looked at as another user
    spew("$dir/slow.c", <<"END");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int chdir(const char *path)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "chdir");
    if (access("$dir/slow", F_OK) == 0) {
        sleep(4);
    }
    return real(path);
}
END
    return system("cc -shared -fPIC -o $dir/slow.so $dir/slow.c -ldl 2>/dev/null") == 0;
}

subtest 'signals to the control process' => sub {
    my $t = Abl::Team->start(keys => 'instances=2');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my ($control, @before) = ($t->control, $t->pids);
    kill TERM => $control;
    ok($s->await_log(qr/ABL0056: .* send it to pid @{[$s->pid]}/), 'SIGTERM is not how it ends');
    is($s->get('/pid')->{status}, 200, 'requests go on');
    is_deeply([ $t->control, $t->pids ], [ $control, @before ], 'nothing has ended');
    $s->log_ok;
};

subtest 'a restart of httpd under prefork' => sub {
    my $t = Abl::Team->start(keys => 'instances=2', server => { mpm => 'prefork' });
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my @before = $t->pids;
    $s->signal('HUP');
    ok((wait_until { (() = $s->log =~ /resuming normal operations/g) == 2 } 10), 'httpd has restarted');
    is($s->get('/pid')->{status}, 200, 'requests go on');
    is_deeply([ $t->pids ], \@before, 'the instances live on');
    unlike($s->log, qr/ABL0038/, 'and are not replaced');
    $s->log_ok(allow => [qr/AH00169|AH00171/]);
};

subtest 'an instance that does not listen any more' => sub {
    my $t = Abl::Team->start(queue => '20s');
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my ($deaf) = $t->pids;
    is($s->get('/deaf')->{status}, 200, 'then it closes its socket');
    my $r = $s->get('/pid');
    is($r->{status}, 200, 'a request waits for another one');
    isnt($r->{content}, $deaf, 'which takes its place');
    ok($s->await_log(qr/ABL0057: .*pid $deaf\) does not accept connections any more/), 'and why is said');
    ok((wait_until { !kill 0, $deaf } 15), 'it is ended');
    $s->log_ok(allow => [qr/ABL0057|ABL0035/]);
};

subtest 'an access log that is rotated' => sub {
    my $t = Abl::Team->start;
    my $control = do { ok($t->await_ready(1), 'it is ready'); $t->control };
    my @open = grep { m{\A/} && !m{\A/dev/|/error\.log\z|/console\.log\z|\.run\z} } map { readlink // () } glob "/proc/$control/fd/*";
    is_deeply(\@open, [], 'the control process has no file open but the error log and its own');
    $t->server->log_ok;
};

subtest 'httpd is killed, and instances are slow to end' => sub {
    my $t = Abl::Team->start(habits => 'stubborn');
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my ($pid, $control, @children) = ($t->pids, $t->control, $s->children);
    my $before = cpu($control);
    kill KILL => $s->pid;
    my $used = $before;
    ok((wait_until { $used = eval { cpu($control) } // $used; !kill 0, $pid } 10), 'they end');
    cmp_ok($used - $before, '<', 0.5, 'and nobody turns round and round meanwhile');
    kill KILL => grep { $_ != $control } @children;
    $s->{judged} = 1;
};

subtest 'ready-uri= says no for long' => sub {
    my $t = Abl::Team->start(keys => 'ready-uri=/ready', habits => 'ready=/nowhere');
    my $s = $t->server;
    ok((wait_until { $t->instances('starting') } 10), 'it starts');
    my $control = $t->control;
    my ($from, $before) = (time, cpu($control));
    ok((stays { $t->instances('starting') } 2), 'and is not ready');
    cmp_ok((cpu($control) - $before) / (time - $from), '<', 0.2, 'which does not keep the control process busy');
    $s->log_ok;
};

subtest 'more applications are replaced at once than there are rows for' => sub {
    my $apps = sub { my ($name) = @_; join '', map {"BalancerApp $name$_ \"sleep 1000\" listen=fd\n"} 1 .. 40 };
    my $t = Abl::Team->start(section => $apps->('old'));
    my $s = $t->server;
    my $running = sub { my ($name) = @_; return grep { $_->{name} =~ /\A$name\d/ && grep { $_->{state} eq 'ready' } @{ $_->{instances} } } @{ $s->status_json->{applications} } };
    ok((wait_until { $running->('old') == 40 } 30), 'there are 40');
    ok($t->reconfigure(sub { s/BalancerApp old/BalancerApp new/g }), 'and 40 others take their place');
    ok((wait_until { $running->('new') == 40 && !$running->('old') } 60), 'all of them run in the end')
        or diag(scalar($running->('new')), ' and ', scalar($running->('old')));
    $s->log_ok(allow => [qr/ABL0040/]);
};

subtest 'a umask that lets nobody in' => sub {
    my $t = Abl::Team->start(place => 'socket', server => { limits => 'umask 077' });
    ok($t->await_ready(1), 'it is ready');
    is($t->server->get('/pid')->{status}, 200, 'and serves');
    $t->server->log_ok;
};

subtest 'log= is a link' => sub {
    my $dir = File::Temp::tempdir('abl-link-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    for my $link (sub { symlink $_[0], $_[1] }, sub { link $_[0], $_[1] }) {
        spew("$dir/secret", "mine\n");
        unlink "$dir/log";
        $link->("$dir/secret", "$dir/log") or die "$!\n";
        my $t = Abl::Team->start(keys => "log=$dir/log");
        ok($t->await_ready(1), 'it is ready');
        $t->server->get('/say/not-mine');
        ok($t->server->await_log(qr/ABL0030: .*not-mine/), 'what it says is in the error log');
        is(slurp("$dir/secret"), "mine\n", 'and not where the link leads to');
        $t->server->log_ok(allow => [qr/ABL0030|ABL0041/]);
    }
};

subtest 'another restart file, which is there already' => sub {
    my $t = Abl::Team->start(keys => 'restart-file=one');
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my @before = $t->pids;
    spew($t->dir . '/two', '');
    ok($t->reconfigure(sub { s/restart-file=one/restart-file=two/ }), 'it has another name');
    ok((stays { "@{[$t->pids]}" eq "@before" } 2), 'that is no wish for a restart');
    utime time + 5, time + 5, $t->dir . '/two';
    ok($s->await_log(qr/ABL0038: .*restart-file=/), 'but to touch it is');
    $s->log_ok;
};

subtest 'httpd ends while an instance begins' => sub {
    my $dir = File::Temp::tempdir('abl-slow-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    plan skip_all => 'no compiler' unless slow_call($dir);
    my $t = Abl::Team->start(keys => 'instances=2', habits => 'diary=@DIR@/diary', server => { env => { LD_PRELOAD => "$dir/slow.so" } });
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my $begun = sub { my $text = eval { slurp($t->dir . '/diary') } // ''; return scalar(() = $text =~ / begins /g) };
    spew("$dir/slow", '');
    my ($one, $other) = $t->pids;
    kill KILL => $one;
    ok((wait_until { $t->instances('starting') } 5), 'a new one begins, slowly');
    is($s->get('/pid')->{content}, $other, 'the other one serves');
    kill KILL => $other;
    ok((wait_until { $t->instances('starting') == 1 && !$t->instances } 5), 'its end is noticed meanwhile') or diag(explain($t->app));
    my $before = $begun->();
    $s->log_ok(allow => [qr/ABL0035/]);
    ok((stays { $begun->() == $before } 5), 'nobody begins when httpd has ended') or diag(slurp($t->dir . '/diary'));
};

done_testing;
