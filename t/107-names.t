# Members by name, with a real DNS server on loopback: addresses that come and go under load, SRV records, names that nobody knows
# yet, and a DNS server that dies.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Dns;
use Time::HiRes qw(time);

needs('knotd', 'knotc');

use constant TTL => 1;

# Members at 127.0.0.2, 127.0.0.3, … and all at one port, which is not always free at every one of them.
sub members {
    my ($n, %o) = @_;
    for my $try (1 .. 20) {
        my @m = Abl::Member->start(name => 'at2', host => '127.0.0.2', %o);
        my $ok = eval { push @m, Abl::Member->start(name => "at$_", host => "127.0.0.$_", port => $m[0]->port, %o) for 3 .. $n + 1; 1 };
        return @m if $ok;
    }
    die "no port is free at $n addresses\n";
}

# A worker for each client of a load, and some: with fewer, httpd complains (AH00484) whenever all are needed.
my @enough = Abl::Server->default_mpm eq 'prefork' ? (children => 40) : (threads => 40);

sub server {
    my ($dns, $balancer, %o) = @_;
    my $resolver = 'BalancerResolver ' . $dns->address . ' timeout=' . ($dns->is_alive ? '2s tries=3' : '300ms') . "\n";
    return Abl::Server->start(status => 1, @enough, conf => "$resolver${balancer}BalancerPass / app\n", %o);
}

# How many of the answers to so many requests came from whom; by member's name, or status.
sub answers {
    my ($s, $n, @fields) = @_;
    my %by;
    for my $i (1 .. $n) {
        my $r = $s->client->ask('GET', "/echo/$i", @fields);
        $by{ $r->status == 200 ? $r->field('X-Member') : $r->status }++;
    }
    return \%by;
}

sub at { my ($s) = @_; return join ' ', sort map { map {/\A127\.0\.0\.(\d+):/} @{ $_->{at} } } @{ $s->status_balancer->{members} } }

# Waits until the members are at these addresses; returns how long it took, of which the answer from before may take TTL.
sub await_at { my ($s, $at, $since) = @_; wait_until { at($s) eq $at } 15; is(at($s), $at, "at $at"); return time - $since }

sub used_in_time {
    my ($took, $what) = @_;
    return cmp_ok($took, '<=', (TTL + 1) * patience(), "$what within TTL + 1 s") || diag($took);
}

sub unharmed {
    my ($load, $least) = @_;
    my $seen = $load->finish;
    is_deeply([ keys %{ $seen->{answers} } ], [200], "no request failed, of $seen->{asked}") or diag(explain $seen);
    is($seen->{broken}, 0, 'none was cut off');
    cmp_ok($seen->{asked}, '>', $least || 100, 'there was some load');
    return;
}

# Is it given requests from now on?
sub is_used { my ($m, $n) = @_; $m->forget; return $m->await_requests($n || 20) }

sub said { my ($s, $id) = @_; return scalar(() = $s->log =~ /\b$id\b/g) }

