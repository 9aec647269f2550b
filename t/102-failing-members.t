# Members that fail are left out, and used again when they work: nobody there (away), failing requests (ejected), everybody out.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Abl::Load;
use Time::HiRes qw(time);

sub server {
    my ($balancer, %o) = @_;
    return Abl::Server->start(status => 1, conf => $balancer . "BalancerPass / app\nBalancerTimeout response=300ms\n", %o);
}

sub good { return map { Abl::Member->start(name => "good$_") } 1 .. $_[0] }

# How many of the answers to so many requests came from whom; by member's name, or status where there is no name.
sub answers {
    my ($s, $n, $path) = @_;
    my %by;
    for my $i (1 .. $n) {
        my $r = $s->client->ask('GET', ref $path ? $path->($i) : $path || "/echo/$i");
        $by{ $r->status == 200 ? $r->field('X-Member') : $r->status }++;
    }
    return \%by;
}

sub state_of { my ($s, $member) = @_; my $m = $s->status_member($member); return join ' ', grep { $m->{$_} } qw(away ejected) }

sub said { my ($s, $id) = @_; return scalar(() = $s->log =~ /\b$id\b/g) }

subtest 'nobody there: left out after one request, used at once when somebody is' => sub {
    my ($good) = good(1);
    my $dead   = Abl::Member->start(name => 'phoenix');
    my $port   = $dead->port;
    my $s      = server(balancer('app', $dead, $good));
    answers($s, 4);
    $dead->stop;
    is_deeply(answers($s, 20), { good1 => 20 }, 'nobody notices');
    is(state_of($s, $dead), 'away', 'the status tells');
    cmp_ok($s->status_member($dead)->{failures}, '<=', 1, 'one request has tried it');
    ok($s->await_log(qr/ABL0070: balancer app: \S+:$port\S* cannot be reached/), 'and the log');
    my $began = time;
    my $again = Abl::Member->start(name => 'phoenix', port => $port);
    ok((wait_until { state_of($s, $dead) eq '' } 5), 'it is back');
    cmp_ok(time - $began, '<', 1 * Abl::Util::patience(), 'within a second, with no request');
    is(answers($s, 4)->{phoenix}, 2, 'and gets its part');
    ok($s->await_log(qr/ABL0071: balancer app: \S+:$port\S* accepts connections again, after/), 'the log tells');
    is(said($s, 'ABL0070') . said($s, 'ABL0071'), '11', 'each once');
    $s->log_ok(allow => [trouble]);
};

subtest 'everybody away: who comes waits' => sub {
    my $m    = Abl::Member->start(name => 'phoenix');
    my $port = $m->port;
    my $s    = server(balancer('app', $m, 'BalancerQueue timeout=30s'));
    answers($s, 1);
    $m->stop;
    my @waits = map { $s->client } 1 .. 6;
    $waits[$_]->request($_ % 2 ? 'GET' : 'POST', "/echo/$_", [], $_ % 2 ? undef : 'body') for 0 .. 5;
    ok($s->await_queue(6), 'they queue');
    my $again = Abl::Member->start(name => 'phoenix', port => $port);
    is(join(' ', map { $_->response->status } @waits), '200 200 200 200 200 200', 'and are served, POST too');
    is(scalar $again->requests, 6, 'each once');
    $s->log_ok(allow => [trouble]);
};

subtest 'but not for ever, and not in vain' => sub {
    my ($m) = good(1);
    my $s = server(balancer('app', $m, 'BalancerQueue timeout=1s'));
    answers($s, 1);
    $m->stop;
    my $began = time;
    my $r     = $s->client->ask('GET', '/');
    is($r->status, 503, 'timeout= is over');
    like($r->field('Retry-After'), qr/\A\d+\z/, 'Retry-After');
    cmp_ok(time - $began, '>', 0.9, 'after that time');
    $began = time;
    is($s->client->ask('GET', '/')->status, 503, 'who comes later');
    cmp_ok(time - $began, '<', 0.5 * Abl::Util::patience(), 'does not wait: it is down for longer than anybody would have waited');
    $s->log_ok(allow => [trouble]);

    my ($one) = good(1);
    my $none  = server(balancer('app', $one, 'BalancerQueue length=0'));
    answers($none, 1);
    $one->stop;
    $began = time;
    is($none->client->ask('GET', '/')->status, 503, 'with length=0 nobody waits');
    my $never = server(balancer('app', Abl::Member->refused));
    is($never->client->ask('GET', '/')->status, 503, 'a member that was never there is not waited for');
    cmp_ok(time - $began, '<', 1 * Abl::Util::patience(), 'at all');
    $_->log_ok(allow => [trouble]) for $none, $never;
};

