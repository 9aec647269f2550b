# Requests that belong together go to one member: by cookie, URL, header or address, and by the hash method.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;

my @m = map { Abl::Member->start(name => $_) } qw(a b c);
my @routed = map { [ $_, 'route=' . $_->name ] } @m;

sub server { my ($lines, %o) = @_; return Abl::Server->start(%o, conf => balancer('app', @routed, @$lines) . "BalancerPass / app\n" . ($o{conf} || '')) }

sub member { my ($s, $path, @fields) = @_; return $s->client->ask('GET', $path, [@fields])->field('X-Member') || '-' }

# Who answers n requests, as a sorted list of names.
sub members { my ($s, $n, $path, @fields) = @_; my %seen; $seen{ member($s, $path, @fields) }++ for 1 .. $n; return join ' ', sort keys %seen }

# Each of these requests always goes to the same member, and among all of them every member has some.
sub spread {
    my ($s, $what, @requests) = @_;
    my @who = map { members($s, 3, @$_) } @requests;
    is(scalar(grep {/ /} @who), 0, "$what: always the same member");
    is(join(' ', sort keys %{ { map { $_ => 1 } @who } }), 'a b c', '... and all of them');
    return;
}

# What our cookie is, from an answer: (name=value, attributes).
sub cookie { my ($r) = @_; my ($pair, $rest) = split /; /, ($r->field('Set-Cookie'))[0] // '', 2; return ($pair // '', $rest // '') }

subtest 'the cookie' => sub {
    my $s = server(['BalancerAffinity cookie=ROUTEID']);
    my $c = $s->client;
    my $r = $c->ask('GET', '/fields?Cache-Control=max-age=5');
    my ($pair, $attributes) = cookie($r);
    like($pair, qr/\AROUTEID=[0-9a-f]{16}\z/, 'is an opaque id');
    is($attributes, 'Path=/; HttpOnly; SameSite=Lax', 'its attributes');
    is($r->field('Cache-Control'), 'max-age=5, no-cache="set-cookie"', 'a cache must not keep it');
    my $first = $r->field('X-Member');
    for (1 .. 6) {
        $r = $c->ask('GET', '/fields?Cache-Control=max-age=5', [ Cookie => "x=1; $pair; y=2" ]);
        is($r->field('X-Member'), $first, 'the same member');
        is(scalar $r->field('Set-Cookie'), undef, 'it is not set again');
        is($r->field('Cache-Control'), 'max-age=5', 'and the answer is as the member sent it');
    }
    is(members($s, 6, '/'), 'a b c', 'without it, in turn');
    my %pair = map { my $r = $s->client->ask('GET', '/'); $r->field('X-Member') => (cookie($r))[0] } 1 .. 6;
    is(keys %{ { reverse %pair } }, 3, 'each member has an id of its own');
    is(member($s, '/', Cookie => $pair{$_}), $_, "... that leads to $_") for qw(a b c);

    ($pair) = cookie($s->client->ask('GET', '/status/404'));
    like($pair, qr/\AROUTEID=/, 'with an error of the member');
    $r = $s->client->ask('GET', '/file/10', [ 'If-None-Match' => '"v1"' ]);
    is($r->status, 304, 'with 304 Not Modified');
    like((cookie($r))[0], qr/\AROUTEID=/, '... too');
    $r = $s->client->ask('GET', '/103');
    is(scalar(my @none = ($r->interims)[0]->field('Set-Cookie')), 0, 'not in an interim answer');
    like((cookie($r))[0], qr/\AROUTEID=/, 'but in the final one');
    $s->log_ok;

    my $other = server(['BalancerAffinity cookie=ROUTEID']);
    is(member($other, '/', Cookie => $pair{$_}), $_, "another server knows the cookie of $_") for qw(a b c);
    $other->log_ok;
};

subtest 'secure' => sub {
    my $s = server([ 'BalancerAffinity cookie=ROUTEID' ], conf => "BalancerTrusted 127.0.0.1\n");
    is((cookie($s->client->ask('GET', '/', [ 'X-Forwarded-Proto' => 'https' ])))[1], 'Path=/; HttpOnly; SameSite=Lax; Secure', 'a trusted proxy speaks https');
    is((cookie($s->client->ask('GET', '/', [ 'X-Forwarded-Proto' => 'http' ])))[1],  'Path=/; HttpOnly; SameSite=Lax', 'or http');
    $s->log_ok;
    $s = server([ 'BalancerAffinity cookie=ROUTEID' ]);
    is((cookie($s->client->ask('GET', '/', [ 'X-Forwarded-Proto' => 'https' ])))[1], 'Path=/; HttpOnly; SameSite=Lax', 'a stranger says so');
    $s->log_ok;
};

subtest 'what the client and the URL may say' => sub {
    my $s = server(['BalancerAffinity cookie=SID']);
    for my $name (qw(a b c)) {
        my %ways = (
            'the route'                  => [ '/', Cookie => "SID=$name" ],
            'session.route'              => [ '/', Cookie => "SID=12.34.$name" ],
            '.route'                     => [ '/', Cookie => "SID=.$name" ],
            'quoted'                     => [ '/', Cookie => "SID=\"x.$name\"" ],
            'space around'               => [ '/', Cookie => "y=1 ;  SID = x.$name ; z=2" ],
            'the first that names one'   => [ '/', Cookie => "SID=gone; SID=; SID=x.$name; SID=x.b" ],
            'the sixteenth'              => [ '/', Cookie => 'SID=x; ' x 15 . "SID=$name" ],
            'two Cookie fields'          => [ '/', Cookie => 'SID=gone', Cookie => "SID=x.$name" ],
            'the other way round'        => [ '/', Cookie => "SID=x.$name", Cookie => 'z=2' ],
            'path parameter'             => [ "/x;SID=77.$name" ],
            'path parameter, and more'   => [ "/x;v=1;SID=77.$name;w=2/y?q=1" ],
            'query parameter'            => [ "/?SID=77.$name" ],
            'second query parameter'     => [ "/?q=1&SID=$name&r=2" ],
            'the URL before the cookie'  => [ "/;SID=$name", Cookie => 'SID=x.b' ],
            'the cookie, if the URL errs' => [ '/;SID=nobody', Cookie => "SID=$name" ],
        );
        is(members($s, 3, @{ $ways{$_} }), $name, "$_: $name") for sort keys %ways;
    }
    my %not = (
        'the seventeenth'        => [ '/', Cookie => 'SID=x; ' x 16 . 'SID=a' ],
        'the seventeenth of the URL' => [ '/?' . 'SID=x&' x 16 . 'SID=a' ],
        'a lone quote'           => [ '/', Cookie => 'SID="' ],
        'another name'           => [ '/', Cookie => 'XSID=a; SIDX=a; sid=a' ],
        'no route'               => [ '/', Cookie => 'SID=x.nobody' ],
        'a dot behind'           => [ '/', Cookie => 'SID=a.' ],
        'more behind'            => [ '/', Cookie => 'SID=a.x' ],
        'inside a value'         => [ '/', Cookie => 'y=SID=a' ],
        'part of a parameter'    => [ '/?xSID=a&SIDx=a' ],
        'no parameter'           => [ '/SID=a' ],
        'another case'           => [ '/?sid=a' ],
    );
    is(members($s, 6, @{ $not{$_} }), 'a b c', "not: $_") for sort keys %not;
    $s->log_ok;

    $s = server(['BalancerAffinity cookie=JSESSIONID param=jsessionid']);
    is(members($s, 3, '/x;jsessionid=1A2B.b?q=1'), 'b', 'the parameter has a name of its own');
    is(members($s, 3, '/', Cookie => 'JSESSIONID=1A2B.c'), 'c', 'and the cookie its');
    is(members($s, 6, '/x;JSESSIONID=1A2B.b'), 'a b c', 'which are not the same');
    is(members($s, 6, '/', Cookie => 'jsessionid=1A2B.c'), 'a b c', 'either way');
    $s->log_ok;
};

subtest 'whose cookie it is' => sub {
    my $s = server(['BalancerAffinity cookie=SID']);
    my $r = $s->client->ask('GET', '/fields?Set-Cookie=SID%3D12.b%3B%20Path%3D/');
    is_deeply([ $r->field('Set-Cookie') ], ['SID=12.b; Path=/'], 'the application sets it: ours is not');
    is(scalar $r->field('Cache-Control'), undef, 'nor is the answer changed otherwise');
    $r = $s->client->ask('GET', '/fields?Set-Cookie=SIDE%3D1');
    is(scalar(my @two = $r->field('Set-Cookie')), 2, 'one of another name is no obstacle');
    for my $value ('12.nobody', 'something', '0123456789ABCDEF', 'x.0123456789abcdef') {
        $r = $s->client->ask('GET', '/', [ Cookie => "SID=$value" ]);
        is(scalar $r->field('Set-Cookie'), undef, "$value is not of our making and stays");
    }
    $r = $s->client->ask('GET', '/', [ Cookie => 'SID=0123456789abcdef' ]);
    like((cookie($r))[0], qr/\ASID=(?!0123456789abcdef)[0-9a-f]{16}\z/, 'one of our own that names nobody any more is replaced');
    $r = $s->client->ask('GET', '/', [ Cookie => 'SID=.gone' ]);
    like((cookie($r))[0], qr/\ASID=[0-9a-f]{16}\z/, 'and so is one of mod_proxy that does');
    $r = $s->client->ask('GET', '/;SID=x.b');
    is(scalar $r->field('Set-Cookie'), undef, 'a URL that names the member needs no cookie');
    $s->log_ok;
};

subtest 'replaced by an error document' => sub {
    my $s = server([ 'BalancerAffinity cookie=SID' ], conf => "BalancerErrorOverride on\n");
    my $r = $s->client->ask('GET', '/status/500');
    is($r->field('X-Member'), undef, "httpd's own page");
    like((cookie($r))[0], qr/\ASID=[0-9a-f]{16}\z/, 'with the cookie');
    $r = $s->client->ask('GET', '/fields?status=500&Set-Cookie=SID%3D1');
    is_deeply([ $r->field('Set-Cookie') ], ['SID=1'], "or with the application's");
    $s->log_ok;
};

subtest 'the member is down' => sub {
    my $gone = Abl::Member->refused;
    my @two  = ([ $gone, 'route=gone' ], [ $m[1], 'route=b' ]);
    my $s = Abl::Server->start(conf => balancer('app', @two, 'BalancerAffinity cookie=SID') . "BalancerPass / app\n");
    my $r = $s->client->ask('GET', '/', [ Cookie => 'SID=gone' ]);
    is($r->field('X-Member'), 'b', 'another one answers');
    is(scalar $r->field('Set-Cookie'), undef, "a cookie that is not ours stays");
    my ($pair) = cookie($s->client->ask('GET', '/'));
    is((cookie($s->client->ask('GET', '/', [ Cookie => 'SID=' . reverse +(split /=/, $pair)[1] ])))[0], $pair, 'ours is issued anew');
    $s->log_ok(allow => [trouble]);

    $s = Abl::Server->start(conf => balancer('app', @two, 'BalancerAffinity cookie=SID strict') . "BalancerPass / app\n");
    $r = $s->client->ask('GET', '/', [ Cookie => 'SID=gone' ]);
    is($r->status, 503, 'strict: 503');
    ok($r->field('Retry-After'), '... with Retry-After');
    is(members($s, 3, '/', Cookie => 'SID=b'), 'b', 'the others have theirs');
    is($s->client->ask('GET', '/')->status, 200, 'and who names nobody gets anybody');
    $s->log_ok(allow => [trouble]);
};

SKIP: {
    skip 'a prefork child has one request at a time', 1 if Abl::Server->default_mpm eq 'prefork';
    subtest 'a full member is waited for' => sub {
        $_->forget for @m;
        my $s = Abl::Server->start(conf => balancer('app', map({ [ $_, 'route=' . $_->name . ' concurrency=1' ] } @m), 'BalancerAffinity cookie=SID') . "BalancerPass / app\n");
        my ($held, $waits) = map { $s->client } 1 .. 2;
        $held->request('GET', '/gate', [ Cookie => 'SID=a' ]);
        $m[0]->await_requests(1);
        $waits->request('GET', '/second', [ Cookie => 'SID=a' ]);
        is(members($s, 4, '/'), 'b c', 'the others are free, and serve who does not mind');
        is(scalar(my @seen = $m[0]->requests), 1, 'but the session waits');
        $m[0]->release;
        is($held->response->field('X-Member'), 'a', 'until its member');
        is($waits->response->field('X-Member'), 'a', 'has time for it');
        $s->log_ok;
    };
}

subtest 'by header' => sub {
    my $s = server(['BalancerAffinity header=X-Tenant']);
    is(members($s, 3, '/', 'X-Tenant' => $_), $_, "a route: $_") for qw(a b c);
    spread($s, 'anything else', map { [ '/', 'X-Tenant' => "tenant $_" ] } 1 .. 60);
    is(members($s, 6, '/'), 'a b c', 'without the field: in turn');
    is(members($s, 6, '/', 'X-Tenant' => ''), 'a b c', 'nor does an empty one say anything');
    is(scalar $s->client->ask('GET', '/', [ 'X-Tenant' => 'x' ])->field('Set-Cookie'), undef, 'no cookie');
    $s->log_ok;
};

# Clients of other addresses, as mod_remoteip makes them.
my @remoteip = (modules => ['remoteip'], conf => "RemoteIPHeader X-Client\nRemoteIPInternalProxy 127.0.0.1\n");

subtest 'by address' => sub {
    my $s = server([ 'BalancerAffinity client' ], @remoteip);
    spread($s, 'an address', map { [ '/', 'X-Client' => "192.0.2.$_" ] } 1 .. 60);
    for my $net (1 .. 8) {
        my $home = member($s, '/', 'X-Client' => "2001:db8:0:${net}::1");
        is(members($s, 1, '/', 'X-Client' => "2001:db8:0:${net}:$_:2:3:4"), $home, "one IPv6 /64 is one client ($net)") for 5, 'ffff';
    }
    $s->log_ok;
};

subtest 'a later set has no part in it' => sub {
    my %way = ('header=X-Tenant' => 'X-Tenant', client => 'X-Client');
    for my $affinity (sort keys %way) {
        my $s = Abl::Server->start(
            modules => ['remoteip'],
            conf    => balancer('app', @routed[ 0, 1 ], [ $m[2], 'route=c set=1' ], "BalancerAffinity $affinity") . "BalancerPass / app\n$remoteip[3]",
        );
        my %by;
        $by{ member($s, '/', $way{$affinity} => "192.0.2.$_") }++ for 1 .. 40;
        is(join(' ', sort keys %by), 'a b', "$affinity: while the first one works");
        $s->log_ok;

        $s = Abl::Server->start(
            modules => ['remoteip'],
            conf    => balancer('app', [ Abl::Member->refused, 'route=a' ], [ $m[2], 'route=c set=1' ], "BalancerAffinity $affinity") . "BalancerPass / app\n$remoteip[3]",
        );
        is(members($s, 5, '/', $way{$affinity} => '192.0.2.1'), 'c', "$affinity: but when it does not");
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'by hash' => sub {
    my $s = server([ 'BalancerMethod hash header:X-Tenant' ]);
    spread($s, 'a header', map { [ '/', 'X-Tenant' => "tenant $_" ] } 1 .. 60);
    is(members($s, 6, '/'), 'a b c', 'without it: in turn');
    is(members($s, 6, '/', 'X-Tenant' => ''), 'a b c', 'an empty one is none');
    $s->log_ok;

    my %same = (
        'cookie:user' => [ map { [ '/', Cookie => "x=1; user=u$_" ] } 1 .. 60 ],
        'uri'         => [ map { [ "/path/$_?q=1" ] } 1 .. 60 ],
        'URI'         => [ map { [ "/path?q=$_" ] } 1 .. 60 ],
        'client'      => [ map { [ '/', 'X-Client' => "192.0.2.$_" ] } 1 .. 60 ],
        '"expr:%{HTTP:X-One} %{HTTP:X-Two}"' => [ map { [ '/', 'X-One' => 1, 'X-Two' => $_ ] } 1 .. 60 ],
    );
    for my $key (sort keys %same) {
        $s = server([ "BalancerMethod hash $key" ], @remoteip);
        spread($s, $key, @{ $same{$key} });
        $s->log_ok;
    }

    $s = Abl::Server->start(conf => balancer('app', @routed[ 0, 1 ], [ Abl::Member->refused, 'route=c' ], 'BalancerMethod hash uri') . "BalancerPass / app\n");
    my @who = map { members($s, 2, "/path/$_") } 1 .. 20;
    is(scalar(grep { $_ eq '-' || / / } @who), 0, 'a member is down: its keys move to one other each');
    $s->log_ok(allow => [trouble]);
};

done_testing;
