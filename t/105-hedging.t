# BalancerHedge: a second try beside the first; the first answer wins, and nothing is left of the other.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Digest::SHA ();
use Time::HiRes qw(time);

my $fast = Abl::Member->start(name => 'fast');
my %like;    # by what they do

sub like_this { my ($how) = @_; return $like{$how} ||= Abl::Member->start(name => 'other', always => $how) }

sub server {
    my ($lines, @parts) = @_;
    return Abl::Server->start(status => 1, conf => "BalancerPass / app\n" . balancer('app', @parts, ref $lines ? @$lines : "BalancerHedge $lines"));
}

sub row { my ($r) = @_; return join ' ', $r->status, $r->field('X-Member') || '-', $r->complete ? 'whole' : 'cut' }

# Both members' turns come within two requests.
sub twice { my ($s, @request) = @_; @request = ('GET', '/') unless @request; return join ', ', sort map { row($s->client->ask(@request)) } 1, 2 }

sub timed { my ($code) = @_; my $began = time; $code->(); return (time - $began) / Abl::Util::patience() }

sub over { my ($s, @allow) = @_; is($s->unrest(10), '', 'nothing is left in the ledger'); return $s->log_ok(allow => \@allow) }

for my $way ('', 'BalancerInline 0', "BalancerInline 0\nBalancerLane off", "BalancerInline 1s\nBalancerLane off") {
    subtest 'a late answer' . ($way ne '' ? " with $way" : '') => sub {
        my $slow = Abl::Member->start(name => 'slow', always => '/delay/3000');
        my $s    = Abl::Server->start(status => 1, conf => "$way\nBalancerPass / app\n" . balancer('app', $slow, $fast, 'BalancerHedge after=50ms budget=100%'));
        my $answers;
        cmp_ok(timed(sub { $answers = twice($s) }), '<', 1, 'is not waited for');
        is($answers, '200 fast whole, 200 fast whole', 'the other one answers');
        is(scalar $slow->requests, 1, 'the first was asked');
        ok($slow->await_close, 'and its connection is closed');
        is(twice($s, HEAD => '/'), '200 fast whole, 200 fast whole', 'HEAD');
        $fast->forget;
        my @clients = map { $s->client } 1 .. 20;
        $_->request('GET', '/length/200000') for @clients;
        my @got = map { $_->response } @clients;
        is((grep { $_->status == 200 && $_->complete && $_->length == 200000 } @got), 20, 'twenty at once, all whole');
        is((grep { $_->sha1 eq Digest::SHA::sha1_hex(Abl::Util::pattern(200000)) } @got), 20, 'and right');
        is(scalar $fast->requests, 20, 'each once');
        over($s);
    };
}

subtest 'the first answer wins, whoever it is from' => sub {
    my ($a, $b) = map { Abl::Member->start(name => "after$_", always => "/delay/$_") } 300, 700;
    my $s = server('after=50ms budget=100%', $a, $b);
    is(twice($s), '200 after300 whole, 200 after300 whole', 'the one that was asked first, or second');
    is(scalar($a->requests) . scalar($b->requests), '22', 'both were asked, twice');
    ok($b->await_close(2), 'and who has lost was told');
    over($s);
};

subtest 'off by default, and where nothing can be won' => sub {
    my $slow = like_this('/delay/200');
    for my $lines ([], ['BalancerHedge off']) {
        my $s = server($lines, $slow, $fast);
        is(twice($s), '200 fast whole, 200 other whole', "@$lines: whoever is asked answers");
        over($s);
    }
    my $s = server('after=20ms budget=100%', $slow);
    is(twice($s), '200 other whole, 200 other whole', 'there is nobody else');
    over($s);
};

subtest 'only what may be done twice' => sub {
    my $slow = like_this('/delay/200');
    my $s    = server([ 'BalancerHedge after=20ms budget=100%', 'BalancerAffinity cookie=stick', 'BalancerRetry methods=GET,POST,PUT' ], map({ "BalancerMember $$_[0] route=$$_[1]" } [ $slow->url, 's' ], [ $fast->url, 'f' ]));
    my %what = (
        POST          => [ 'POST', '/', [], 'x' ],
        PUT           => [ 'PUT', '/', [], 'x' ],
        DELETE        => [ 'DELETE', '/' ],
        'GET + body'  => [ 'GET', '/', [], 'x' ],
        'Upgrade'     => [ 'GET', '/', [ Connection => 'Upgrade', Upgrade => 'websocket' ] ],
        'affinity'    => [ 'GET', '/', [ Cookie => 'stick=1.s' ] ],
    );
    for my $name (sort keys %what) {
        $slow->forget;
        $fast->forget;
        $s->client->ask(@{ $what{$name} }) for 1, 2;
        is(scalar($slow->requests) + scalar($fast->requests), 2, $name);
    }
    is(twice($s, OPTIONS => '/'), '200 fast whole, 200 fast whole', 'OPTIONS may');
    over($s);
};

subtest 'a second try that fails is none' => sub {
    my $slow = like_this('/delay/300');
    for my $how (qw(/status/500 /status/503 /status/429 /reset-before /close-before /hang /reset-head), '/raw?b64=' . Abl::Util::b64url("nonsense\r\n\r\n"), 'refused', 'away') {
        my $bad = $how eq 'refused' ? Abl::Member->refused : $how eq 'away' ? Abl::Member->start(name => 'bad') : Abl::Member->start(name => 'bad', always => $how);
        my $s   = server([ 'BalancerHedge after=50ms budget=100%', 'BalancerTimeout response=3s' ], $slow, $bad);
        $bad->stop if $how eq 'away';
        is(row($s->client->ask('GET', '/')), '200 other whole', "$how: the first answers");
        over($s, trouble);
    }
};

