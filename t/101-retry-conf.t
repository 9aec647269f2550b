# BalancerRetry: what is sent again, after what, how often, until when, and that nothing is lost or done twice by it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Digest::SHA qw(sha1_hex);
use Time::HiRes qw(time);

my $good = Abl::Member->start(name => 'good');
my %bad;    # by what they do

sub bad { my ($how) = @_; return $bad{$how} ||= Abl::Member->start(name => 'bad', always => $how) }

# A balancer for each [a line of BalancerRetry, members or other lines ...], at /0, /1, ... Members that fail stay where they are.
sub serve {
    my @specs = @_;
    my $conf  = '';
    for my $n (0 .. $#specs) {
        my ($line, @parts) = @{ $specs[$n] };
        $conf .= balancer("app$n", ($line ne '' ? "BalancerRetry $line" : ()), @parts, 'BalancerEject off') . "BalancerPass /$n app$n\n";
    }
    return Abl::Server->start(conf => $conf, status => 1);
}

# The same members with several such lines.
sub server { my ($lines, @parts) = @_; return serve(map { [ $_, @parts ] } @$lines) }

sub row { my ($r) = @_; return join ' ', $r->status, $r->field('X-Member') || '-', $r->complete ? 'whole' : 'cut' }

sub over {
    my ($s) = @_;
    is($s->unrest(5), '', 'nothing is left in the ledger');
    return $s->log_ok(allow => [ trouble, 'ABL0193' ]);    # a test's members are in several balancers
}

# Both members' turns have come after two requests.
sub twice { my ($code) = @_; return join ', ', sort map { row($code->()) } 1, 2 }

subtest 'each word of on=' => sub {
    my %is = (
        reset   => [ '/reset-before', '502 - whole' ],
        timeout => [ '/hang', '504 - whole' ],
        map { ($_ => [ "/status/$_", "$_ bad whole" ]) } 500, 502, 503, 504, 429,
    );
    my @words = sort keys %is;
    my $s     = serve(
        map {
            my $word   = $_;
            my $others = join ',', 'connect', grep { $_ ne $word } @words;
            map { [ $_, bad($is{$word}[0]), $good, 'BalancerTimeout response=300ms' ] } "on=$word", "on=$others", 'off';
        } @words
    );
    for my $i (0 .. $#words) {
        my ($word, $how, $failure) = ($words[$i], @{ $is{ $words[$i] } });
        my ($on, $others, $off) = map { 3 * $i + $_ } 0 .. 2;
        is(twice(sub { $s->client->ask('GET', "/$on/echo") }), '200 good whole, 200 good whole', "on=$word");
        is(twice(sub { $s->client->ask('GET', "/$others/echo") }), "200 good whole, $failure", "$word is left out");
        is(twice(sub { $s->client->ask('GET', "/$off/echo") }), "200 good whole, $failure", "$word: off");
        bad($how)->forget;
        $s->client->ask('POST', "/$on/order/$_", [], 'buy') for 1, 2;
        is(scalar bad($how)->requests, 1, "$word: a POST arrives once");
        is((grep { $_->target eq "/$on/order/1" } $good->requests, bad($how)->requests), 1, "$word: and nowhere else");
    }
    over($s);
    $s = server([ 'on=connect', 'on=reset', 'attempts=0', 'off' ], Abl::Member->refused, $good);
    is(twice(sub { $s->client->ask('POST', '/0/echo', [], 'x') }), '200 good whole, 200 good whole', 'connect');
    is(twice(sub { $s->client->ask('POST', '/1/echo', [], 'x') }), '200 good whole, 503 - whole', 'connect is left out');
    is(twice(sub { $s->client->ask('POST', '/2/echo', [], 'x') }), '200 good whole, 200 good whole', 'it costs no attempt');
    is(twice(sub { $s->client->ask('POST', '/3/echo', [], 'x') }), '200 good whole, 503 - whole', 'connect: off');
    over($s);
};

