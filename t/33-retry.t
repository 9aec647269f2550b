# Nothing that may have been done once is asked for twice; what certainly was not done is asked for again.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

sub server { my (@parts) = @_; return Abl::Server->start(conf => balancer('app', @parts) . "BalancerPass / app\n") }

sub heads { return grep { $_->method eq 'POST' } map { $_->requests } @_ }

subtest 'a POST a member may have seen is sent once' => sub {
    for my $how (qw(reset-before close-before reset-head close-head)) {
        my @m = map { Abl::Member->start(name => $_, always => "/$how") } qw(a b);
        my $s = server(@m);
        for my $n (1 .. 4) {
            my $r = $s->client->ask('POST', "/order/$n", [], 'buy');
            is($r->status, 502, "$how: 502") if $n == 1;
        }
        my @seen = map { $_->target } heads(@m);
        is(scalar @seen, 4, "$how: four orders, four arrivals");
        is_deeply([ sort @seen ], [ map {"/order/$_"} 1 .. 4 ], "$how: each once");
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'nor is one whose kept connection closes under it' => sub {
    for my $path ('/stale', '/stale?rst=1') {
        my @m = map { Abl::Member->start(name => $_) } qw(a b);
        my $s = server(@m);
        for my $round (1 .. 4) {
            my $c = $s->client;
            $c->ask('GET', $path);
            my $r = $c->ask('POST', "/echo/$round", [], 'buy');
            like($r->status, qr/^(?:200|502)$/, "$path: done, or 502");
        }
        my %times;
        for my $member (@m) {
            $times{ $_->target }++ for heads($member);
            for my $conn ($member->connections) {
                m{^POST (\S+)} && $times{$1}++ for @{ $conn->{stale} || [] };
            }
        }
        is((grep { $_ > 1 } values %times), 0, "$path: none arrived twice");
        is(scalar(keys %times), 4, "$path: each arrived");
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'a GET whose kept connection closes goes again, to the same member' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = server(@m);
    my $c = $s->client;
    my @kept = map { $c->ask('GET', '/stale')->field('X-Member') } 1 .. 2;
    is(join('', sort @kept), 'ab', 'both hold a connection that will close');
    $_->forget for @m;
    is($c->ask('GET', "/echo/$_")->status, 200, "request $_") for 1 .. 4;
    is($_->requests, 2, $_->name . ' keeps its share: nothing was held against it') for @m;
    $s->log_ok(name => 'and nobody was warned');
};

subtest 'many stale connections do not use up the attempts' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server($m);
    my @c = map { $s->client } 1 .. 3;
    $_->request('GET', '/gate') for @c;
    $m->await_requests(3);
    $m->release;
    $_->response for @c;
    $m->drop_idle;
    is($_->ask('GET', '/echo')->status, 200, 'served') for @c;
    $s->log_ok;
};

subtest 'refused is certain: any method goes on, once' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server(Abl::Member->refused, $m, Abl::Member->refused);
    is($s->client->ask('POST', "/order/$_", [], 'buy' x 10_000)->status, 200, "order $_") for 1 .. 6;
    is(scalar $m->requests, 6, 'six orders, six arrivals');
    is((grep { $_->{complete} && $_->{length} == 30_000 } $m->requests), 6, 'whole');
    $s->log_ok(allow => [trouble]);
};

subtest 'a body that is too big to keep is sent once' => sub {
    my $bad = Abl::Member->start(name => 'bad', always => '/reset-before');
    my $m   = Abl::Member->start(name => 'a');
    my $s   = server($bad, $m);
    for my $n (1 .. 2) {
        my $r = $s->client->ask('PUT', "/put/$n", [], pattern(4 << 20));
        like($r->status, qr/^(?:200|502)$/, 'whole, or 502');
    }
    for my $seen ($m->requests) {
        ok($seen->{complete}, 'never a part of it');
        is($seen->{length}, 4 << 20, 'all of it');
    }
    $s->log_ok(allow => [trouble]);
};

subtest 'an answer that has begun is never begun again' => sub {
    my @m = (Abl::Member->start(name => 'bad', always => '/reset-body'), Abl::Member->start(name => 'good'));
    my $s = server(@m);
    for (1 .. 4) {
        my $r = $s->client->ask('GET', '/length/50');
        ok($r->complete ? ($r->field('X-Member') || '') eq 'good' || $r->status == 502 : 1, 'whole from one, or cut');
        unlike($r->body, qr/^0123456789.*0000000/s, 'no mixture');
    }
    $s->log_ok(allow => [trouble]);
};

# Many servers write the two apart: whoever is killed between them has said nothing yet.
subtest 'an end between the head and the body of an answer' => sub {
    for my $how (qw(reset-between close-between)) {
        my @m = (Abl::Member->start(name => 'bad', always => "/$how"), Abl::Member->start(name => 'good'));
        my $s = server(@m);
        for my $n (1 .. 4) {
            my $r = $s->client->ask('GET', '/length/50');
            is_deeply([ $r->status, $r->complete ? 1 : 0, $r->field('X-Member') ], [ 200, 1, 'good' ], "$how: GET $n is answered by the other one");
        }
        $_->forget for @m;
        $s->client->ask('POST', "/order/$_", [], 'buy') for 1 .. 4;
        is_deeply([ sort map { $_->target } heads(@m) ], [ map {"/order/$_"} 1 .. 4 ], "$how: each POST arrives once");
        $s->log_ok(allow => [trouble]);
    }
};

subtest 'everybody fails: it ends soon' => sub {
    my @m = map { Abl::Member->start(name => $_, always => '/reset-before') } qw(a b c d);
    my $s = server(@m);
    my $r = $s->client->ask('GET', '/x');
    is($r->status, 502, 'status 502');
    my $tries = 0;
    $tries += $_->requests for @m;
    cmp_ok($tries, '>=', 1, 'tried');
    cmp_ok($tries, '<=', 4, 'no member twice');
    $s->log_ok(allow => [trouble]);
};

done_testing;
