# An answer that goes through the stash, because no thread may stay with it: to the client it is the same answer.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m = Abl::Member->start(name => 'a');

sub server {
    my ($inline, $conf, @buffer) = @_;
    return Abl::Server->start(
        status => 1, threads => 8, children => 1,
        conf   => balancer('app', [ $m, 'concurrency=4' ], @buffer) . "BalancerPass / app\nBalancerInline $inline\nBalancerLane off\n$conf"
    );
}

# The child's, in seconds.
sub cpu {
    my ($s) = @_;
    my ($pid) = $s->children;
    my @f = split ' ', slurp("/proc/$pid/stat") =~ s/.*\)//sr;
    return ($f[11] + $f[12]) / 100;
}

for my $inline (0, '5ms') {
    subtest "BalancerInline $inline: a client that takes nothing, while the member is held back" => sub {
        my $s = server($inline, "Timeout 1\n", 'BalancerBuffer response=64K file=0');
        my $c = $s->client(rcvbuf => 4096);
        $c->request('GET', '/length/8000000');
        ok((wait_until { $s->status_member($m)->{busy} == 1 } 5), 'it begins');
        ok((wait_until { $s->status_member($m)->{busy} == 0 } 5 * patience), 'its time is over');
        my $before = cpu($s);
        ok($s->await_access(qr{^499 .*/length/}m, 3), 'it is given up');
        select undef, undef, undef, 1;
        cmp_ok(cpu($s) - $before, '<', 0.5, 'and keeps no thread busy');
        ok(!$c->response(keep => 0)->complete, 'it sees that it has not got everything');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };
}

# A worker has the answer, because what comes might not fit into memory.
subtest 'a tunnel' => sub {
    for my $path ('/upgrade', '/upgrade?hello=hi') {
        my $s = server(0, '', 'BalancerBuffer response=64K');
        my $c = $s->client;
        $c->expect_answer_to('GET')->send($c->head('GET', $path, [ Connection => 'Upgrade', Upgrade => 'websocket' ]) . 'early');
        is($c->start_response->status, 101, "$path: upgraded");
        ok((wait_until { $c->fill(0); $c->pending =~ /early/ } 3), 'what followed the request comes back');
        $c->send('later');
        ok((wait_until { $c->fill(0); $c->pending =~ /later/ } 3), 'and what comes later');
        $c->close;
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    }
};

subtest 'BalancerErrorOverride, of a long answer' => sub {
    my $s = server(0, "BalancerErrorOverride on\nErrorDocument 500 \"ours\"\n");
    my $c = $s->client;
    for my $n (1_000, 60_000, 100_000, 3_000_000) {
        my $r = $c->ask('GET', "/status/500?fill=$n");
        is($r && $r->status, 500, "$n bytes: the status");
        is($r && $r->body, 'ours', "$n bytes: httpd's page");
        $c = $s->client if !$r || lc($r->field('Connection') || '') eq 'close';
    }
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

done_testing;
