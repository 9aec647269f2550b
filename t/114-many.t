# A balancer with thousands of members, of which a few are there: reading it, using it, looking at it, restarting.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Time::HiRes qw(time);

my $MOST = 10240;
my @real = map { Abl::Member->start(name => "m$_") } 1 .. 4;
my $gone = Abl::Member->refused;

# Addresses that nobody asks: they are disabled.
sub absent { my ($n) = @_; return map { sprintf 'BalancerMember http://10.%d.%d.%d:8080 status=disabled', 77, $_ / 250, $_ % 250 + 1 } 1 .. $n }

sub timed(&) { my ($code) = @_; my $began = time; my @got = $code->(); return (time - $began, @got) }

sub conf {
    my ($n, @lines) = @_;
    my @members = absent($n - @real - 1);
    return balancer('app', $real[0], $real[1], @members[ 0 .. $#members / 2 ], $gone, $real[2], @members[ $#members / 2 + 1 .. $#members ], $real[3], @lines)
        . "BalancerPass / app\n";
}

subtest 'the limit' => sub {
    my ($took, $code, $text) = timed { Abl::Server->configtest(conf($MOST)) };
    is($code, 0, "$MOST members are right") or diag($text);
    cmp_ok($took, '<', 2 * Abl::Util::patience(), 'which is known soon');
    ($code, $text) = Abl::Server->configtest(conf($MOST + 1));
    isnt($code, 0, 'one more is not');
    like($text, qr/ABL0128: <Balancer app> has more than $MOST members/, 'and why');
};

my $s = Abl::Server->start(status => 1, children => 2, conf => conf(10_000, 'BalancerMethod leastbusy', 'BalancerAffinity cookie=SID'));

# A list of 10,000 is long to parse in Perl.
sub look {
    my ($took, $r) = timed { $s->get('/-/status') };
    return ($took, $r->{content});
}

# By member: its part of what balancer-status says.
sub told { my ($text, $member) = @_; my $url = quotemeta $member->url; return $text =~ /(\{"address":"$url".*?"removed":\w+)/ ? $1 : '' }
sub requests { my ($text) = @_; return join ' ', map { told($text, $_) =~ /"requests":(\d+)/ ? $1 : '-' } @real }

subtest 'requests' => sub {
    my $c = $s->client;
    my %seen;
    $seen{ $c->ask('GET', "/echo/$_")->field('X-Member') // '-' }++ for 1 .. 40;
    is_deeply(\%seen, { map { ($_->name => 10) } @real }, 'those that are there get all of them, evenly');
    my $last = $s->client->ask('GET', '/', [ Cookie => 'SID=' . ($s->client->ask('GET', '/')->field('Set-Cookie') =~ /SID=(\w+)/)[0] ]);
    is($last->status, 200, 'affinity');
};

subtest 'balancer-status' => sub {
    my ($took, $text) = look();
    cmp_ok($took, '<', 1 * Abl::Util::patience(), 'comes within a second');
    is(scalar(() = $text =~ /"address":/g), 10_000, 'has all members');
    my ($first, $then) = $text =~ /"members":\[\{"address":"([^"]+)".*?\{"address":"([^"]+)"/;
    is("$first $then", join(' ', map { $_->url } @real[ 0, 1 ]), 'in their order');
    like($text, qr/"address":"\Q@{[$real[3]->url]}\E"[^]]*\]/, 'the last one is the last');
    like($text, qr/"check":"ok"/, 'the ledger is sound');
    like(told($text, $gone), qr/"away":true/, 'who is not there is away');
};

subtest 'a graceful restart' => sub {
    my $before = requests((look())[1]);
    my $generations = () = $s->log =~ /resuming normal operations/g;
    my ($took) = timed {
        $s->signal('USR1');
        ok((wait_until { (() = $s->log =~ /resuming normal operations/g) > $generations } 15), 'it is done');
    };
    cmp_ok($took, '<', 5 * Abl::Util::patience(), 'soon');
    my ($took_status, $text) = look();
    is(requests($text), $before, 'counts go on');
    is(scalar(() = $text =~ /"address":/g), 10_000, 'all members are there, once');
    is($s->client->ask('GET', '/echo/1')->status, 200, 'requests are answered');
    like($text, qr/"check":"ok"/, 'the ledger is sound');
};

$s->log_ok(allow => [trouble]);
done_testing;
