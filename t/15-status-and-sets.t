# Who may get a request at all: status=, set=, and what they mean together.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;

my @m = map { Abl::Member->start(name => $_) } qw(a b c d);
my ($A, $B, $C, $D) = @m;

# Members as [member, keys], more lines as text. Routes are the members' names.
sub server {
    my (@parts) = @_;
    my @routed = map { ref $_ ? [ $_->[0], $_->[1] . ($_->[0]->name ? ' route=' . $_->[0]->name : '') ] : $_ } @parts;
    return Abl::Server->start(conf => balancer('app', @routed) . "BalancerPass / app\n");
}

sub members { my ($s, $n, @fields) = @_; my $c = $s->client; my %seen; $seen{ $c->ask('GET', '/', [@fields])->field('X-Member') || '-' }++ for 1 .. $n; return join ' ', map {"$_$seen{$_}"} sort keys %seen }

my @down = map { Abl::Member->refused } 1 .. 3;

subtest 'all as it should be' => sub {
    my $s = server([ $A, 'status=on' ], [ $B, 'status=spare' ], [ $C, 'status=backup' ], [ $D, 'set=1' ]);
    is(members($s, 8), 'a8', 'spare, backup and the next set get nothing');
    $s->log_ok;
    $s = server([ $A, '' ], [ $B, 'status=+R' ], [ $C, 'status=+H' ], [ $D, 'lbset=1' ]);
    is(members($s, 8), 'a8', "the same in mod_proxy's letters");
    $s->log_ok;
};

subtest 'a spare' => sub {
    my $s = server([ $A, 'status=disabled' ], [ $B, '' ], [ $C, 'status=spare' ], [ $D, 'status=spare' ]);
    is(members($s, 8), 'b4 c4', 'stands in for one that is out of use: one for one');
    $s->log_ok;
    $s = server([ $A, 'status=drain' ], [ $B, 'status=+D' ], [ $C, 'status=spare' ], [ $D, 'status=spare' ]);
    is(members($s, 8), 'c4 d4', 'two for two');
    $s->log_ok;
    $s = server([ $down[0], '' ], [ $C, 'status=spare' ], [ $D, 'set=1' ]);
    is(members($s, 8), 'c8', 'for one that refuses, before the next set');
    $s->log_ok(allow => [trouble]);
};

subtest 'a backup' => sub {
    my $s = server([ $down[0], '' ], [ $down[1], 'set=1' ], [ $C, 'status=backup' ], [ $D, 'status=backup' ]);
    is(members($s, 8), 'c4 d4', 'when nobody else can be used: all of them');
    $s->log_ok(allow => [trouble]);
    $s = server([ $down[0], '' ], [ $B, 'set=7' ], [ $C, 'status=backup set=0' ]);
    is(members($s, 8), 'b8', 'not while another set has somebody');
    $s->log_ok(allow => [trouble]);
    $s = server([ $down[0], '' ], [ $C, 'status=backup set=2' ], [ $D, 'status=backup set=1' ]);
    is(members($s, 8), 'd8', 'backups have sets, too');
    $s->log_ok(allow => [trouble]);
};

subtest 'sets' => sub {
    my $s = server([ $C, 'set=99' ], [ $B, 'set=5' ], [ $A, 'set=5' ], [ $down[0], '' ]);
    is(members($s, 8), 'a4 b4', 'the lowest that has somebody');
    $s->log_ok(allow => [trouble]);
    $s = server([ $A, 'status=disabled' ], [ $B, 'status=drain set=1' ], [ $C, 'set=2' ]);
    is(members($s, 8), 'c8', 'a set without anybody on is passed over');
    $s->log_ok;
};

SKIP: {
    skip 'a prefork child has one request at a time', 1 if Abl::Server->default_mpm eq 'prefork';
    subtest 'a full member is waited for' => sub {
        $_->forget for @m;
        my $s = server([ $A, 'concurrency=1' ], [ $B, 'status=spare' ], [ $C, 'status=backup' ], [ $D, 'set=1' ]);
        my ($held, $waits) = map { $s->client } 1 .. 2;
        $held->request('GET', '/gate');
        $A->await_requests(1);
        $waits->request('GET', '/');
        is($waits->fill(0.3), 0, 'no answer yet');
        $A->release;
        is($_->response->field('X-Member'), 'a', 'spare, backup and the next set are not for that') for $held, $waits;
        $s->log_ok;
    };
}

subtest 'drain' => sub {
    my $s = server([ $A, 'status=drain' ], [ $B, '' ], 'BalancerAffinity cookie=SID');
    is(members($s, 4), 'b4', 'no new sessions');
    is(members($s, 4, Cookie => 'SID=a'), 'a4', 'those of before go on');
    $s->log_ok;
    $s = server([ $A, 'status=+N' ], 'BalancerAffinity cookie=SID');
    is($s->client->ask('GET', '/')->status, 503, 'nobody else: 503');
    is(members($s, 2, Cookie => 'SID=a'), 'a2', '... for new sessions');
    $s->log_ok(allow => [trouble]);
};

subtest 'disabled' => sub {
    my $s = server([ $A, 'status=disabled' ], [ $B, '' ], 'BalancerAffinity cookie=SID');
    is(members($s, 4), 'b4', 'gets nothing');
    is(members($s, 4, Cookie => 'SID=a'), 'b4', 'nor its sessions');
    $s->log_ok;
    $s = server([ $A, 'status=disabled' ], [ $B, '' ], 'BalancerAffinity cookie=SID strict');
    is($s->client->ask('GET', '/', [ Cookie => 'SID=a' ])->status, 503, 'strict: 503');
    is(members($s, 4), 'b4', 'the others are served');
    $s->log_ok(allow => [trouble]);
    $s = server([ $A, 'status=disabled' ], [ $B, 'status=disabled' ]);
    my $r = $s->client->ask('GET', '/');
    is($r->status, 503, 'all: 503');
    ok($r->field('Retry-After'), '... with Retry-After');
    $s->log_ok(allow => [trouble]);
};

subtest 'affinity knows no sets' => sub {
    my $s = server([ $A, '' ], [ $B, 'status=spare' ], [ $C, 'status=backup' ], [ $D, 'set=1' ], 'BalancerAffinity cookie=SID');
    is(members($s, 3, Cookie => "SID=$_"), "${_}3", "$_ keeps the sessions it got when it was needed") for qw(b c d);
    $s->log_ok;
};

# An idle connection would occupy a server that handles one at a time.
subtest 'connections of limited members' => sub {
    for my $case ([ 'concurrency=1' => 4 ], [ 'concurrency=4' => 4 ], [ 'concurrency=5' => 1 ], [ 'concurrency=1 keepalive=on' => 1 ], [ '' => 1 ]) {
        my ($keys, $connections) = @$case;
        $A->forget;
        my $s = server([ $A, $keys ]);
        is(members($s, 4), 'a4', $keys || 'no limit');
        is(scalar(my @all = grep { $_->{requests} } $A->connections), $connections, '... connections');
        is(($A->last_request->field('Connection') // '') eq 'close' ? 4 : 1, $connections, '... and Connection: close');
        $s->log_ok;
    }
};

done_testing;