subtest 'a name with one member: its address changes under load' => sub {
    my @m    = members(2);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2');
    my $s    = server($dns, balancer('app', "BalancerMember http://app.internal:$port"));
    is_deeply(answers($s, 3), { at2 => 3 }, 'it is served');
    my @load = map { Abl::Load->start(port => $s->port, clients => 15, path => '/echo?delay=20', keep => $_) } 0, 1;
    $m[0]->await_requests(200);
    my $since = time;
    $dns->set('app A 127.0.0.3');
    used_in_time(await_at($s, '3', $since), 'the new address is used');
    $_->forget for @m;
    ok(is_used($m[1], 200), 'the load goes there');
    is(scalar $m[0]->requests, 0, 'and to the old one no more, not over kept connections either');
    $since = time;
    $dns->set('app A 127.0.0.2', 'app A 127.0.0.3');
    used_in_time(await_at($s, '2 3', $since), 'both');
    is($s->status_balancer->{members}[0]{at}[0], "127.0.0.3:$port", 'the one that was there comes first still');
    unharmed($_) for @load;
    $m[0]->stop;
    is_deeply(answers($s, 3), { at3 => 3 }, 'one of two addresses refuses: the other one is used');
    ok($s->await_log(qr{ABL0303: balancer app: http://app\.internal:$port: new 127\.0\.0\.3:$port; gone 127\.0\.0\.2:$port; 1 in all}), 'the log tells');
    is($s->unrest, '', 'the ledger is sound');
    $s->log_ok;
};

subtest 'expand=: addresses are added and removed under load' => sub {
    my @m    = members(5);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2', 'app A 127.0.0.3');
    my $s    = server($dns, balancer('app', "BalancerMember http://app.internal:$port expand=4 slow-start=1s"));
    is_deeply(answers($s, 10), { at2 => 5, at3 => 5 }, 'each address is a member, with its whole part from the start');
    my @load = map { Abl::Load->start(port => $s->port, clients => 15, path => '/echo?delay=20', keep => $_) } 0, 1;
    my @now  = (2, 3);
    for my $next ([ 2, 3, 4 ], [ 3, 4 ], [ 3, 4, 5, 6 ], [ 5, 6 ], [2], [ 4, 5, 6 ], [ 2, 3 ]) {
        my $since = time;
        $dns->set(map {"app A 127.0.0.$_"} @$next);
        used_in_time(await_at($s, "@$next", $since), "from @now to @$next:");
        for my $i (@$next) { ok(is_used($m[ $i - 2 ]), "127.0.0.$i is used") }
        my %is = map { $_ => 1 } @$next;
        my @gone = grep { !$is{$_} } 2 .. 6;
        $m[ $_ - 2 ]->forget for @gone;
        is_used($m[ $next->[0] - 2 ], 50);
        is(join(' ', grep { $m[ $_ - 2 ]->requests } @gone), '', 'none that is gone is');
        @now = @$next;
    }
    unharmed($_) for @load;
    is($s->unrest, '', 'the ledger is sound');
    $s->log_ok;
};

subtest 'expand=: what is known of one goes with its address' => sub {
    my @m    = members(4);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2', 'app A 127.0.0.3');
    my $s    = server($dns, balancer('app', "BalancerMember http://app.internal:$port expand=2", 'BalancerAffinity cookie=at'));
    my $first = $s->client->ask('GET', '/echo');
    my ($cookie) = ($first->field('Set-Cookie') || '') =~ /\A(at=[0-9a-f]{16});/ or fail('there is a cookie');
    my $mine = $first->field('X-Member');
    my ($other) = grep { $_ ne $mine } 'at2', 'at3';
    my %host = map { +"at$_" => "127.0.0.$_" } 2 .. 5;
    $dns->set("app A $host{$mine}", 'app A 127.0.0.4', 'app A 127.0.0.5');
    ok($s->await_log(qr/ABL0304: balancer app: http:\/\/app\.internal:$port stands for 3 members, and expand= allows for 2: 1 are left out/), 'three do not fit, and the log says so');
    my ($third) = grep {/[45]/} split / /, at($s);
    is_deeply(answers($s, 5, [ Cookie => $cookie ]), { $mine => 5 }, 'the session stays where it was');
    $dns->set("app A 127.0.0.$third");
    await_at($s, $third, time);
    my $moved = $s->client->ask('GET', '/echo', [ Cookie => $cookie ]);
    is($moved->field('X-Member'), "at$third", 'until that is gone');
    like($moved->field('Set-Cookie'), qr/\Aat=[0-9a-f]{16};/, 'and gets another cookie');
    $dns->set("app A $host{$other}", "app A $host{$mine}");
    await_at($s, join(' ', 2, 3), time);
    is_deeply(answers($s, 5, [ Cookie => $cookie ]), { $mine => 5 }, 'the old cookie means the same address, whatever its slot');
    $m[ substr($mine, 2) - 2 ]->stop;
    is_deeply(answers($s, 6), { $other => 6 }, 'one that has died is left out');
    ok($s->await_log(qr{ABL0070: balancer app: http://app\.internal:$port \(\Q$host{$mine}\E:$port\) cannot be reached}), 'and named by its address');
    $dns->set("app A 127.0.0.4", "app A $host{$other}");
    await_at($s, join(' ', sort 4, substr $other, 2), time);
    ok((wait_until { (answers($s, 4)->{at4} || 0) == 2 } 5), 'who comes to its slot has nothing to do with that');
    is($s->unrest, '', 'the ledger is sound');
    my $again = server($dns, balancer('app', "BalancerMember http://127.0.0.9:$port", "BalancerMember http://app.internal:$port expand=9", 'BalancerAffinity cookie=at'));
    $dns->set("app A $host{$other}", 'app A 127.0.0.4', 'app A 127.0.0.5');
    await_at($again, join(' ', sort 4, 5, substr $other, 2), time);
    my ($new) = ($s->client->ask('GET', '/echo')->field('Set-Cookie') || '') =~ /\A(at=[0-9a-f]{16});/;
    my $there = $s->client->ask('GET', '/echo', [ Cookie => $new ])->field('X-Member');
    is_deeply(answers($again, 5, [ Cookie => $new ]), { $there => 5 }, 'and on another front server, with other slots, too');
    $_->log_ok(allow => [ 'ABL0304', 'ABL0070', 'ABL0002' ]) for $s, $again;
};

subtest 'srv: weights and priorities' => sub {
    my @m   = members(4);
    my $port = $m[0]->port;
    my @hosts = map {"host$_ A 127.0.0.$_"} 2 .. 5;
    my $dns = Abl::Dns->start(@hosts, map {"_http._tcp.app SRV $_"} "10 3 $port host2", "10 1 $port host3", "20 0 $port host4");
    my $s   = server($dns, balancer('app', 'BalancerMember srv:_http._tcp.app.internal'));
    is_deeply(answers($s, 40), { at2 => 30, at3 => 10 }, 'the first priority, by weight');
    my @load = map { Abl::Load->start(port => $s->port, clients => 15, path => '/echo?delay=20', keep => $_) } 0, 1;
    $dns->set(@hosts, map {"_http._tcp.app SRV $_"} "10 1 $port host2", "10 1 $port host3", "20 0 $port host4");
    ok((wait_until { !grep { $_->{weight} != 1 } @{ $s->status_balancer->{members} } } 5), 'weights change at run time');
    $m[2]->forget;
    is_used($m[1], 20);
    is(scalar $m[2]->requests, 0, 'the second priority gets nothing');
    my $since = time;
    $dns->set(@hosts, map {"_http._tcp.app SRV $_"} "20 0 $port host4");
    used_in_time(await_at($s, '4', $since), 'until the first is gone: then it is used');
    ok(is_used($m[2], 50), 'it is');
    $since = time;
    $dns->set(@hosts, map {"_http._tcp.app SRV $_"} "20 0 $port host4", "5 1 $port host5", "5 0 $port host3");
    used_in_time(await_at($s, '3 4 5', $since), 'and again a first one:');
    is_used($m[3], 50);
    $m[2]->forget;
    is_used($m[3], 50);
    is(scalar $m[2]->requests, 0, 'the second one rests');
    my ($little) = grep { $_->{at}[0] =~ /\A127\.0\.0\.3:/ } @{ $s->status_balancer->{members} };
    cmp_ok($little->{weight}, '<=', 0.02, 'weight 0 is next to nothing');
    $dns->set('host2 A 127.0.0.2', 'host3 A 127.0.0.2', "_http._tcp.app SRV 1 1 $port host2", "_http._tcp.app SRV 1 1 $port nobody");
    await_at($s, '2', time);
    pass('a record without an address is left out');
    unharmed($_) for @load;
    $m[0]->forget;
    my $host = Abl::Server->start(status => 1, conf => 'BalancerResolver ' . $dns->address . "\nBalancerPreserveHost Off\n"
        . balancer('app', 'BalancerMember srv:_http._tcp.app.internal/base') . "BalancerPass / app\n");
    $host->client->ask('GET', '/echo');
    is(scalar $m[0]->last_request->field('Host'), 'app.internal', 'without the client\'s Host the domain is sent');
    is($m[0]->last_request->target, '/base/echo', 'a path is put before');
    $_->log_ok for $s, $host;
};

subtest 'a name that nobody knows yet' => sub {
    my ($m) = members(1);
    my $port = $m->port;
    my $dns = Abl::Dns->start;
    for my $keys ('', 'expand=3') {
        $dns->set('other A 127.0.0.9');
        my $s = server($dns, balancer('app', "BalancerMember http://app.internal:$port $keys"));
        my $began = time;
        is($s->client->ask('GET', '/echo')->status, 503, "$keys: 503");
        cmp_ok(time - $began, '<', 5 * patience(), 'soon');
        ok($s->await_log(qr{ABL0300: balancer app: http://app\.internal:$port cannot be found: there is no such name; it is left out}), 'the log says why');
        is(scalar @{ $s->status_balancer->{members} }, 0, 'the status has no such member');
        $dns->set('app A 127.0.0.2');
        ok((wait_until { $s->client->ask('GET', '/echo')->status == 200 } 10), 'it appears: it is served, without a reload');
        ok($s->await_log(qr{ABL0301: balancer app: http://app\.internal:$port is at 127\.0\.0\.2:$port}), 'the log tells');
        is(said($s, 'ABL0300'), 1, 'and has complained once');
        is($s->unrest, '', 'the ledger is sound');
        $s->log_ok(allow => [ 'ABL0300', 'ABL0002' ]);
    }
};

subtest 'the DNS server does not answer at all' => sub {
    my ($m, $good) = members(2);
    my $hole  = Abl::Dns->blackhole;
    my $began = time;
    my $s     = server($hole, balancer('app', 'BalancerMember http://app.internal:' . $m->port));
    cmp_ok(time - $began, '<', 3 * patience(), 'httpd starts all the same');
    my $c = $s->client;
    $c->request('GET', '/echo');
    ok($s->await_queue(1), 'a request waits until it is known that there is nobody');
    is($c->response->status, 503, 'then it is refused');
    ok($s->await_log(qr/ABL0300: .* cannot be found: Timeout/), 'and the log says why') or diag($s->log);
    my $with = server($hole, balancer('app', 'BalancerMember http://app.internal:' . $m->port, $good));
    $began = time;
    is_deeply(answers($with, 5), { at3 => 5 }, 'where there is another member nobody waits');
    cmp_ok(time - $began, '<', 0.5 * patience(), 'at all');
    $_->log_ok(allow => [ 'ABL0300', 'ABL0002' ]) for $s, $with;
};

subtest 'the DNS server dies, httpd is restarted, the control process is killed' => sub {
    my @m    = members(3);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2', 'app A 127.0.0.3');
    my $s    = server($dns, balancer('app', "BalancerMember http://app.internal:$port expand=4"));
    answers($s, 1);
    my $load = Abl::Load->start(port => $s->port, clients => 10, path => '/echo?delay=20');
    $dns->kill;
    ok($s->await_log(qr/ABL0302: balancer app: \S+ cannot be looked up: .*; what was found last is used/, 15), 'the log tells');
    is(at($s), '2 3', 'what was found last goes on');
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /Doing graceful restart.*resuming normal operations/s } 10), 'graceful restart');
    is(at($s), '2 3', 'changes nothing');
    my $control = $s->status_json->{control};
    kill 'KILL', $control;
    ok((wait_until { my $now = $s->status_json->{control}; $now && $now != $control && kill 0, $now } 10), 'another control process');
    is(at($s), '2 3', 'neither');
    ok((wait_until { said($s, 'ABL0302') == 2 } 30), 'which says that it cannot look it up, either');
    $dns->again->set('app A 127.0.0.3', 'app A 127.0.0.4');
    await_at($s, '3 4', time);
    ok($s->await_log(qr/ABL0307: balancer app: \S+ can be looked up again/), 'the DNS server is back, and the log tells');
    $dns->set('other A 127.0.0.9');
    ok((wait_until { said($s, 'ABL0302') == 3 } 10), 'all addresses are taken away') or diag(said($s, 'ABL0302'));
    is(at($s), '3 4', 'which is not believed');
    unharmed($load);
    my $seen = $s->status_balancer;
    is($seen->{queue}{length}, 0, 'nobody waits');
    is($s->unrest, '', 'the ledger is sound');
    $s->log_ok(allow => [ 'ABL0302', 'ABL0045' ]);
};

subtest 'a graceful restart brings other names' => sub {
    my @m    = members(2);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2', 'app A 127.0.0.3', 'one A 127.0.0.2');
    my $s    = server($dns, balancer('app', "BalancerMember http://one.internal:$port"));
    is_deeply(answers($s, 2), { at2 => 2 }, 'one');
    my $conf = slurp($s->dir . '/httpd.conf');
    my $load = Abl::Load->start(port => $s->port, clients => 10, path => '/echo?delay=20');
    my $n = 0;
    for my $member ("http://app.internal:$port expand=4", "http://app.internal:$port expand=2", "http://app.internal:$port", "http://one.internal:$port resolve=off", "http://one.internal:$port") {
        my $text = $conf =~ s{http://one\.internal:$port}{$member}r;
        spew($s->dir . '/httpd.conf', $text);
        $s->signal('USR1');
        $n++;
        ok((wait_until { (() = $s->log =~ /resuming normal operations/g) > $n } 10), $member);
        my $want = $member =~ /app/ ? '2 3' : '2';
        ok((wait_until { join(' ', sort map { map {/\.(\d):/} @{ $_->{at} } } grep { !$_->{removed} } @{ $s->status_balancer->{members} }) eq $want } 5), "is at $want");
    }
    unharmed($load, 30); # one child: while it is replaced nobody listens
    is($s->unrest, '', 'the ledger is sound');
    $s->log_ok;
};

subtest 'resolve=' => sub {
    my @m    = members(2);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app 3600 A 127.0.0.2');
    my %s    = map { $_ => server($dns, balancer('app', "BalancerMember http://app.internal:$port $_")) } 'resolve=1s', 'resolve=off', 'resolve=ttl';
    answers($_, 1) for values %s;
    $dns->set('app 3600 A 127.0.0.3');
    my $since = time;
    used_in_time(await_at($s{'resolve=1s'}, '3', $since), 'resolve=1s, whatever the TTL:');
    is(at($s{"resolve=$_"}), '2', "resolve=$_") for 'off', 'ttl';
    $_->log_ok for values %s;
};

subtest 'concurrency= holds for each address' => sub {
    my @m    = members(2);
    my $port = $m[0]->port;
    my $dns  = Abl::Dns->start('app A 127.0.0.2', 'app A 127.0.0.3');
    my $s    = server($dns, balancer('app', "BalancerMember http://app.internal:$port expand=3 concurrency=1", 'BalancerAffinity cookie=at'));
    my $cookie = '';
    ok((wait_until { my $r = $s->client->ask('GET', '/echo'); ($cookie) = ($r->field('Set-Cookie') || '') =~ /\A(at=\w+);/; $r->field('X-Member') eq 'at2' } 5), 'a session at 127.0.0.2');
    my @c = map { $s->client } 0 .. 3;
    $c[$_]->request('GET', '/gate', $_ == 3 ? [ Cookie => $cookie ] : []) for 0 .. 3;
    ok($s->await_queue(2), 'two are served, two wait: one for anybody, one for the address of its session');
    $dns->set('app A 127.0.0.3', 'app A 127.0.0.4');
    await_at($s, '3 4', time);
    $m[$_]->release for 0, 1;
    ok($m[1]->await_requests(2), 'the address is gone: who waited for it goes to another') or diag(explain $s->status_balancer);
    wait_until { $m[1]->release; !$s->status_balancer->{queue}{length} } 10;
    $m[1]->release;
    is(join(' ', map { $_->response->status } @c), '200 200 200 200', 'all are served, the one at the old address, too');
    is(scalar(grep { $_->target eq '/gate' } $m[0]->requests), 1, 'which has got no other');
    is($s->unrest, '', 'the ledger is sound');
    $s->log_ok(allow => [ 'ABL0070' ]);
};

subtest 'localhost is found without any DNS' => sub {
    my $m = Abl::Member->start(name => 'here');
    my $s = Abl::Server->start(
        status => 1,
        conf   => "BalancerResolver 127.0.0.9:1\n" . balancer('app', 'BalancerMember http://localhost:' . $m->port, 'BalancerQueue length=0') . "BalancerPass / app\n",
    );
    is_deeply(answers($s, 3), { here => 3 }, 'and needs no lookup that would have to be waited for');
    $s->log_ok;
};

subtest 'mistakes' => sub {
    my %wrong = (
        'http://127.0.0.1:80 expand=2'      => qr/ABL0310: expand= goes with a host name, and this address has none/,
        'http://[::1]:80 resolve=off'       => qr/ABL0310: resolve= goes with a host name/,
        'unix:/run/x|http://app expand=2'   => qr/ABL0310/,
        'http://app:80 expand=0'            => qr/ABL0125: expand=0: expected a whole number from 1 to 64/,
        'http://app:80 expand=65'           => qr/ABL0125/,
        'http://app:80 resolve=5'           => qr/ABL0125: resolve=5: expected ttl, off, or a time from 1s to 1h/,
        'http://app:80 resolve=500ms'       => qr/ABL0125/,
        'http://app:80 resolve=2h'          => qr/ABL0125/,
        'http://app:80 expand=2 route=a'    => qr/ABL0311: route= names one member, and this line stands for several/,
        'srv:_http._tcp.app route=a'        => qr/ABL0311/,
        'srv:_http._tcp.app weight=2'       => qr/ABL0312: with srv: the records say the weights; leave weight= out/,
        'srv:_http._tcp.app:80'             => qr/ABL0129: .*the records say the ports/,
        'srv:'                              => qr/ABL0129: .*the name whose records are meant is missing/,
        'srv:_http._tcp.'                   => qr/ABL0129/,
        'srv:a b'                           => qr/ABL0123/,
        'srv:_http._tcp.app tls-name=x'     => qr/ABL0270/,
        'http://app:80 addressttl=3'        => qr/ABL0121: addressttl= is mod_proxy's and means nothing here: write resolve=TIME/,
        "http://app:80 expand=2\n BalancerMember http://app:80" => qr/ABL0314: BalancerMember http:\/\/app:80: <Balancer app> has this name already/,
        (join "\n BalancerMember ", map {"http://app$_:80 expand=64"} 1 .. 161) => qr/ABL0128: <Balancer app> has more than 10240 members/,
    );
    for my $line (sort keys %wrong) {
        my ($code, $text) = Abl::Server->configtest(balancer('app', "BalancerMember $line"));
        isnt($code, 0, "$line: refused");
        like($text, $wrong{$line}, 'and why');
    }
    my %resolver = (
        'one.internal'          => qr/ABL0320: BalancerResolver one\.internal: expected addresses of DNS servers/,
        '127.0.0.1:0'           => qr/ABL0320/,
        '[::1'                  => qr/ABL0320/,
        '127.0.0.1 timeout=5'   => qr/ABL0322: BalancerResolver timeout=5: expected a time from 100ms to 30s/,
        '127.0.0.1 tries=0'     => qr/ABL0323: BalancerResolver tries=0: expected a whole number from 1 to 10/,
        '127.0.0.1 port=1'      => qr/ABL0324/,
        ''                      => qr/ABL0326/,
        (join ' ', ('127.0.0.1') x 9) => qr/ABL0321: BalancerResolver: at most 8 servers/,
        "127.0.0.1\nBalancerResolver ::1" => qr/ABL0325: BalancerResolver ::1: there is one already/,
    );
    my $app = balancer('app', 'BalancerMember http://app:80');
    for my $line (sort keys %resolver) {
        my ($code, $text) = Abl::Server->configtest("${app}BalancerResolver $line");
        isnt($code, 0, "BalancerResolver $line: refused");
        like($text, $resolver{$line}, 'and why');
    }
    my ($code, $text) = Abl::Server->configtest(balancer('app', 'BalancerMember http://app:80', 'BalancerMember http://app:81 expand=3 resolve=10s slow-start=1s set=2',
            'BalancerMember srv:_https._tcp.app.internal expand=64 resolve=off', 'BalancerMember srv:app.service.consul/x') . "BalancerResolver 127.0.0.1 [::1]:8600 ::1 timeout=1s tries=3\n");
    is($code, 0, 'what is right') or diag($text);
    unlike($text, qr/ABL\d/, 'without a word');
};

done_testing;
