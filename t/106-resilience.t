# What 30 clients notice of members that fail. With figures, and beside other proxies: make bench BENCH=resilience.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Load;
use Abl::Sick;
use Abl::Util qw(patience tool);
use Time::HiRes qw(time sleep);

# The namespace in which packets to one address are lost: this file again, in there.
my $inside = $ENV{ABL_INSIDE};

# A worker for each client, and some: with fewer, httpd complains (AH00484) whenever the machine is so busy that all are needed.
my @enough = Abl::Server->default_mpm eq 'prefork' ? (children => 40) : (threads => 40);

sub team { my ($n, $ms) = @_; return map { Abl::Sick->start(ms => $ms) } 1 .. $n }

sub server {
    my ($parts, $lines, %o) = @_;
    return Abl::Server->start(status => 1, @enough, conf => "BalancerPass / app\n" . ($lines || '') . balancer('app', @$parts), %o);
}

sub load { my ($s) = @_; return Abl::Load->start(port => $s->port, clients => 30, path => '/') }

sub all_good { my ($seen, $what) = @_; return is_deeply([ $seen->{broken}, grep { $_ != 200 } keys %{ $seen->{answers} } ], [0], "$what: $seen->{asked} requests, none failed") || diag(explain($seen)) }

sub over { my ($s, @allow) = @_; is($s->unrest(10), '', 'nothing is left in the ledger'); return $s->log_ok(allow => [ trouble, @allow ]) }

sub dropped {
    my ($good) = team(1, 5);
    my $s = server([ 'BalancerMember http://10.99.0.2:80', $good, 'BalancerTimeout connect=500ms' ]);
    my $load = load($s);
    my $began = time;
    sleep 3 * patience();
    my $seen = $load->finish;
    all_good($seen, 'packets to a member are lost');
    cmp_ok($seen->{slowest}, '<', 1.5 * patience(), 'nobody waits for longer than one connect= and a retry');
    my $tried = () = $s->log =~ /ABL0070/g;
    is($tried, 1, 'and it is left out');
    over($s);
    done_testing;
    exit 0;
}

dropped() if $inside;

subtest 'packets are lost' => sub {
    my $lost = 'ip link set lo up && ip link add lost0 type veth peer name lost1 && ip addr add 10.99.0.1/24 dev lost0 && ip link set lost0 up && ip link set lost1 up'
        . ' && ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev lost0';
    my @unshare = (tool('unshare') || 'unshare', $> == 0 ? '-n' : '-rn');
    if (system(@unshare, 'true') != 0) {
        plan(skip_all => 'this kernel lets only root make a network namespace') if $> != 0;
        die "no network namespace\n";
    }
    local $ENV{ABL_INSIDE} = 1;
    my $text = qx(@unshare sh -c '$lost && exec $^X -It/lib $0' 2>&1);
    is($?, 0, 'in a namespace of its own') || diag($text);
    like($text, qr/^ok 1 - packets to a member are lost/m, 'the clients do not notice');
};

subtest 'killed and started again, over and over' => sub {
    my @m = team(4, 5);
    my $s = server(\@m);
    my $load = load($s);
    for my $i (0 .. 7) {
        sleep 0.3;
        $m[ $i % 4 ]->stop;
        sleep 0.3;
        $m[ $i % 4 ]->again;
    }
    all_good($load->finish, '8 deaths');
    over($s);
};

for my $method (qw(leastbusy latency)) {
    subtest "one turns slow, with $method" => sub {
        my @m    = team(4, 5);
        my $s    = server([ @m, "BalancerMethod $method" ]);
        my $load = load($s);
        sleep 1;
        my $since = $m[1]->be('ok', 2000 * patience());
        sleep 6;
        my $n    = $m[1]->seen($since);
        my $seen = $load->finish;
        all_good($seen, 'slow is no failure');
        is($s->status_member($m[1])->{ejected} ? 1 : 0, 0, 'and nobody is ejected for it');
        cmp_ok($n, '<', ($method eq 'latency' ? 30 : 60), "it gets few of them ($n of $seen->{asked})");
        over($s);
    };
}

subtest 'one answers 500 at once' => sub {
    my @m = team(4, 5);
    my $s = server(\@m);
    my $load = load($s);
    sleep 1;
    my $since = $m[1]->be('500') + 1;
    ok((wait_until { $s->status_member($m[1])->{ejected} } 5), 'it is left out');
    sleep 3;
    my $ill  = $m[1]->seen($since);
    my $seen = $load->finish;
    cmp_ok($ill, '<=', 0.02 * $seen->{asked}, "it gets few after a second ($ill of $seen->{asked})");
    over($s);
};