subtest 'a member that answers 500' => sub {
    my $bad  = Abl::Member->start(name => 'bad', always => '/status/500');
    my @good = good(3);
    my $s    = server(balancer('app', $bad, @good, 'BalancerEject for=700ms'));
    my $by   = answers($s, 100, '/page');
    cmp_ok($by->{500}, '<=', 6, 'is left out after five failures') or diag(explain $by);
    is(state_of($s, $bad), 'ejected', 'the status tells');
    cmp_ok($s->status_member($bad)->{ejected_for_ms}, '<=', 700, 'for how long');
    ok($s->await_log(qr/ABL0073: balancer app: \S+ is left out for 0\.\d s: its requests fail, \d in a row/), 'and the log');
    ok((wait_until { state_of($s, $bad) eq '' } 5), 'its time is over, without any request');
    ok($s->await_log(qr/ABL0074: balancer app: \S+ gets requests again/), 'the log tells');
    $by = answers($s, 40, '/page');
    is($by->{500}, 1, 'the next failure is enough');
    cmp_ok($s->status_member($bad)->{ejected_for_ms}, '>', 700, 'and it stays out for longer');
    $s->log_ok(allow => [trouble]);
};

subtest 'a member that works again' => sub {
    my $gate = File::Temp->new;
    my $bad  = Abl::Member->start(name => 'sick');
    my @good = good(1);
    my $s    = server(balancer('app', $bad, @good, 'BalancerEject failures=2 for=200ms'));
    answers($s, 12, sub { "/status/" . ($_[0] % 2 ? 500 : 200) . "/$_[0]" });
    ok((wait_until { state_of($s, $bad) eq '' && state_of($s, $good[0]) eq '' } 5), 'whoever was out is back');
    my $by = answers($s, 20);
    is($by->{sick}, 10, 'and has its part') or diag(explain $by);
    $s->log_ok(allow => [trouble]);
};

