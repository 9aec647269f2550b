# The manager's page in a browser, over httpd under load: the tests are in t/browser/live.test.js. Its members are there,
# the application and its clients here: when an application is rolled from the page, none of them may notice.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::Page;
use Abl::Team;
use JSON::PP ();

needs(qw(python3));

my @ports = map { Abl::Util::free_port() } 1 .. 3;
my $members = join '', map { "    BalancerMember http://127.0.0.1:$_ concurrency=8\n" } @ports;
my $many    = join '', map { my $n = $_; map { "    BalancerMember http://127.1.$n.$_:9\n" } 1 .. 250 } 1 .. 40;
my $manager = "    SetHandler balancer-manager\n    Require ip 127.0.0.1\n";

my $t = Abl::Team->start(
    keys   => 'instances=2 memory=500M',
    server => { modules => [qw(authz_host)], threads => 32 },
    conf   => <<"END",
<Balancer shop>
$members</Balancer>
BalancerPass /shop shop
<Location /-/manager>
$manager</Location>
END
);
ok($t->await_ready(2), 'the application is there') or diag($t->server->log);
my $load = Abl::Load->start(port => $t->server->port, clients => 3, path => '/sleep/20');

my $json = JSON::PP->new->ascii->canonical;
subtest 'in a browser' => sub {
    local $ENV{ABL_LIVE} = $json->encode({ url => $t->server->url('/-/manager'), ports => \@ports, pid => $t->server->pid });
    Abl::Page::within('live.test.js', 'live');
};
$t->unharmed($load, 'an application that was rolled');
$t->server->log_ok(allow => [trouble(), qr/AH00493|AH00489|AH00094|AH01630/]);

subtest '10,000 members' => sub {
    my $s = Abl::Server->start(modules => [qw(authz_host)], conf => "<Balancer many>\n$many</Balancer>\nBalancerPass /many many\n<Location /-/manager>\n$manager</Location>\n");
    local $ENV{ABL_LIVE} = $json->encode({ url => $s->url('/-/manager') });
    Abl::Page::within('live.test.js', '10,000');
};

done_testing;
