# What stands in an application's way is named as what it is: in the log once, and in the status.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Abl::Team;
use File::Path qw(make_path);
use IO::Socket::INET;

needs(qw(python3));

# The control process alone reads this server's log here: how many lines are like that?
sub said { my ($t, $pattern) = @_; return scalar(() = $t->server->log =~ /$pattern/g) }

subtest 'a folder where the socket should be' => sub {
    my $t = Abl::Team->start(place => 'socket', keys => 'ready-uri=/pid');
    my $s = $t->server;
    ok($t->await_ready(1), 'there is an instance');
    my ($socket) = map { $_->{address} =~ m{\Aunix:([^|]+)} } $t->instances;
    my $taken = $socket =~ s{/1\.sock\z}{/2.sock}r;
    isnt($taken, $socket, 'at the first of its sockets');
    make_path($taken);
    kill 'HUP', $t->control;
    ok($s->await_log(qr/ABL0052: .* there can be no socket at unix:\Q$taken\E.*Is a directory|Is a directory.*ABL0052: .*\Q$taken\E/), 'is said');
    my $app = $t->app;
    is_deeply([ map { [ $_->{why}, $_->{again_ms} >= 0 && $_->{again_ms} <= 10_000 ? 1 : 0 ] } @{ $app->{blocked} } ],
        [ [ 'Is a directory', 1 ] ], 'and in the status') or diag(explain($app));
    is($s->get('/pid')->{status}, 200, 'another address is used');
    rmdir $taken or die "$taken: $!\n";
    $s->log_ok(allow => [qr/ABL0052/]);
};

subtest 'all ports are taken' => sub {
    my $t = Abl::Team->start(ports => 2, keys => 'instances=1', habits => 'start=1');
    my $s = $t->server;
    ok($t->await_ready(1), 'there is an instance');
    my ($port) = map { $_->{address} =~ /:(\d+)\z/ } $t->instances;
    my ($other) = grep { $_ != $port } $t->{first}, $t->{first} + 1;
    my @strangers = (IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $other, Listen => 9, ReuseAddr => 1) || die "$!\n");
    my ($pid) = $t->pids;
    kill 'KILL', $pid;    # the next one listens a second after it was begun, and finds somebody
    ok((wait_until { push @strangers, IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 9, ReuseAddr => 1) || (); @strangers == 2 } 5),
        'somebody takes its port when it dies');
    ok((wait_until { @{ $t->app->{blocked} } == 2 } 10), 'the status has both') or diag(explain($t->app));
    is_deeply([ map { $_->{why} } @{ $t->app->{blocked} } ], [ ('in use by somebody else') x 2 ], 'and why');
    is(said($t, qr/ABL0031: .*:$other is in use by somebody else/), 1, 'the log has it once');
    is_deeply($t->app->{instances}, [], 'nothing runs');
    $s->log_ok(allow => [qr/ABL0031|ABL0035/]);
};

subtest 'one that is not ready in time' => sub {
    my $t = Abl::Team->start(keys => 'start-timeout=200ms failures=2 retry=5min', habits => 'deaf');
    my $s = $t->server;
    ok($s->await_log(qr/\[\w*:error\][^\n]*ABL0035: .* has been ended: not ready within start-timeout=; signal 15/), 'that is an error') or diag($s->log);
    ok((wait_until { $t->app->{failed} } 10), 'the application has failed');
    like($t->app->{last_failure}{why}, qr/\Anot ready within start-timeout=; signal 15/, 'the status has it, too');
    $s->log_ok(allow => [qr/ABL0035|ABL0033/]);
};

subtest 'a restart file that is a folder' => sub {
    my $t = Abl::Team->start(keys => 'restart-file=again');
    my $s = $t->server;
    ok($t->await_ready(1), 'there is an instance');
    my @before = $t->pids;
    make_path($t->dir . '/again');
    ok($s->await_log(qr/ABL0053: .*restart-file=\Q@{[$t->dir]}\E\/again is a folder, not a file/), 'is said');
    rmdir $t->dir . '/again';
    is_deeply([ $t->pids ], \@before, 'and nothing is restarted');
    spew($t->dir . '/again', '');
    ok($s->await_log(qr/ABL0038: .*restart-file=/), 'a file in its place is a wish');
    is(said($t, qr/ABL0053/), 1, 'said once');
    $s->log_ok(allow => [qr/ABL0053/]);
};

done_testing;