subtest 'off, and a kept connection' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server(['off'], $m);
    my $c = $s->client;
    is($c->ask('GET', '/0/stale')->status, 200, 'it is kept');
    is($c->ask('GET', '/0/echo')->status, 200, 'and replaced without a word');
    $s->log_ok;
};

# The answer that is there is better than none.
subtest 'a status, and nobody else' => sub {
    my $body = pattern(300_000);
    my $large = bad('/status/503?fill=300000');
    my %parts = (
        'alone'       => [$large],
        'refused'     => [ $large, [ $good, 'status=disabled' ] ],
        'both answer' => [ $large, Abl::Member->start(name => 'second', always => '/status/503?fill=300000') ],
    );
    for my $what (sort keys %parts) {
        my $s = server([ 'on=503', 'on=503 budget=0%' ], @{ $parts{$what} });
        for my $n (0, 0, 1) {
            my $r = $s->client->ask('GET', "/$n/x");
            is_deeply([ $r->status, $r->complete ? 1 : 0, sha1_hex($r->body) ], [ 503, 1, sha1_hex($body) ], "$what: the answer is whole");
        }
        over($s);
    }
    my $s = server(['on=503'], [ $large, 'concurrency=1' ], [ $good, 'concurrency=1' ], 'BalancerQueue length=5 timeout=20s');
    $good->forget;
    my @wait = map { $s->client } 1, 2;
    $_->request('GET', '/0/gate') for $wait[0];
    my $first = (wait_until { $good->requests } 1) ? undef : $wait[0]->response;    # or it went to the other one first
    $wait[1]->request('GET', '/0/gate') if $first;
    ok($good->await_requests(1), 'the good one is at work') or return;
    my $r = $s->client->ask('GET', '/0/y');
    is_deeply([ $r->status, sha1_hex($r->body) ], [ 503, sha1_hex($body) ], 'it does not wait for one who is at work');
    $good->release;
    is(($first ? $wait[1] : $wait[0])->response->status, 200, 'who then answers');
    over($s);
};

subtest 'a large answer that is given up' => sub {
    for my $keys ('', 'concurrency=1') {
        my $large = bad('/status/503?fill=3000000');
        my $s     = server(['on=503 budget=100%'], [ $large, $keys ], [ $good, $keys ]);
        is(row($s->client->ask('GET', '/0/length/1000')), '200 good whole', "the other one's ($keys)") for 1 .. 6;
        my $r = $s->client->ask('HEAD', '/0/length/1000');
        is_deeply([ $r->status, $r->field('X-Member'), $r->body ], [ 200, 'good', '' ], 'HEAD') for 1, 2;
        over($s);
    }
};

subtest 'nothing after something has been passed on' => sub {
    my $hinted = bad('/raw?b64=' . b64url("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 No\r\nX-Member: bad\r\nContent-Length: 2\r\n\r\nno"));
    my $s = server(['on=503,reset'], $hinted, $good);
    is(twice(sub { $s->client->ask('GET', '/0/echo') }), '200 good whole, 503 bad whole', 'an interim answer is part of the answer');
    over($s);
};

subtest 'attempts' => sub {
    my @m = map { Abl::Member->start(name => $_, always => '/status/503') } 'a' .. 'e';
    my @n = (0, 1, 2, 4, 10);
    my $s = server([ map {"on=503 attempts=$_ budget=100%"} @n ], @m);
    for my $i (0 .. $#n) {
        $_->forget for @m;
        is($s->client->ask('GET', "/$i/x")->status, 503, "attempts=$n[$i]: the last one's answer");
        my @asked = map { scalar $_->requests } @m;
        my $want = $n[$i] + 1 > 5 ? 5 : $n[$i] + 1;
        is((grep { $_ > 1 } @asked), 0, 'none is asked twice');
        is(eval { my $sum = 0; $sum += $_ for @asked; $sum }, $want, "$want are asked");
    }
    over($s);
};