subtest 'one accepts and never answers' => sub {
    my @m = team(4, 5);
    my $s = server([ @m, 'BalancerRetry on=connect,reset,timeout' ], "BalancerTimeout response=500ms\n");
    my $c = sub { $s->client->ask('GET', "/$_[0]")->status };
    $c->($_) for 1 .. 8;
    my $since = $m[1]->be('hang');
    my $began = time;
    is(join(' ', map { $c->($_) } 1 .. 20), join(' ', (200) x 20), 'whoever meets it goes on at another one');
    cmp_ok($m[1]->seen($since), '<=', 3, 'it is left out after three requests at most');
    my $load = load($s);
    sleep 2;
    my $seen = $load->finish;
    all_good($seen, 'under load');
    cmp_ok($seen->{slowest}, '<', (0.5 + 1) * patience(), 'one retry is all that anybody waits for');
    over($s);
};

subtest 'kept connections are closed when they are used again' => sub {
    my @m = team(2, 0);
    my $s = server(\@m);
    $_->be('reuse') for @m;
    my $load = load($s);
    wait_until { $m[0]->seen > 3000 } 30;
    all_good($load->finish, 'nobody notices');
    is(join(' ', map { $s->status_member($_)->{failures} } @m), '0 0', 'and that is no failure');
    over($s);
};

subtest 'what counts against a member, and what comes before one is taken' => sub {
    my %how = (
        'an ambiguous answer'   => [ '/raw?b64=' . b64url("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"), 502, 'bad-answer' ],
        'an answer that is cut' => [ '/short', 200, 'short' ],
        'no answer in time'     => [ '/hang', 504, 'timeout' ],
    );
    for my $name (sort keys %how) {
        my ($path, $status, $end) = @{ $how{$name} };
        my $m = Abl::Member->start(name => 'm', always => $path);
        my $s = server([$m], "BalancerTimeout response=200ms\n");
        is($s->client->ask('GET', '/')->status, $status, $name);
        ok((wait_until { $s->status_member($m)->{failures} == 1 } 5), 'counts');
        ok((wait_until { $s->status_balancer->{ends}{$end} == 1 } 5), "as $end") or diag(explain($s->status_balancer->{ends}));
        over($s);
    }
    my $m = Abl::Member->start(name => 'm');
    my $s = server([ [ $m, 'concurrency=1' ], 'BalancerBuffer max=10' ]);
    my $busy = $s->client;
    $busy->request('GET', '/delay/2000');
    ok((wait_until { $s->status_member($m)->{busy} } 5), 'the only place is taken');
    my $began = time;
    is($s->client->ask('POST', '/', [], 'x' x 11)->status, 413, 'a body that is too long');
    cmp_ok(time - $began, '<', 1 * patience(), 'waits for nobody');
    is($busy->response->status, 200, 'who was there is served');
    is($s->status_member($m)->{failures}, 0, 'and nothing of that counts');
    over($s);
};

subtest 'all are dead for a while' => sub {
    my @m = team(2, 5);
    my $s = server([ @m, 'BalancerQueue length=100 timeout=20s' ]);
    $s->client->ask('GET', '/')->status for 1 .. 4;
    $_->stop for @m;
    my $load = load($s);
    ok($s->await_queue(30), 'all wait');
    sleep 1;
    $_->begin for @m;
    my $up;
    wait_until { Abl::Util::accepts($m[0]->port) || Abl::Util::accepts($m[1]->port) } 10;
    $up = time;
    ok((wait_until { $s->status_balancer->{queue}{length} == 0 } 5), 'and go on');
    cmp_ok(time - $up, '<', 1 * patience(), 'within a second');
    sleep 0.5;
    all_good($load->finish, 'nothing is lost');
    over($s);
};

subtest 'POSTs that were read are not sent again' => sub {
    my @m = team(3, 0);
    my $s = server([ @m, 'BalancerRetry on=connect,reset,timeout,500,502,503 attempts=10 budget=100%' ]);
    $m[1]->be('reset');
    my %status;
    $status{ $s->client->ask('POST', "/order/$_", [], 'x')->status }++ for 1 .. 60;
    my %times;
    $times{$_}++ for map { $_->targets } @m;
    is((grep { $times{$_} > 1 } keys %times), 0, 'none came twice');
    is(scalar(keys %times), 60, 'each came');
    cmp_ok($status{502} || 0, '>', 0, 'and who has met the one that resets is told');
    over($s);
};

done_testing;
