# What mod_status shows of requests and connections that have no worker.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    modules => ['status'], status => 1, children => 2, threads => 8, files => { 'static/a.txt' => "file\n" },
    conf    => balancer('app', $m) . "BalancerPass / app\nBalancerStatic /static\nBalancerStatic /server-status\nExtendedStatus On\n"
        . "<Location /server-status>\n    SetHandler server-status\n</Location>\n",
);

sub figures { return { map { /^([^:]+): (.*)/ ? ($1 => $2) : () } split /\n/, $s->client->ask('GET', '/server-status?auto', [ Connection => 'close' ])->body } }
sub figure { my ($name) = @_; return figures()->{$name} }

my @c = map { $s->client } 1 .. 12;
$_->request('GET', '/gate') for @c;
ok($m->await_requests(12), 'they all wait for the member');
ok((wait_until { figure('AppbalanceParkedRequests') == 12 }), 'and are shown') or diag(explain(figures()));
is(figure('AppbalanceAdoptedConnections'), 12, 'their connections too');
cmp_ok(figure('BusyWorkers'), '<', 4, 'they are not busy workers');
like($s->client->ask('GET', '/server-status')->body, qr/12 requests wait without a worker/, 'for people');
my $sum = 0;
$sum += $_->{parked} for @{ $s->status_json->{seats} };
is($sum, 12, 'and in balancer-status');
$m->release;
$_->response for @c;
ok((wait_until { figure('AppbalanceParkedRequests') == 0 }), 'nobody waits any more');
is(figure('AppbalanceAdoptedConnections'), 12, 'the connections are kept');

my $before = figures()->{'Total Accesses'};
for my $turn (1 .. 5) { $_->ask('GET', '/length/100000') for @c }
$s->client->ask('GET', '/length/10', [ Connection => 'close' ]) for 1 .. 20;    # these httpd counts by itself
my $after = figures();
cmp_ok($after->{'Total Accesses'} - $before, '>=', 80, 'their requests are counted');
cmp_ok($after->{'Total Accesses'} - $before, '<=', 82, 'once') or diag(explain($after));
cmp_ok($after->{'Total kBytes'}, '>=', 60 * 100_000 / 1024, 'and their bytes');
$_->close for @c;
ok((wait_until { figure('AppbalanceAdoptedConnections') == 0 }), 'closed connections are gone');
is($s->unrest, '', 'nothing is left');
$s->log_ok;

done_testing;
