# What a client notices of it that its connection is looked after by the module and not by httpd: nothing.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Time::HiRes qw(time);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m = Abl::Member->start(name => 'a');

sub kept { my ($s, @fields) = @_; my $c = $s->client; is($c->ask('GET', '/length/5', [@fields])->status, 200, 'a first request'); return $c }

for my $lane (qw(on off)) {
    subtest "BalancerLane $lane: KeepAliveTimeout" => sub {
        my $s = Abl::Server->start(
            threads => 8, conf => balancer('app', $m) . "BalancerLane $lane\n", files => { 'static/a.txt' => "file\n" },
            vhosts  => [ map { ("$_->[0].test" => "BalancerPass / app\nBalancerStatic /static\n$_->[1]") } [ a => '' ], [ b => "KeepAliveTimeout 1\n" ] ],
        );
        my ($a, $b, $both) = (kept($s, Host => 'a.test'), kept($s, Host => 'b.test'), kept($s, Host => 'a.test'));
        is($both->ask('GET', '/static/a.txt', [ Host => 'b.test' ])->status, 200, 'a file of another host');
        my $from = time;
        ok($_->await_end(6), 'is the last host\'s own') for $b, $both;
        cmp_ok(time - $from, '>', 0.7, 'not before its time');
        is($a->ask('GET', '/length/5', [ Host => 'a.test' ])->status, 200, 'and the one of a host that has none is the main server\'s');
        $s->log_ok;
    };

    subtest "BalancerLane $lane: a client that ends its side at once" => sub {
        my $s = Abl::Server->start(threads => 8, status => 1, conf => balancer('app', $m) . "BalancerLane $lane\nBalancerPass / app\n");
        for my $before (0 .. 3) {
            my $c = $s->client;
            is($c->ask('GET', '/length/5')->status, 200, 'one before') for 1 .. $before;
            $c->request('GET', '/length/7');
            $c->half_close;
            my $r = $c->response;
            is($r->status, 200, "gets its answer, after $before others");
        }
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };

    subtest "BalancerLane $lane: idle clients make room" => sub {
        my $s = Abl::Server->start(
            threads => 4, children => 1, conf => balancer('app', $m) . "BalancerLane $lane\nBalancerPass / app\nAsyncRequestWorkerFactor 2\nKeepAliveTimeout 30\n");
        my @idle = map { kept($s) } 1 .. 2;
        my @busy = map { my $c = $s->client; $c->send("GET /length/5 HTTP/1.1\r\nHo"); $c } 1 .. 6;    # more than threads
        my $new  = $s->client(timeout => 20);
        $new->request('GET', '/length/7');
        my $from = time;
        $_->close for @busy[ 0 .. 3 ];
        is($new->response->status, 200, 'for a new one, when a worker is free again');
        cmp_ok(time - $from, '<', 5 * patience, 'at once, and not after KeepAliveTimeout');
        $_->close for @busy;
        if ($lane eq 'on') {    # of its own httpd closes none while workers are idle
            $from = time;
            my @many = map { kept($s) } 1 .. 14;    # more than it takes on then
            cmp_ok(time - $from, '<', 5 * patience, 'and each of many');
        }
        $s->log_ok(allow => [ qr/AH00484/, qr/AH10159/ ]);
    };

    subtest "BalancerLane $lane: mod_reqtimeout" => sub {
        my $s = Abl::Server->start(threads => 8, status => 1, modules => ['reqtimeout'],
            conf => balancer('app', [ $m, 'concurrency=2' ]) . balancer('free', $m) . "BalancerLane $lane\nBalancerPass / app\nBalancerPass /free free\nRequestReadTimeout header=2 body=2\n");
        my ($head, $body, $long) = map { kept($s) } 1 .. 3;
        my $from = time;
        $head->send("GET /length/5 HTTP/1.1\r\nHo");
        $body->request('POST', '/echo', [ 'Content-Length' => 10 ]);
        $body->send('x');
        $long->request('POST', '/free/echo', [ 'Content-Length' => 100_000 ]);
        $long->send('x');
        is($body->response->status, 408, 'a body that does not come');
        is($long->response->status, 408, 'nor one that is passed on as it comes');
        ok($_->await_end(10), 'the connection ends') for $head, $body, $long;
        my $took = time - $from;
        cmp_ok($took, '>', 1,            'not before its time');
        cmp_ok($took, '<', 8 * patience, 'but far from Timeout');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok(allow => [qr/ABL0193|AH0138[12]|request (?:header|body) read timeout/i]);
    };

    subtest "BalancerLane $lane: modules that keep something with their thread" => sub {
        my $s = Abl::Server->start(
            threads => 8, modules => ['lua'],
            files   => { 'static/x.lua' => "require 'apache2'\nfunction handle(r)\n    r:puts('lua\\n')\n    return apache2.OK\nend\n" },
            conf    => balancer('app', $m) . "BalancerLane $lane\nBalancerPass / app\nBalancerStatic /static\nLuaScope thread\nAddHandler lua-script .lua\n",
        );
        my $c = kept($s);
        for my $turn (1 .. 5) {
            is($c->ask('GET', '/static/x.lua')->body, "lua\n", "turn $turn");
            is($c->ask('GET', '/length/6')->status, 200, 'and a member');
        }
        $s->log_ok;
    };
}

subtest 'MaxConnectionsPerChild' => sub {
    my $s = Abl::Server->start(threads => 8, status => 1, conf => balancer('app', [ $m, 'concurrency=1' ]) . "BalancerPass / app\nMaxConnectionsPerChild 20\n");
    my @waits = ($s->client(timeout => 20));
    $m->forget;
    $_->request('GET', '/gate') for @waits;
    $m->await_requests(1);
    my @more = map { my $c = $s->client(timeout => 20); $c->request('GET', '/length/5', [ Connection => 'close' ]); $c } 1 .. 40;
    $m->release;
    is(scalar(grep { $_->response->status == 200 } @waits, @more), 41, 'all are answered, by children that come and go');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

done_testing;
