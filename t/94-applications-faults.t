# Applications are looked after: what may go wrong with those who look after them.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Abl::Team;

needs(qw(python3));

subtest 'other ports, while the former instance has a request' => sub {
    my $t = Abl::Team->start(ports => 4);
    my $s = $t->server;
    ok($t->await_ready(1), 'it is ready');
    my ($old) = $t->pids;
    my $c = $s->client;
    $c->request('GET', '/sleep/1500');
    ok((wait_until { grep { $_->{busy} } @{ $s->status_balancer->{members} } } 5), 'a request is there');
    my $first = Abl::Team::free_ports(4);
    ok($t->reconfigure(sub { s/ports=\d+-\d+/ports=$first-@{[$first + 3]}/ }), 'it has other ports');
    ok($t->await_ready(1), 'a new one is ready');
    my ($new) = $t->pids;
    is($c->response->{status}, 200, 'the request is answered by the old one');
    ok((wait_until { !kill 0, $old } 5), 'which ends then');
    ok((wait_until { !grep { $_->{removed} } @{ $s->status_json->{applications} } } 5), 'and is forgotten');
    is_deeply([ $t->pids, $t->app->{starts} ], [ $new, 1 ], 'and the new one is left alone');
    $s->log_ok;
};

done_testing;
