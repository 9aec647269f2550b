# BalancerHealthCheck: members are asked whether they are well; who is not is left out, and who has to prove himself is waited for.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;
use Abl::App;
use Abl::Dns;
use Abl::Sick;
use Abl::Util qw(tool);
use File::Temp ();
use Time::HiRes qw(time);

sub team { my ($n, $ms) = @_; return map { Abl::Sick->start(ms => $ms || 0) } 1 .. $n }

sub server {
    my (@parts) = @_;
    return Abl::Server->start(status => 1, conf => "LogLevel info\nBalancerPass / app\n" . balancer('app', @parts));
}

sub state_of { my ($s, $member) = @_; my $m = $s->status_member($member); return join ' ', grep { $m->{$_} } qw(away ejected unfit unproven) }

sub becomes { my ($s, $member, $state, $seconds) = @_; return wait_until { state_of($s, $member) eq $state } $seconds || 5 }

sub statuses { my ($s, $n) = @_; my %n; $n{ $s->client->ask('GET', '/')->status }++ for 1 .. $n; return \%n }

sub over { my ($s, @allow) = @_; is($s->unrest(10), '', 'nothing is left in the ledger'); return $s->log_ok(allow => [ trouble, @allow ]) }

subtest 'a member whose checks fail is left out, and used again' => sub {
    my @m = team(2);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=200ms fall=2 rise=2');
    is_deeply(statuses($s, 10), { 200 => 10 }, 'all is well');
    $m[0]->health(503);
    ok(becomes($s, $m[0], 'unfit'), 'one is not');
    my $since = time;
    is_deeply(statuses($s, 20), { 200 => 20 }, 'nobody notices');
    is($m[0]->seen($since), 0, 'it gets no request');
    my $port = $m[0]->port;
    ok($s->await_log(qr/ABL0079: balancer app: the check of \S+:$port has failed: its answer has the status 503/), 'the log tells of the first failure');
    ok($s->await_log(qr/ABL0077: balancer app: \S+:$port is left out: its check has failed 2 times in a row: its answer has the status 503/), 'and what follows');
    $m[0]->health(200);
    ok(becomes($s, $m[0], ''), 'it is well again');
    ok($s->await_log(qr/ABL0078: balancer app: \S+:$port gets requests: its checks pass/), 'the log tells');
    $since = time;
    statuses($s, 10);
    is($m[0]->seen($since), 5, 'it gets its part');
    $_->health(503) for @m;
    ok(becomes($s, $m[0], 'unfit') && becomes($s, $m[1], 'unfit'), 'all are ill');
    is_deeply(statuses($s, 4), { 200 => 4 }, 'and used: a sick pool is better than none');
    over($s);
};

subtest 'checks are frequent where something is wrong, and rare where not' => sub {
    my @m = team(2);
    $m[0]->health(503);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=1min jitter=0% fall=3');
    ok(becomes($s, $m[0], 'unfit', 10), 'three failures within seconds');
    $m[0]->health(200);
    ok(becomes($s, $m[0], '', 10), 'two that pass, within seconds');
    is($m[1]->checks, 1, 'the other one was asked once');
    my $n = $m[0]->checks;
    ok(stays(sub { $m[0]->checks == $n }, 2.5), 'and who is well again is asked as rarely');
    over($s);
};

subtest 'accepting connections is not enough' => sub {
    my @m = team(2);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=1min');
    statuses($s, 4);
    $m[0]->stop;
    statuses($s, 4);
    is(state_of($s, $m[0]), 'away', 'nobody is there');
    $m[0]->again(health => 503);
    ok((wait_until { $m[0]->checks > 3 } 5), 'somebody listens, and is asked, several times a second');
    is(state_of($s, $m[0]), 'away', 'but is not well');
    $m[0]->health(200);
    my $began = time;
    ok(becomes($s, $m[0], ''), 'until he is');
    cmp_ok(time - $began, '<', 1 * patience(), 'one check is enough then, and does not take long');
    is($m[0]->seen, 0, 'no request was tried meanwhile');
    over($s);
};

subtest 'one of two addresses' => sub {
    my $m = Abl::Member->start(name => 'four');    # localhost is ::1, too
    my $s = server('BalancerMember http://localhost:' . $m->port, 'BalancerHealthCheck uri=/health mandatory interval=200ms fall=1');
    is($s->client->ask('GET', '/')->status, 200, 'nobody at the first: the second one is asked');
    ok((wait_until { $m->requests > 3 } 5), 'again and again');
    over($s);
};

