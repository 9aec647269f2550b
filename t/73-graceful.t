# Graceful restarts: leases, the queue and the statistics outlive them, no limit is exceeded by two generations together, and
# a configuration that has changed takes effect without a lost request.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;

my $prefork = Abl::Server->default_mpm eq 'prefork';

sub server {
    my (@members) = @_;
    return Abl::Server->start(
        status => 1, children => $prefork ? 30 : 4, threads => 16,
        conf   => balancer('app', @members, 'BalancerMethod leastbusy', 'BalancerQueue length=1000 timeout=30s') . "BalancerPass / app\n",
    );
}

sub generation { my ($s) = @_; return scalar(() = $s->log =~ /resuming normal operations/g) }

sub restart {
    my ($s) = @_;
    my $before = generation($s);
    my @old = $s->children;
    $s->signal('USR1');
    return (wait_until { generation($s) > $before } 15)
        && wait_until { !grep { $s->is_listening($_) } @old } 15;
}

# Rewrites the configuration's text, and restarts.
sub reconfigure {
    my ($s, $code) = @_;
    my $file = $s->dir . '/httpd.conf';
    local $_ = slurp($file);
    my $before = $_;
    $code->();
    die "the configuration has not changed\n" if $_ eq $before;
    spew($file, $_);
    return restart($s);
}

sub line { my ($m, $keys) = @_; return '    BalancerMember "' . $m->url . "\" $keys\n" }

# Requests by name that wait in the queue, one behind the other.
sub queue {
    my ($s, @paths) = @_;
    my $already = $s->status_balancer->{queue}{length};
    return map {
        my $c = $s->client(timeout => 20);
        $c->request('GET', $_);
        ok($s->await_queue(++$already), "$_ is queued");
        $c;
    } @paths;
}

sub served { my ($m) = @_; return map { $_->target } $m->requests }

subtest 'ten in a row under load' => sub {
    my @m = map { Abl::Counter->start(name => $_, ms => 10) } qw(a b);
    my $s = server(map { [ $_, 'concurrency=1' ] } @m);
    my $load = Abl::Load->start(port => $s->port, clients => 20, path => '/work');
    ok((wait_until { $s->status_balancer->{queue}{length} >= 10 } 15), 'the queue has filled');
    for my $round (1 .. 10) {
        my $before = $m[0]->stats->{served};
        ok(restart($s), "restart $round");
        my $status = $s->status_json;
        is($status->{check}, 'ok', "check after $round");
        ok((wait_until { $m[0]->stats->{served} > $before + 5 }), "it goes on after $round");
    }
    my $seen = $load->finish;
    is_deeply([ keys %{ $seen->{answers} } ], [200], 'all answers are 200') or diag(explain($seen));
    is($seen->{broken} + $seen->{unfinished}, 0, 'and no request is lost') or diag(explain($seen));
    my $served = 0;
    for my $m (@m) {
        my $stats = $m->stats;
        is($stats->{peak}, 1, 'never more than one request at ' . $m->name);
        is($stats->{gone}, 0, 'whose answers have all been taken');
        $served += $stats->{served};
    }
    is($served, $seen->{asked}, 'each request was served once');
    my $counted = 0;
    $counted += $_->{requests} for @{ $s->status_balancer->{members} };
    is($counted, $served, 'the statistics outlived all restarts');
    is($s->unrest, '', 'nothing is left');
    ok((wait_until { $s->children <= ($prefork ? 60 : 8) } 20), 'old generations end');
    $s->log_ok;
};