subtest 'time' => sub {
    my @m = map { Abl::Member->start(name => $_, always => '/hang') } 'a' .. 'c';
    my $s = server([ 'on=timeout time=500ms budget=100%', 'on=timeout time=5s budget=100%', 'on=timeout time=100ms' ], @m, 'BalancerTimeout response=400ms');
    my $i = 0;
    for my $times (2, 3, 1) {
        my $from = time;
        $_->forget for @m;
        is($s->client->ask('GET', "/$i/x")->status, 504, 'nobody answers');
        my $took = time - $from;
        cmp_ok($took, '>', 0.4 * $times - 0.1, "after $times times 400 ms");
        cmp_ok($took, '<', 0.4 * $times + 2 * patience, 'and not much later');
        my $asked = 0;
        $asked += $_->requests for @m;
        is($asked, $times, "$times asked");
        $i++;
    }
    over($s);
};

subtest 'budget' => sub {
    my @m = map { Abl::Member->start(name => $_, always => '/status/502') } qw(a b);    # after a 503 httpd closes the connection
    my $s = server([ 'on=502', 'on=502 budget=100%', 'on=502 budget=0%', 'on=502 budget=50%' ], @m);
    my %least = (0 => 300 + 190, 1 => 600, 2 => 300, 3 => 600);    # 100 that were saved, and a fifth of all that arrives
    my %most  = (0 => 300 + 201, 1 => 600, 2 => 300, 3 => 600);
    for my $n (0 .. 3) {
        $_->forget for @m;
        is((grep { $s->client->ask('GET', "/$n/x")->status == 502 } 1 .. 300), 300, 'all of them fail');
        my $asked = 0;
        $asked += $_->requests for @m;
        cmp_ok($asked, '>=', $least{$n}, "budget $n: some are sent again");
        cmp_ok($asked, '<=', $most{$n}, "budget $n: no more than that");
    }
    over($s);
};

subtest 'methods' => sub {
    my $m = bad('/reset-before');
    my $s = server([ '', 'methods=GET,POST', 'methods=POST', 'on=reset,503,timeout methods=PUT' ], $m, $good);
    my %again = (0 => { GET => 1, PUT => 1, DELETE => 1 }, 1 => { GET => 1, POST => 1 }, 2 => { POST => 1 }, 3 => { PUT => 1 });
    for my $n (0 .. 3) {
        for my $method (qw(GET PUT DELETE POST PATCH)) {
            my @body = $method =~ /^P/ ? ([], 'x') : ();
            $_->forget for $m, $good;
            my $want = $again{$n}{$method} ? '200 good whole, 200 good whole' : '200 good whole, 502 - whole';
            is(twice(sub { $s->client->ask($method, "/$n/echo", @body) }), $want, "$n: $method");
        }
    }
    over($s);
};

# Each order of many, over kept connections too, at members that take it and then reset, say nothing, or complain.
subtest 'a POST is never sent twice' => sub {
    my $all = 'on=connect,reset,timeout,500,502,503,504,429 attempts=10 budget=100% time=1min';
    my @cases = map { my $how = $_; map { [ $how, $_ ] } '', 'concurrency=2' } '/reset-before', '/close-before', '/hang', '/status/503', '/reset-between';
    my %m = map { ($_->[0] => [ map { Abl::Member->start(name => $_->[0], always => $_->[1]) } [ 'a', $_->[0] ], [ 'b', $_->[0] ] ]) } @cases;
    my $s = serve(map { my ($how, $keys) = @$_; [ $all, (map { [ $_, $keys ] } @{ $m{$how} }, $good), 'BalancerTimeout response=300ms' ] } @cases);
    for my $i (0 .. $#cases) {
        my ($how, $keys) = @{ $cases[$i] };
        $_->forget for @{ $m{$how} }, $good;
        my $c = $s->client;
        for my $n (1 .. 4) {
            $c->ask('GET', "/$i/echo/warm");
            $c = $s->client if $c->end;
            $c->ask('POST', "/$i/echo/order$n", [], 'buy' x ($n % 2 ? 1 : 100_000));
            $c = $s->client if $c->end;
        }
        my %times;
        $times{ $_->target }++ for grep { $_->method eq 'POST' } map { $_->requests } @{ $m{$how} }, $good;
        is_deeply(\%times, { map { ("/$i/echo/order$_" => 1) } 1 .. 4 }, "$how $keys: each order once");
    }
    $_->stop for map {@$_} values %m;    # those that hang hold their places
    over($s);
};

