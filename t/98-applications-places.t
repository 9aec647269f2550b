# Where applications are, as whom, and with what; and strangers who are there before them.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Abl::Team;
use IO::Socket::INET;
use IO::Socket::UNIX;

needs(qw(python3));

# A stranger at an instance's Unix socket, whoever is there, at whom httpd may connect.
sub path { my ($instance) = @_; return $instance->{address} =~ m{\Aunix:([^|]+)} ? $1 : die "$instance->{address}\n" }

sub stranger {
    my ($instance) = @_;
    my $path = path($instance);
    unlink $path;
    my $stranger = IO::Socket::UNIX->new(Local => $path, Listen => 20) or die "$path: $!\n";
    $stranger->blocking(0);
    chmod 0666, $path;
    return $stranger;
}

# What all who have connected have said.
sub heard {
    my ($stranger) = @_;
    my $text = '';
    while (my $client = $stranger->accept) {
        $client->blocking(0);
        sysread $client, $text, 1000, length $text;
    }
    return $text;
}

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
    my $t = Abl::Team->start(keys => 'env:COLOUR=blue env:PORT=%{port} umask=027 nice=3 limit:nofile=123 limit:core=1M');
    my $s = $t->server;
    is($s->get('/env/COLOUR')->{content}, 'blue',   'env:');
    is($s->get('/env/HTTPD_ROOT')->{content}, '(none)', 'nothing of httpd\'s environment');
    like($s->get('/env/PORT')->{content}, qr/\A\d+\z/, 'its port in the environment');
    is($s->get('/cwd')->{content}, $t->dir, 'dir=');
    my ($pid) = $t->pids;
    my $ids = join ' ', (stat "/proc/$pid")[ 4, 5 ];
    is($s->get('/ids')->{content}, "$ids 27 3", 'umask=, nice=');
    is($s->get('/limit/nofile')->{content}, '123 123', 'limit:nofile=');
    is($s->get('/open')->{content}, 123, 'which is all that it can open');
    is($s->get('/limit/core')->{content}, '1048576 1048576', 'limit:core=');
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
            is(sprintf('%o', (stat path($t->instances))[2] & 0777), '600', 'nobody else may connect');
        }
        $t->server->log_ok;
    }
};

subtest 'in another group' => sub {
    plan skip_all => 'httpd is not started by root here' if $> != 0;
    my $gid = getgrnam 'daemon';
    for my $user (qw(www-data nobody)) {
        my $t = Abl::Team->start(keys => 'group=daemon' . ($user eq 'nobody' ? ' user=nobody' : ''));
        my $uid = getpwnam $user;
        like($t->server->get('/ids')->{content}, qr/\A$uid $gid /, "$user is of this group");
        my ($pid) = $t->pids;
        my $status = slurp("/proc/$pid/status");
        like($status, qr/^Gid:\s+$gid\s+$gid\s+$gid\s+$gid$/m, 'and of no other, in no way');
        like($status, qr/^Groups:(?!.*\b0\b).*\b$gid\b/m, 'which it has among its groups, and root\'s not');
        $t->server->log_ok;
    }
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

# Where an instance makes its socket itself, somebody may be quicker.
subtest 'a stranger at its socket' => sub {
    my $t = Abl::Team->start(place => 'socket', keys => 'ready-uri=/pid', habits => 'until=@DIR@/go diary=@DIR@/diary');
    my $s = $t->server;
    ok((wait_until { $t->diary('begins') } 20), 'one begins');
    my ($begun)  = $t->instances('starting');
    my $stranger = stranger($begun);
    ok($s->await_log(qr/ABL0031: .*\Q$begun->{address}\E is in use by somebody else/), 'a stranger is noticed');
    spew($t->dir . '/go', '');
    ok($t->await_ready(1), 'another place is taken');
    isnt(($t->instances)[0]{address}, $begun->{address}, 'not that one');
    is($s->get('/pid')->{status}, 200, 'all requests are answered') for 1 .. 4;
    is(heard($stranger), '', 'and the stranger has not heard a word');
    $s->log_ok(allow => [qr/ABL0031/]);
};

subtest 'a stranger comes to its socket while nobody looks' => sub {
    my $t = Abl::Team->start(place => 'socket', keys => 'instances=2');
    my $s = $t->server;
    ok($t->await_ready(2), 'two are ready');
    my ($gone) = $t->instances;
    kill STOP => $t->control;
    kill KILL => $gone->{pid};
    ok((wait_until { !IO::Socket::UNIX->new(path($gone)) } 5), 'one is killed');
    is($s->get('/pid')->{status}, 200, 'requests are answered') for 1 .. 4;
    my $stranger = stranger($gone);
    is($s->get('/pid')->{status}, 200, 'and go on to be') for 1 .. 8;
    kill CONT => $t->control;
    ok((wait_until { my @now = $t->pids; @now == 2 && !grep { $_ == $gone->{pid} } @now } 10), 'then it is replaced');
    isnt($_->{address}, $gone->{address}, 'elsewhere') for $t->instances;
    is($s->get('/pid')->{status}, 200, 'and all is well') for 1 .. 4;
    ok((wait_until { kill HUP => $t->control unless $t->app->{rolling}; $s->log =~ /ABL0031: .*\Q$gone->{address}\E is in use/ } 20), 'its place is tried again in its turn');
    is(heard($stranger), '', 'the stranger has not heard a word');
    my $guest = IO::Socket::UNIX->new(path($gone));
    $guest->print('how do you do');
    $guest->flush;
    is(heard($stranger), 'how do you do', 'and is still there');
    $s->log_ok(allow => [qr/ABL0035|ABL0031/]);
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

done_testing;