subtest 'a request that fails everywhere ejects nobody' => sub {
    my @good = good(4);
    for my $path ('/status/500/poison', '/close-before/poison') {
        my $s = server(balancer('app', @good, 'BalancerEject failures=3'));
        $s->client->ask('GET', $path) for 1 .. 80;
        is(join('', map { state_of($s, $_) } @good), '', "$path, 80 times");
        is(said($s, 'ABL0072') + said($s, 'ABL0073'), 0, 'and nobody was meanwhile');
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'max-share=' => sub {
    my @bad  = map { Abl::Member->start(name => "bad$_", always => '/status/500') } 1 .. 3;
    my @good = good(1);
    my $s    = server(balancer('app', @bad, @good, 'BalancerEject failures=2 max-share=50%'));
    answers($s, 100, '/page');
    is(scalar(grep { state_of($s, $_) eq 'ejected' } @bad), 2, 'half of them at most');
    my $one = server(balancer('app', $bad[0], 'BalancerEject failures=1'));
    answers($one, 20);
    is(state_of($one, $bad[0]), '', 'so the only one never');
    $_->log_ok(allow => [trouble]) for $s, $one;
};

subtest 'all ejected: ejection is ignored' => sub {
    my @m = good(2);
    my $s = server(balancer('app', @m, 'BalancerEject failures=1 max-share=100% for=1min'));
    answers($s, 2, sub { "/status/500/$_[0]" });
    is(join(' ', map { state_of($s, $_) } @m), 'ejected ejected', 'both are out');
    is_deeply(answers($s, 10), { good1 => 5, good2 => 5 }, 'and are used');
    $s->log_ok(allow => [trouble]);
};

subtest 'a member that accepts and never answers' => sub {
    my $hole = Abl::Member->blackhole;
    my @good = good(3);
    my $s    = server(balancer('app', $hole, @good));
    my $by   = answers($s, 60, '/page');
    cmp_ok($by->{504}, '<=', 3, 'is left out after three requests') or diag(explain $by);
    is(state_of($s, $hole), 'ejected', 'for a time');
    $s->log_ok(allow => [trouble]);
};

# Connections to this port that are neither made nor refused yet.
sub pending {
    my ($port) = @_;
    my $hex = sprintf ':%04X 02', $port;    # the state SYN_SENT
    return scalar grep {/^\s*\d+: \S+ [0-9A-F]{8}\Q$hex\E/} split /\n/, Abl::Util::slurp('/proc/net/tcp');
}

subtest 'a member that does not even answer connects' => sub {
    my $full = Abl::Member->full;
    my @good = good(1);
    my $s    = server(balancer('app', [ $full, 'weight=1000' ], @good, 'BalancerTimeout connect=1s'));
    my @waits = map { $s->client } 1 .. 150;
    $_->request('GET', '/page') for @waits;
    my $most = 0;
    wait_until { my $now = pending($full->port); $most = $now if $now > $most; state_of($s, $full) eq 'away' } 10;
    is(join(' ', sort map { $_->response->status } @waits), join(' ', (200) x 150), 'everybody is served by another one');
    cmp_ok($most, '>', 0, 'connects were tried');
    cmp_ok($most, '<=', 64 * 4, 'but not one for each request') if $s->mpm eq 'event';
    my $began = time;
    is($s->client->ask('GET', '/page')->status, 200, 'and the next one');
    cmp_ok(time - $began, '<', 0.5, 'does not try');
    $s->log_ok(allow => [trouble]);
};

subtest 'slow-start=' => sub {
    my @m    = good(2);
    my $port = $m[0]->port;
    my $s    = server(balancer('app', [ $m[0], 'slow-start=2s' ], $m[1]));
    is_deeply(answers($s, 20), { good1 => 10, good2 => 10 }, 'when httpd begins there is none');
    $m[0]->stop;
    answers($s, 4);
    $m[0] = Abl::Member->start(name => 'good1', port => $port);
    ok((wait_until { state_of($s, $m[0]) eq '' } 5), 'it is back');
    my $few = answers($s, 20)->{good1} || 0;
    cmp_ok($few, '<=', 5, 'and gets little') or diag($few);
    ok((wait_until { $s->status_member($m[0])->{share} == 100 } 10), 'until it has run for a while');
    my $by = answers($s, 20);
    cmp_ok($by->{good1}, '>=', 9, 'then its whole part');
    $s->log_ok(allow => [trouble]);
};

subtest 'a member that asks to be left alone' => sub {
    my $tired = Abl::Member->start(name => 'tired', always => '/raw?b64=' . Abl::Util::b64url("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"));
    my @good  = good(1);
    my $s     = server(balancer('app', $tired, @good, 'BalancerRetry respect-retry-after=on'));
    is(answers($s, 20)->{503}, 1, 'is asked once');
    my $left = $s->status_member($tired)->{ejected_for_ms};
    ok($left > 0 && $left <= 2000, 'and left alone for so long') or diag($left);
    ok($s->await_log(qr/ABL0076: balancer app: \S+ is left out for [12]\.\d s: it has asked for it \(Retry-After\)/), 'as the log says');
    ok((wait_until { state_of($s, $tired) eq '' } 5), 'then it is asked again');
    my $plain = server(balancer('app', $tired, @good));
    cmp_ok(answers($plain, 8)->{503}, '>', 1, 'unless it is asked for, that means nothing');
    $_->log_ok(allow => [trouble]) for $s, $plain;
};

subtest 'what is no failure' => sub {
    my @m = good(2);
    my $s = server(balancer('app', @m, 'BalancerEject failures=1 max-share=100%'));
    for (1 .. 6) {
        my $c = $s->client;
        $c->request('GET', "/hang/$_");
        $c->abort;
    }
    $s->client->ask('GET', '/echo?delay=250') for 1 .. 4;
    $s->client->ask('GET', "/status/$_") for 404, 403, 501, 505, 429;
    is(join('', map { state_of($s, $_) } @m), '', 'clients that leave, slow answers, 4xx, 501, 505');
    $s->log_ok(allow => [trouble]);
};

subtest 'mistakes' => sub {
    my %wrong = (
        'failures=0'          => qr/ABL0263: BalancerEject failures=0: expected a whole number from 1 to 1000/,
        'failures=x'          => qr/ABL0263/,
        'rate=50'             => qr/ABL0263: BalancerEject rate=50: expected a percentage from 1% to 100%/,
        'rate=101%'           => qr/ABL0263/,
        'max-share=0%'        => qr/ABL0263/,
        'for=5'               => qr/ABL0263: BalancerEject for=5: /,
        'for=1ms'             => qr/ABL0263: BalancerEject for=1ms: expected a time from 100ms to 1h/,
        'over=2h'             => qr/ABL0263/,
        'failures=3 failures=4' => qr/ABL0262: BalancerEject: failures= is given twice/,
        'often'               => qr/ABL0261: BalancerEject: 'often' is not one of failures=, rate=, over=, for=, max-share=; or off alone/,
        ''                    => qr/ABL0260: BalancerEject takes at least one of/,
        'off failures=3'      => qr/ABL0264: BalancerEject off failures=3: off stands alone/,
        "failures=3\n    BalancerEject off" => qr/ABL0264/,
        "off\n    BalancerEject failures=3" => qr/ABL0264/,
    );
    for my $keys (sort keys %wrong) {
        my ($code, $text) = Abl::Server->configtest(balancer('app', 'BalancerMember http://127.0.0.1:8001', "BalancerEject $keys"));
        isnt($code, 0, "$keys: refused");
        like($text, $wrong{$keys}, 'and why');
    }
    my ($code, $text) = Abl::Server->configtest(balancer('app', 'BalancerMember http://127.0.0.1:8001', 'BalancerEject failures=3 rate=1%', 'BalancerEject over=1s for=1min max-share=100%'));
    is($code, 0, 'in two lines') or diag($text);
};

subtest 'off' => sub {
    my $bad = Abl::Member->start(name => 'bad', always => '/status/500');
    my @good = good(1);
    my $s    = server(balancer('app', $bad, @good, 'BalancerEject off'));
    is(answers($s, 40, '/page')->{500}, 20, 'nobody is left out');
    $s->log_ok(allow => [trouble]);
};

subtest 'a graceful restart, and the death of the control process' => sub {
    my $bad  = Abl::Member->start(name => 'bad', always => '/status/500');
    my $dead = Abl::Member->start(name => 'phoenix');
    my $port = $dead->port;
    my @good = good(2);
    my $s    = server(balancer('app', $bad, $dead, @good, 'BalancerEject for=1min'));
    answers($s, 40, '/page');
    $dead->stop;
    answers($s, 10);
    my $control = $s->status_json->{control};
    ok($control, 'there is a control process');
    $s->signal('USR1');
    ok((wait_until { $s->log =~ /Doing graceful restart.*resuming normal operations/s } 10), 'graceful restart');
    is(state_of($s, $bad) . state_of($s, $dead), 'ejectedaway', 'both stay out');
    is($s->status_json->{control}, $control, 'the same control process looks after them');
    kill 'KILL', $control;
    ok((wait_until { my $now = $s->status_json->{control}; $now && $now != $control && kill 0, $now } 10), 'killed: another one');
    my $again = Abl::Member->start(name => 'phoenix', port => $port);
    ok((wait_until { state_of($s, $dead) eq '' } 5), 'which notices who is back');
    $s->log_ok(allow => [trouble]);
};

subtest 'killed again and again, under load' => sub {
    my @m     = good(4);
    my @ports = map { $_->port } @m;
    my $s     = server(balancer('app', @m), Abl::Server->default_mpm eq 'prefork' ? (children => 40) : (threads => 40));    # one for each client
    my $load  = Abl::Load->start(port => $s->port, clients => 30, path => '/echo');
    for my $i (0 .. 7) {
        my $k = $i % 4;
        $m[$k]->stop;
        ok((wait_until { state_of($s, $m[$k]) eq 'away' } 5), "$i: one is away");
        $m[$k] = Abl::Member->start(name => "good$k", port => $ports[$k]);
        ok((wait_until { state_of($s, $m[$k]) eq '' } 5), "$i: and back");
    }
    my $seen = $load->finish;
    is_deeply([ keys %{ $seen->{answers} } ], [200], 'no client notices') or diag(explain $seen);
    is($seen->{broken}, 0, 'none is cut off');
    $s->log_ok(allow => [trouble]);
};

done_testing;