subtest 'a first try that fails is not missed' => sub {
    for my $how ('/reset-before?delay=600', '/close-before?delay=600', '/status/503?delay=600', '/hang') {
        my $bad  = Abl::Member->start(name => 'bad', always => $how);
        my $slow = Abl::Member->start(name => 'slow', always => '/delay/900');
        my $s    = server([ 'BalancerHedge after=300ms budget=100%', 'BalancerTimeout response=1s', 'BalancerRetry on=connect,reset,503,timeout' ], $bad, $slow);
        is(row($s->client->ask('GET', '/')), '200 slow whole', "$how: the second goes on");
        is(scalar($bad->requests) . scalar($slow->requests), '11', 'each was asked once');
        over($s, trouble);
    }
};

subtest 'nobody answers' => sub {
    my @hang = map { Abl::Member->start(name => "hang$_", always => '/hang') } 1 .. 3;
    my $s    = server([ 'BalancerHedge after=50ms budget=100%', 'BalancerTimeout response=400ms', 'BalancerEject off' ], @hang);
    my $r;
    cmp_ok(timed(sub { $r = $s->client->ask('GET', '/') }), '<', 2, 'the time is bounded');
    is($r->status, 504, 'and the client is told');
    is((grep { $_->requests == 1 } @hang), 2, 'two were asked');
    my $c = $s->client;
    $c->request('GET', '/');
    ok((wait_until { (grep { $_->requests } @hang) == 3 || (grep { $_->requests == 2 } @hang) } 5), 'two are asked');
    $c->abort;
    ok((wait_until { !grep { !$_->{eof} && !defined $_->{closed_by} } map { $_->connections } @hang } 5), 'a client that leaves ends both');
    over($s, trouble);
};

subtest 'the budget' => sub {
    my @slow = map { Abl::Member->start(name => "slow$_", always => '/delay/60') } 1 .. 2;
    my $s    = server('after=10ms budget=10%', @slow);
    my $all  = 0;
    for (1 .. 5) {
        my @clients = map { $s->client } 1 .. 20;
        $_->request('GET', '/') for @clients;
        $all += grep { $_->response->status == 200 } @clients;
    }
    my $asked = 0;
    $asked += $_->requests for @slow;
    is($all, 100, 'all are answered');
    cmp_ok($asked, '>=', 105, 'some were asked twice');
    cmp_ok($asked, '<=', 111, 'a tenth of them');    # each second try is a request, too, and saves for the next
    over($s);
};

subtest 'late is what takes longer than others do' => sub {
    my ($a, $b) = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = server('after=p90 budget=100%', $a, $b);
    is(row($s->client->ask('GET', '/delay/300')), '200 a whole', 'at first nothing is known');
    is(scalar($a->requests) + scalar($b->requests), 1, 'and nobody is asked twice');
    is($s->client->ask("GET", "/echo")->status, 200) for 1 .. 200;
    my $before = scalar($a->requests) + scalar($b->requests);
    cmp_ok($before, '<=', 201 + 40, 'about a tenth of the answers are late');
    $s->client->ask('GET', '/delay/500');
    is(scalar($a->requests) + scalar($b->requests), $before + 2, 'then one that takes long is asked for twice');
    over($s);
};

subtest 'members with a limit' => sub {
    my @gates = map { Abl::Member->start(name => "gate$_", always => '/gate') } 1 .. 2;
    my @lines = map { 'BalancerMember ' . $_->url . ' concurrency=1' } @gates;
    my $s     = server('after=50ms budget=100%', @lines);
    my $c     = $s->client;
    $c->request('GET', '/');
    ok((wait_until { grep { $_->requests } @gates } 5), 'one is asked');
    ok((stays { (grep { $_->requests } @gates) == 1 } 0.5), 'and no other');
    $_->release for @gates;
    is($c->response->status, 200, 'it answers');
    over($s);

    $_->forget for @gates;
    my $quick = Abl::Member->start(name => 'quick');
    $s = server('after=50ms budget=100% limited=on', $lines[0], 'BalancerMember ' . $quick->url . ' concurrency=1');
    is(row($s->client->ask('GET', '/')), '200 quick whole', 'asked for: the second answers');
    is($s->status_member($gates[0])->{busy}, 1, 'the first keeps its place');
    is(row($s->client->ask('GET', '/')), '200 quick whole', 'so the next goes elsewhere');
    is(scalar $gates[0]->requests, 1, 'at once');
    $gates[0]->release;
    ok((wait_until { $s->status_member($gates[0])->{busy} == 0 } 5), 'until it has answered');
    over($s);
};

subtest 'mistakes' => sub {
    for my $case (
        [ '',                  'ABL0285' ],
        [ 'often=yes',         'ABL0286' ],
        [ 'after=1s after=2s', 'ABL0287' ],
        (map { [ $_, 'ABL0288' ] } qw(after=p0 after=p100 after=95 after=0s after=61s after=p budget=0% budget=101% budget=5 limited=perhaps)),
        [ 'off budget=5%',     'ABL0289' ],
        [ "off\nBalancerHedge after=p95", 'ABL0289' ],
        )
    {
        my ($words, $id) = @$case;
        my ($status, $text) = Abl::Server->configtest(balancer('app', $fast, "BalancerHedge $words"));
        isnt($status, 0, "BalancerHedge $words");
        like($text, qr/$id: BalancerHedge/, 'is refused');
    }
};

done_testing;
