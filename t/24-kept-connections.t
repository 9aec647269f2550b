# The pool of kept connections: how many, how long, and whether at all.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

sub server { my ($m, $keys) = @_; return Abl::Server->start(conf => balancer('app', [ $m, $keys ]) . "BalancerPass / app\n") }

sub open_ones { my ($m) = @_; return grep { !defined $_->{closed_by} && !$_->{eof} } $m->connections }

# Requests in flight at once, so that each has a connection of its own.
sub at_once {
    my ($s, $m, $n) = @_;
    my @c = map { $s->client } 1 .. $n;
    my $before = $m->requests;
    $_->request('GET', '/gate') for @c;
    $m->await_requests($before + $n);
    $m->release;
    $_->response for @c;
    return @c;
}

subtest 'keepalive=off' => sub {
    my $m = Abl::Member->start;
    my $s = server($m, 'keepalive=off');
    my $c = $s->client;
    my %used;
    $used{ $c->ask('GET', '/echo')->field('X-Connection') }++ for 1 .. 3;
    is(scalar keys %used, 3, 'each request has its own connection');
    like($m->last_request->field('Connection') || '', qr/\bclose\b/i, 'and the member is told');
    ok($m->await_close(3), 'nothing stays open');
    $s->log_ok;
};

subtest 'keepalive=off with a member that does not close' => sub {
    my $m = Abl::Member->start;
    my $s = server($m, 'keepalive=off');
    my $raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    is($s->client->ask('GET', '/raw?then=next&b64=' . b64url($raw))->body, 'ok', 'the answer');
    ok($m->await_close(1), 'is the end of the connection all the same');
    $s->log_ok;
};

subtest 'idle-timeout' => sub {
    my $m = Abl::Member->start;
    my $s = server($m, 'idle-timeout=300ms');
    my $c = $s->client;
    my $first = $c->ask('GET', '/echo')->field('X-Connection');
    is($c->ask('GET', '/echo')->field('X-Connection'), $first, 'kept for a while');
    ok($m->await_end_of($first, 5), 'and closed by httpd when nobody wants it');
    is($c->ask('GET', '/echo')->status, 200, 'then there is another');
    $s->log_ok;
};

subtest 'max-age' => sub {
    my $m = Abl::Member->start;
    my $s = server($m, 'max-age=400ms');
    my $c = $s->client;
    my $first = $c->ask('GET', '/echo')->field('X-Connection');
    is($c->ask('GET', '/echo')->field('X-Connection'), $first, 'a young one is used again');
    ok((wait_until { $c->ask('GET', '/echo')->field('X-Connection') != $first } 5), 'an old one is not, though in use');
    $s->log_ok;
};

SKIP: {
    skip 'a prefork child has one connection at a time', 1 if Abl::Server->default_mpm eq 'prefork';
    subtest 'idle-max' => sub {
        my $m = Abl::Member->start;
        my $s = server($m, 'idle-max=2 idle-timeout=60s');
        at_once($s, $m, 6);
        ok($m->await(sub { open_ones($m) <= 2 }), 'two stay');
        at_once($s, $m, 6);
        is(scalar $m->requests, 12, 'a burst is no matter');
        ok($m->await(sub { open_ones($m) <= 2 }), 'two stay');
        $s->log_ok;
    };
}

subtest 'a stop closes them' => sub {
    my $m = Abl::Member->start;
    my $s = server($m, '');
    $s->client->ask('GET', '/echo');
    $s->log_ok;
    ok($m->await_close(1), 'nothing is left behind');
};

done_testing;
