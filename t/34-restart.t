# Graceful restarts and stops, while requests are under way.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a');

sub server { return Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n", children => 2) }

sub generation { my ($s) = @_; return scalar(() = $s->log =~ /resuming normal operations/g) }

sub restart {
    my ($s, $signal) = @_;
    my $before = generation($s);
    $s->signal($signal);
    return wait_until { generation($s) > $before } 15;
}

# No child has come or gone for a while.
sub settled {
    my ($s) = @_;
    my $children = join ' ', sort $s->children;
    select undef, undef, undef, 0.3;
    return $children eq join ' ', sort $s->children;
}

subtest 'a graceful restart drops nothing' => sub {
    my $s = server();
    my $c = $s->client;
    $m->forget;
    $c->request('GET', '/gate');
    $m->await_requests(1);
    ok(restart($s, 'USR1'), 'restarted');
    is($s->get('/echo')->{status}, 200, 'the new generation serves');
    $m->release;
    is($c->response->status, 200, 'the old one finishes its request');
    $c->close;
    for my $round (1 .. 3) {
        ok(restart($s, 'USR1'), "restart $round");
        is($s->get('/echo')->{status}, 200, "served after $round");
    }
    # httpd's own children may crash when they are stopped while they end gracefully
    ok((wait_until { $s->children <= 4 && settled($s) } 20), 'the old generations end');
    $s->log_ok;
};

subtest 'a restart with a changed configuration' => sub {
    my $other = Abl::Member->start(name => 'b');
    my $s = server();
    is($s->get('/echo')->{headers}{'x-member'}, 'a', 'before');
    my $conf = slurp($s->dir . '/httpd.conf');
    my ($from, $to) = ($m->url, $other->url);
    $conf =~ s/\Q$from\E/$to/ or die "no member in the configuration\n";
    spew($s->dir . '/httpd.conf', $conf);
    ok(restart($s, 'USR1'), 'restarted');
    ok((wait_until { $s->get('/echo')->{headers}{'x-member'} eq 'b' }), 'after');
    $s->log_ok;
};

subtest 'a hard restart' => sub {
    my $s = server();
    $s->get('/echo') for 1 .. 3;
    ok(restart($s, 'HUP'), 'restarted');
    is($s->get('/echo')->{status}, 200, 'and serves');
    $s->log_ok;
};

subtest 'a stop is not held up' => sub {
    my @upgrade = (Connection => 'Upgrade', Upgrade => 'websocket');
    my %held = (
        'an idle tunnel'       => sub { my $c = $_[0]->client; $c->request('GET', '/upgrade', \@upgrade); $c->start_response; $c },
        'a request that hangs' => sub { my $c = $_[0]->client; $c->request('GET', '/hang'); $c },
        'a stream'             => sub { my $c = $_[0]->client; $c->request('GET', '/sse?n=2&ms=gate'); $c->start_response; $c },
    );
    for my $what (sort keys %held) {
        my $s = server();
        $m->forget;
        my $c = $held{$what}->($s);
        $m->await_requests(1);
        my $from = time;
        $s->{at_once} = 1;
        $s->log_ok(allow => [qr/AH00045/], name => "$what: clean");
        cmp_ok(time - $from, '<', 10 * patience, "$what: in time");
    }
};

done_testing;
