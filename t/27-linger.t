# A worker that stays with a connection for a moment: nothing but the cost may change by it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a');

# With a lane a kept connection goes to a loop, and nobody lingers.
sub server {
    my ($conf, %o) = @_;
    return Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\nBalancerStatic /static\nBalancerLane off\n$conf",
        modules => ['status'], files => { 'static/a.txt' => "file\n" }, %o);
}

for my $linger ('off', '2ms', '100ms') {
    subtest "BalancerLinger $linger" => sub {
        my $s = server("BalancerLinger $linger\nExtendedStatus On\nKeepAliveTimeout 1\nMaxKeepAliveRequests 5\n");
        my $c = $s->client;
        for my $path ('/length/10', '/static/a.txt', '/chunked/10', '/length/300000') {
            is($c->ask('GET', $path)->status, 200, "$path, one after the other");
        }
        select undef, undef, undef, 0.15;    # longer than any linger
        is($c->ask('GET', '/length/10')->status, 200, 'after a pause');
        my $r = $c->ask('GET', '/length/10');
        is($r->status, 200, 'the last that MaxKeepAliveRequests allows');
        like($r->field('Connection') || '', qr/close/i, 'says so');
        ok($c->await_end(5), 'and the connection ends');

        $c = $s->client;
        $c->send(join '', map {"GET $_ HTTP/1.1\r\nHost: h\r\n\r\n"} '/length/5', '/static/a.txt', '/length/7', '/status/404');
        is(join(' ', map { my $r = $c->response; $r->status . ':' . length $r->body } 1 .. 4), '200:5 200:5 200:7 404:' . length("status 404 from a\n"), 'pipelined');

        $c = $s->client;
        is($c->ask('GET', '/length/5', [ Connection => 'close' ])->status, 200, 'Connection: close');
        ok($c->await_end(5), 'is obeyed');

        $c = $s->client;
        $c->ask('GET', '/length/5');
        my $from = time;
        ok($c->await_end(10), 'KeepAliveTimeout ends an idle connection');
        cmp_ok(time - $from, '>', 0.7, 'not before its time');

        $c = $s->client;
        $c->ask('GET', '/length/5');
        $c->send("GET /length/6 HTTP/1.1\r\n");    # half a request comes in time for the linger
        select undef, undef, undef, 0.2;
        $c->send("Host: h\r\n\r\n");
        is(length $c->response->body, 6, 'a request in two pieces');

        undef $c;
        my $n    = $s->{mpm} eq 'prefork' ? 2 : 12;    # more than may linger at once; prefork has a process for each
        my @many = map { $s->client } 1 .. $n;
        for my $turn (1 .. 3) {
            $_->request('GET', '/length/9') for @many;
            is((grep { $_->response->status == 200 } @many), $n, "$n clients, turn $turn");
        }
        undef @many;
        $c = $s->client;
        $c->ask('GET', '/length/5');
        $from = time;
        $s->log_ok;
        cmp_ok(time - $from, '<', 5 * patience, 'a stop is not held up');
    };
}

done_testing;