subtest 'what waits, and what occupies a member, is still there' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server([ $m, 'concurrency=1' ]);
    my $first = $s->client;
    $first->request('GET', '/gate/first');
    $m->await_requests(1);
    my @old = queue($s, '/echo/old-1', '/echo/old-2');
    ok(restart($s), 'restarted');
    is($s->status_member($m)->{busy}, 1, 'the member is still occupied');
    is($s->status_balancer->{queue}{length}, 2, 'and two still wait');
    my @new = queue($s, '/echo/new-1', '/echo/new-2');
    ok(restart($s), 'restarted again');
    push @new, queue($s, '/echo/newer');
    is(scalar $m->requests, 1, 'the member still has its one request');
    $m->release;
    is($_->response->status, 200, 'answered') for $first, @old, @new;
    is_deeply([ served($m) ], [qw(/gate/first /echo/old-1 /echo/old-2 /echo/new-1 /echo/new-2 /echo/newer)],
        'one queue over three generations');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'a member that is added' => sub {
    my ($m, $added) = map { Abl::Member->start(name => $_) } qw(a added);
    my $s = server([ $m, 'concurrency=1' ]);
    my $first = $s->client;
    $first->request('GET', '/gate/first');
    $m->await_requests(1);
    my ($old) = queue($s, '/echo/old');
    ok(reconfigure($s, sub { s{(?=</Balancer>)}{line($added, 'concurrency=1')}e }), 'restarted');
    is($s->status_member($m)->{busy}, 1, 'the lease of the old one is kept');
    is($s->client->ask('GET', '/echo/new')->field('X-Member'), 'added', 'a new request goes to the new one at once');
    # the child that holds the old request does not know the new member
    $m->release;
    is($_->response->status, 200, 'the others are answered') for $first, $old;
    my %seen;
    $seen{ $s->client->ask('GET', '/echo')->field('X-Member') }++ for 1 .. 6;
    is_deeply([ sort keys %seen ], [qw(a added)], 'from now on both are used');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'a member that is removed' => sub {
    my ($m, $removed) = map { Abl::Member->start(name => $_) } qw(a removed);
    my $s = server([ $m, 'concurrency=1' ], [ $removed, 'concurrency=1' ]);
    my @c = map { my $c = $s->client; $c->request('GET', "/gate/$_"); $c } 1, 2;
    $_->await_requests(1) for $m, $removed;
    my ($waits) = queue($s, '/echo/waits');
    ok(reconfigure($s, sub { my $line = line($removed, 'concurrency=1'); s{\Q$line\E}{} }), 'restarted');
    my $status = $s->status_json;
    is($status->{check}, 'ok', 'check');
    my $row = $s->status_member($removed);
    ok($row && $row->{removed} && $row->{busy} == 1, 'it is on its way out, with its last request') or diag(explain($status));
    $removed->release;
    ok((wait_until { !$s->status_member($removed) || !$s->status_member($removed)->{busy} } 3), 'which ends');
    ok((stays { $removed->requests == 1 }), 'nobody else gets it');
    $m->release;
    is($_->response->status, 200, 'answered') for @c, $waits;
    is($s->client->ask('GET', '/echo')->field('X-Member'), 'a', 'new requests go to the other one') for 1 .. 3;
    ok(restart($s), 'restarted once more');
    ok((wait_until { !defined $s->status_member($removed) } 10), 'it is forgotten when nobody knows it any more');
    is(scalar $removed->requests, 1, 'and never got another request');
    is($s->unrest, '', 'nothing is left');
    ok(reconfigure($s, sub { s{(?=</Balancer>)}{line($removed, 'concurrency=1')}e }), 'put back');
    is($s->status_member($removed)->{requests}, 0, 'it begins anew');
    $s->log_ok;
};

# Three wait for a member that the next generation does not have any more.
sub who_waits_is_served {
    my ($change) = @_;
    my ($m, $new) = map { Abl::Member->start(name => $_) } qw(a new);
    my $s = server([ $m, 'concurrency=1' ]);
    my $first = $s->client;
    $first->request('GET', '/gate/first');
    $m->await_requests(1);
    my @wait = queue($s, map {"/echo/$_"} 1 .. 3);
    ok(reconfigure($s, sub { $change->(line($m, 'concurrency=1'), line($new, 'concurrency=1')) }), 'restarted');
    is($s->status_json->{check}, 'ok', 'check');
    is($s->client->ask('GET', '/echo/new')->field('X-Member'), 'new', 'a new request goes to the new one');
    is(scalar $m->requests, 1, 'the old one has still one request');
    $m->release;
    is($_->response->status, 200, 'answered') for $first, @wait;
    is_deeply([ served($m) ], [qw(/gate/first /echo/1 /echo/2 /echo/3)], 'by the old one, one after the other');
    is_deeply([ served($new) ], ['/echo/new'], 'and not by the new one');
    is($s->unrest, '', 'nothing is left');
    ok(restart($s), 'restarted once more');
    ok((wait_until { @{ $s->status_balancer->{members} } == 1 } 10), 'the old one is forgotten when nobody knows it any more');
    $s->log_ok;
    return;
}

subtest 'the only member is replaced' => sub {
    who_waits_is_served(sub { my ($old, $new) = @_; s/\Q$old\E/$new/ });
};

subtest 'a balancer that is removed' => sub {
    who_waits_is_served(sub { my ($old, $new) = @_; s/\Q$old\E/$new/; s/<Balancer app>/<Balancer other>/; s{BalancerPass / app}{BalancerPass / other} });
};

subtest 'a limit that is raised' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server([ $m, 'concurrency=1' ]);
    my $first = $s->client;
    $first->request('GET', '/gate/1');
    $m->await_requests(1);
    ok(reconfigure($s, sub { s/concurrency=1/concurrency=2/ }), 'restarted');
    is($s->status_member($m)->{concurrency}, 2, 'the new limit is in force');
    my $second = $s->client;
    $second->request('GET', '/gate/2');
    ok($m->await_requests(2), 'a second request gets in beside the first');
    my ($third) = queue($s, '/echo/3');
    is(scalar $m->requests, 2, 'not a third');
    $m->release;
    is($_->response->status, 200, 'answered') for $first, $second, $third;
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

subtest 'a limit that is lowered' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server([ $m, 'concurrency=2' ]);
    my $first = $s->client;
    $first->request('GET', '/gate/1');
    $m->await_requests(1);
    my $second = $s->client;
    $second->request('GET', '/sse?n=1&ms=gate');
    $m->await_requests(2);
    ok(reconfigure($s, sub { s/concurrency=2/concurrency=1/ }), 'restarted');
    is($s->status_json->{check}, 'ok', 'more than allowed, for now, is no fault');
    is($s->status_member($m)->{busy}, 2, 'the two have it still');
    my ($third, $fourth) = queue($s, '/gate/3', '/echo/4');
    ok((stays { $m->requests == 2 }), 'no third');
    $m->release;
    is($_->response->status, 200, 'answered') for $first, $second;
    $m->await_requests(3);
    ok((stays { $m->requests == 3 }), 'the fourth waits for the third');
    $m->release;
    is($_->response->status, 200, 'answered') for $third, $fourth;
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

done_testing;