subtest 'the control process is late' => sub {
    my @m = team(3);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=100ms timeout=100ms fall=1');
    ok((wait_until { !grep { $_->checks < 2 } @m } 5), 'they are checked');
    my $control = $s->status_json->{control};
    for (1 .. 5) {
        kill 'STOP', $control;
        select undef, undef, undef, 0.3;
        kill 'CONT', $control;
        my $n = $m[0]->checks;
        wait_until { $m[0]->checks > $n } 5;
    }
    is(scalar(() = $s->log =~ /ABL0077/g), 0, 'that is nobody else\'s fault');
    over($s);
};

subtest 'the process that is checked dies' => sub {
    my @m = team(2);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=200ms');
    ok((wait_until { $m[0]->checks > 0 } 5), 'it is checked');
    $m[0]->stop;
    ok(becomes($s, $m[0], 'away', 3), 'one refused connection is enough, without any request');
    ok($s->await_log(qr/ABL0070: balancer app: \S+ cannot be reached/), 'the log tells');
    $m[0]->again;
    ok(becomes($s, $m[0], '', 3), 'it is back');
    over($s);
};

subtest 'mandatory: who is new has to pass first' => sub {
    my @m = team(2);
    $_->health(503) for @m;
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=1min mandatory');
    ok((wait_until { !grep { $_->checks == 0 } @m } 5), 'they are asked at once');
    is(state_of($s, $m[0]), 'unproven', 'and are not ready');
    my @waits = map { $s->client } 1 .. 4;
    $_->request('GET', '/') for @waits;
    ok($s->await_queue(4), 'requests wait');
    $m[1]->health(200);
    is(join(' ', map { $_->response->status } @waits), '200 200 200 200', 'until one is');
    is($m[1]->seen, 4, 'which serves them all');
    is($m[0]->seen, 0, 'the other one none');
    over($s);
};

subtest 'what is expected' => sub {
    my %wrong = (
        'expect=404'                         => qr/its answer has the status 200/,
        '"body~no such thing"'               => qr/its body does not match body~/,
        '"body~member: [bc]$" expect=200'    => qr/its body does not match/,
    );
    my %right = (
        'uri=/status/404 expect=200-299,404'                  => '/status/404',
        'uri=/x "body~^member: a$"'                           => '/x',
        'uri=/x?y=1 host=other.test:81 "body~Host: other.test:81"' => '/x?y=1',
    );
    for my $keys (sort keys %right) {
        my ($m) = Abl::Member->start(name => 'a');
        my $s = server($m, "BalancerHealthCheck $keys mandatory interval=1min");
        ok(becomes($s, $m, ''), $keys);
        like(($m->requests)[0]{head}, qr/\AGET \Q$right{$keys}\E HTTP/, 'that is what was asked for');
        over($s);
    }
    for my $keys (sort keys %wrong) {
        my ($m) = Abl::Member->start(name => 'a');
        my $s = server($m, "BalancerHealthCheck uri=/x $keys fall=1 interval=1min");
        ok(becomes($s, $m, 'unfit'), "$keys: no");
        ok($s->await_log($wrong{$keys}), 'the log says why');
        over($s);
    }
};

subtest 'no answer, a bad one, or no connection' => sub {
    my $hole  = Abl::Member->blackhole;
    my $silly = Abl::Member->start(name => 'silly', always => '/reset-body');
    my ($good) = team(1);
    my $s = server($hole, $silly, $good, 'BalancerHealthCheck uri=/health interval=100ms timeout=200ms fall=2');
    ok(becomes($s, $_, 'unfit'), 'it is left out') for $hole, $silly;
    my $port = $hole->port;
    ok($s->await_log(qr/ABL0077: balancer app: \S+:$port is left out: .* it did not answer/), 'the log says why');
    $port = $silly->port;
    ok($s->await_log(qr/ABL0077: balancer app: \S+:$port is left out: .*its answer breaks off/), 'twice');
    is_deeply(statuses($s, 10), { 200 => 10 }, 'nobody notices');
    over($s);

    my $t = server($hole, 'BalancerHealthCheck tcp interval=100ms mandatory');
    ok(becomes($t, $hole, ''), 'with tcp it is enough to accept connections');
    over($t);
};