subtest 'a body is sent again' => sub {
    my @sizes = (3, 100_000, 1 << 20, 3 << 20);
    my %bads  = map { ($_ => [ map { Abl::Member->start(name => 'bad', always => $_) } $_, $_ ]) } '/reset-before', '/status/503', '/hang';
    my @cases = map { my $case = $_; map { [ @$case, $_ ] } 'request=4M', 'request=200K' }    # in memory; the rest of it in the file
        [ 'on=reset', '/reset-before' ], [ 'on=503', '/status/503' ], [ 'on=timeout', '/hang' ];
    my $s = serve(map { [ "$_->[0] budget=100%", (map { [ $_, 'concurrency=9' ] } @{ $bads{ $_->[1] } }, $good), "BalancerBuffer $_->[2]", 'BalancerTimeout response=1s' ] } @cases);
    for my $i (0 .. $#cases) {
        my ($line, $how, $buffer) = @{ $cases[$i] };
        for my $size (@sizes) {
            my $body = pattern($size);
            $_->forget for @{ $bads{$how} }, $good;
            for my $framing ('length', 'chunked') {
                my $c = $s->client;
                $c->expect_answer_to('PUT');
                $c->send($framing eq 'length' ? $c->head('PUT', "/$i/echo", [ 'Content-Length' => $size ]) . $body
                    : $c->head('PUT', "/$i/echo", [ 'Transfer-Encoding' => 'chunked' ]) . $c->chunk($body) . "0\r\n\r\n");
                is(row($c->response), '200 good whole', "$line, $buffer: $size bytes ($framing)");
            }
            is_deeply([ map { $_->{sha1} } $good->requests ], [ (sha1_hex($body)) x 2 ], 'arrive whole');
            is((grep { $_->{complete} && $_->{sha1} ne sha1_hex($body) } map { $_->requests } @{ $bads{$how} }), 0, 'as before, elsewhere');
        }
    }
    $_->stop for map {@$_} values %bads;
    over($s);
};

subtest 'a body that was not all here is not sent again' => sub {
    my $s = server(['on=reset,503 budget=100%'], bad('/status/503?early=1'), $good);
    my $c = $s->client;
    for my $n (1, 2) {
        my $r = $s->client->ask('PUT', '/0/echo', [], pattern(2 << 20));
        ok($r->status == 503 || $r->status == 200 || $r->status == 502, 'an answer');
    }
    is((grep { !$_->{complete} } $good->requests), 0, 'never a part of it');
    over($s);
};

subtest 'a limited member keeps its place' => sub {
    my $slow = Abl::Member->start(name => 'slow', always => '/gate');
    my $s = server(['on=timeout budget=100%'], [ $slow, 'concurrency=1' ], [ $good, 'concurrency=1' ], 'BalancerTimeout response=400ms');
    is(twice(sub { $s->client->ask('GET', '/0/echo') }), '200 good whole, 200 good whole', 'the other one answers');
    is(scalar $slow->requests, 1, 'the slow one has it still');
    is($s->status_member($slow)->{busy}, 1, 'and its place is taken');
    is($s->status_json->{check}, 'ok', 'the ledger is sound');
    is(row($s->client->ask('GET', '/0/echo')), '200 good whole', 'nobody else is sent there') for 1 .. 3;
    is(scalar $slow->requests, 1, 'indeed');
    $slow->release;
    ok((wait_until { $s->status_member($slow)->{busy} == 0 } 5), 'once it has answered it is free');
    is($s->status_member($slow)->{failures}, 1, 'that counts as one failure');
    over($s);
};