subtest 'one request at a time is one, checks included' => sub {
    my @m = team(2, 20);
    $_->be('ok', 20) for @m;
    my $s = server((map { [ $_, 'concurrency=1' ] } @m), 'BalancerHealthCheck uri=/health interval=100ms jitter=0%');
    my $load = Abl::Load->start(port => $s->port, clients => 1, path => '/');
    ok((wait_until { $m[0]->checks > 5 && $m[1]->checks > 5 } 10), 'they are checked under load');
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, keys %{ $seen->{answers} } ], [ 0, 200 ], 'nobody notices') or diag(explain $seen);
    $load = Abl::Load->start(port => $s->port, clients => 12, path => '/');
    ok((wait_until { $s->status_balancer->{queue}{length} > 5 } 5), 'all places are taken, and more wait');
    ok(stays(sub { !grep { state_of($s, $_) ne '' } @m }, 1), 'who has no place for a check is at work, and not ill');
    $seen = $load->finish;
    is_deeply([ $seen->{broken}, keys %{ $seen->{answers} } ], [ 0, 200 ], 'nobody notices') or diag(explain $seen);
    is(join(' ', map { $_->most } @m), '1 1', 'never was there more than one request at a member');
    over($s);
};

subtest 'a member that is stuck with a check' => sub {
    my @m = team(2);
    my $s = server((map { [ $_, 'concurrency=1' ] } @m), 'BalancerHealthCheck uri=/health interval=100ms timeout=100ms fall=1');
    ok((wait_until { $m[0]->checks > 0 } 5), 'it is checked');
    $m[0]->be('hang');
    ok(becomes($s, $m[0], 'unfit'), 'a check is not answered');
    ok(stays(sub { ($s->status_member($m[0])->{busy} || 0) == 1 }, 0.5), 'its place stays taken');
    is_deeply(statuses($s, 6), { 200 => 6 }, 'nobody notices');
    $m[0]->stop;
    ok((wait_until { $s->status_member($m[0])->{busy} == 0 } 5), 'until it has ended');
    $m[0]->again;
    ok(becomes($s, $m[0], ''), 'the next process is well');
    over($s);
};

subtest 'a restart in the middle of a check' => sub {
    my @m = team(1, 400);
    my $s = server([ $m[0], 'concurrency=1' ], 'BalancerHealthCheck uri=/health interval=100ms timeout=2s');
    my $load = Abl::Load->start(port => $s->port, clients => 2, path => '/');
    my $file = $s->dir . '/httpd.conf';
    for my $timeout (3 .. 7) {
        my $n = $m[0]->checks;
        wait_until { $m[0]->checks > $n } 5;
        spew($file, slurp($file) =~ s/timeout=\d+s/timeout=${timeout}s/r);
        my $done = () = $s->log =~ /resuming normal operations/g;
        $s->signal('USR1');
        wait_until { (() = $s->log =~ /resuming normal operations/g) > $done } 10;
    }
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, keys %{ $seen->{answers} } ], [ 0, 200 ], 'nobody notices') or diag(explain $seen);
    is($m[0]->most, 1, 'never was there more than one request at the member');
    over($s);
};

subtest 'no uri= any more, while nobody is there' => sub {
    my @m = team(2);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=1s');
    statuses($s, 4);
    $m[0]->stop;
    ok(becomes($s, $m[0], 'away'), 'nobody is there');
    my $file = $s->dir . '/httpd.conf';
    spew($file, slurp($file) =~ s/^.*BalancerHealthCheck.*\n//mr);
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /Doing graceful restart.*resuming normal operations/s } 10), 'graceful restart');
    $m[0]->again;
    ok(becomes($s, $m[0], ''), 'who comes back is used');
    over($s);
};

subtest 'a cold application that is slower than timeout=' => sub {
    my @m = team(1);
    $m[0]->stop;
    my $s = server([ $m[0], 'concurrency=1' ], 'BalancerHealthCheck uri=/health interval=100ms timeout=100ms mandatory');
    $m[0]{ms} = 600;
    $m[0]->again;
    ok((wait_until { $m[0]->checks > 2 } 10), 'it is asked, again and again');
    is($m[0]->most, 1, 'once it has answered the question before');
    $m[0]{ms} = 0;
    $m[0]->be('ok');
    ok(becomes($s, $m[0], ''), 'it becomes quicker, and is used');
    over($s);
};