subtest 'many at once' => sub {
    my @m = (bad('/status/503'), Abl::Member->start(name => 'rst', always => '/reset-before'), $good);
    my $s = server(['on=connect,reset,503 budget=100%'], @m, Abl::Member->refused);
    my @c = map { $s->client } 1 .. 10;    # prefork has a process for each
    for my $round (1 .. 12) {
        $_->request('GET', '/0/length/20000') for @c;
        is((grep { row($_->response) eq '200 good whole' } @c), 10, "round $round: all are served");
    }
    over($s);
};

# ---- the configuration

sub wrong {
    my ($lines, $pattern) = @_;
    my ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerMember http://127.0.0.1:8001\n$lines\n</Balancer>\n");
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    isnt($code, 0, "$lines: is refused");
    return like($text, $pattern, 'and says why');
}

subtest 'mistakes' => sub {
    my $keys = qr/off, attempts=, on=, time=, budget=, methods=, respect-retry-after=/;
    wrong('BalancerRetry', qr/ABL0280: BalancerRetry takes at least one of $keys/);
    wrong("BalancerRetry $_", qr/ABL0281: BalancerRetry: '\w+' is not one of $keys/) for 'on', '3', 'tries=3', 'retry=1';
    wrong('BalancerRetry attempts=1 attempts=2', qr/ABL0282: BalancerRetry: attempts= is given twice/);
    wrong("BalancerRetry time=1s\nBalancerRetry time=2s", qr/ABL0282: BalancerRetry: time= is given twice/);
    wrong("BalancerRetry attempts=$_", qr/ABL0283: BalancerRetry attempts=\Q$_\E: expected a whole number from 0 to 10/) for -1, 11, 'x', '';
    wrong("BalancerRetry on=$_", qr/ABL0283: BalancerRetry on=\Q$_\E: expected a list such as connect,reset,503/) for 'off', '', '404', 'reset,', ',reset', 'reset,,503', '5xx';
    wrong('BalancerRetry time=10', qr/ABL0283: BalancerRetry time=10: a time is a whole number and ms, s, min or h/);
    wrong('BalancerRetry time=0', qr/ABL0283: BalancerRetry time=0: expected a time over 0/);
    wrong("BalancerRetry budget=$_", qr/ABL0283: BalancerRetry budget=\Q$_\E: expected a share of the requests from 0% to 100%/) for '20', '101%', '%', '-1%', '1.5%', 'x%';
    wrong("BalancerRetry methods=$_", qr/ABL0283: BalancerRetry methods=\Q$_\E: expected a list of methods in capital letters/) for 'get', 'GET,', 'G@T', '';
    wrong('BalancerRetry respect-retry-after=yes', qr/ABL0283: BalancerRetry respect-retry-after=yes: expected on or off/);
    wrong("BalancerRetry $_", qr/ABL0284: BalancerRetry \Q$_\E: off stands alone/) for 'off on=503', 'off off';
    wrong("BalancerRetry off\nBalancerRetry on=503", qr/ABL0284: BalancerRetry on=503: off stands alone/);
    wrong("BalancerRetry on=503\nBalancerRetry off", qr/ABL0284: BalancerRetry off: off stands alone/);
    my ($code, $text) = Abl::Server->configtest("BalancerRetry off\n");
    like($text, qr/BalancerRetry belongs inside <Balancer NAME>/, 'outside of a section');
    ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerMember http://127.0.0.1:8001\nBalancerRetry attempts=10 on=CONNECT,reset,timeout,500,502,503,504,429\n"
            . "BalancerRetry time=500ms budget=0% methods=GET,POST,M-SEARCH respect-retry-after=on\n</Balancer>\n");
    is($code, 0, 'all of them') or diag($text);
};

done_testing;