subtest 'restarts, and the death of the control process' => sub {
    my @m = team(3);
    $m[0]->health(503);
    my $s = server(@m, 'BalancerHealthCheck uri=/health interval=200ms fall=1');
    ok(becomes($s, $m[0], 'unfit'), 'one is left out');
    my $since = time;
    my $load  = Abl::Load->start(port => $s->port, clients => 4, path => '/');
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /Doing graceful restart.*resuming normal operations/s } 10), 'graceful restart');
    is(state_of($s, $m[0]), 'unfit', 'it stays out');
    my $control = $s->status_json->{control};
    kill 'KILL', $control;
    ok((wait_until { my $now = $s->status_json->{control}; $now && $now != $control && kill 0, $now } 10), 'killed: another one');
    is(state_of($s, $m[0]), 'unfit', 'it stays out');
    my $n = $m[1]->checks;
    ok((wait_until { $m[1]->checks > $n + 2 } 5), 'checks go on');
    is($m[0]->seen($since), 0, 'it got nothing all the time');
    $m[0]->health(200);
    ok(becomes($s, $m[0], ''), 'and is back');
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, keys %{ $seen->{answers} } ], [ 0, 200 ], 'nobody notices') or diag(explain $seen);
    my $file = $s->dir . '/httpd.conf';
    $m[0]->health(503);
    ok(becomes($s, $m[0], 'unfit'), 'it is ill once more');
    spew($file, slurp($file) =~ s/^.*BalancerHealthCheck.*\n//mr);
    $s->signal('USR1');
    ok(becomes($s, $m[0], '', 10), 'who is not checked any more is not left out');
    $n = $m[1]->checks;
    ok(stays(sub { $m[1]->checks == $n }, 0.7), 'nobody is asked');
    over($s, qr/ABL0045/);
};

subtest 'TLS' => sub {
    needs('openssl');
    my $dir = File::Temp::tempdir('abl-checks-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    system("cd $dir && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=a -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>openssl.log") == 0
        or die slurp("$dir/openssl.log");
    chmod 0755, $dir;
    my $m  = Abl::App->tls(cert => "$dir/cert.pem", key => "$dir/key.pem");
    my $at = $m->url =~ s{\Ahttp:}{https:}r;
    for my $kind ('uri=/', 'tcp') {
        my $s = server("BalancerMember $at tls-ca=$dir/cert.pem", "BalancerHealthCheck $kind mandatory");
        ok(becomes($s, $at, ''), "$kind: a member with the right certificate is well");
        over($s);
        my $t = server("BalancerMember $at", "BalancerHealthCheck $kind fall=1");
        ok(becomes($t, $at, 'unfit'), "$kind: one that nobody knows is not");
        ok($t->await_log(qr/ABL0077: .*certificate/), 'the log says why');
        over($t);
    }
};

subtest 'members by name: each address is asked, and new ones have to pass' => sub {
    needs('knotd', 'knotc');
    my $one  = Abl::Member->start(name => 'one', host => '127.0.0.2');
    my $port = $one->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2');
    my $s    = Abl::Server->start(status => 1, conf => 'BalancerResolver ' . $dns->address . "\nBalancerPass / app\n"
            . balancer('app', "BalancerMember http://app.internal:$port expand=4", 'BalancerHealthCheck uri=/health "body~member: [ot]" host=app.internal mandatory interval=200ms fall=1'));
    is(($s->client->ask('GET', '/')->status), 200, 'the first one is asked, and used');
    my $load = Abl::Load->start(port => $s->port, clients => 4, path => '/echo?delay=5');
    my ($two, $sick) = (Abl::Member->start(name => 'two', host => '127.0.0.3', port => $port), Abl::Member->start(name => 'sick', host => '127.0.0.4', port => $port));
    $dns->set(map {"app A 127.0.0.$_"} 2 .. 4);
    my $at = sub { my ($n) = @_; return grep { "@{ $_->{at} }" eq "127.0.0.$n:$port" } @{ $s->status_balancer->{members} } };
    ok((wait_until { my ($m) = $at->(3); $m && !$m->{unproven} && $m->{requests} > 10 } 10), 'a new one that passes is used');
    ok((wait_until { grep { $_->{head} =~ m{\AGET /health } } $sick->requests } 10), 'the other new one is asked');
    ok(($at->(4))[0]{unproven}, 'and does not pass');
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, keys %{ $seen->{answers} } ], [ 0, 200 ], 'nobody notices') or diag(explain $seen);
    is((grep { $_->{head} !~ m{\AGET /health } } $sick->requests), 0, 'it got no request');
    like(($sick->requests)[0]{head}, qr/^Host: app\.internal\r?$/m, 'checks ask for the name');
    over($s);
};

done_testing;
