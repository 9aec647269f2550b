# Traffic of every kind at once (t/lib/mix.py: tunnels, TLS and HTTP/2, too), with restarts in between: every answer is right, and
# nothing is left over: no lease, no descriptor, no parked request. ABL_MIX_SECONDS: how long (default 12 s; make check-asan takes 180).
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 400;
use Abl::Proc;
use Abl::Util qw(free_port accepts);
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use List::Util qw(max);

needs(qw(python3 curl openssl));
my $here    = Cwd::abs_path(dirname(__FILE__));
my $seconds = $ENV{ABL_MIX_SECONDS} || 12;
my $dir     = File::Temp::tempdir('abl-mix-XXXXXX', TMPDIR => 1, CLEANUP => 1);

chmod 0755, $dir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -batch -subj /CN=mix.test -keyout $dir/key.pem"
    . " -out $dir/cert.pem 2>$dir/openssl.log") == 0
    or die "openssl made no certificate:\n" . slurp("$dir/openssl.log");

sub member {
    my ($limit) = @_;
    my $port = free_port();
    my $proc = Abl::Proc->start(cmd => [ 'python3', "$here/app/member.py", $port, $limit ]);
    wait_until { accepts($port) } 10 or die "the member does not start\n";
    return { port => $port, proc => $proc };
}

my @free    = map { member(0) } 1, 2;
my @one     = map { member(1) } 1, 2;
my $line    = sub { my ($m, $keys) = @_; return "    BalancerMember http://127.0.0.1:$m->{port} $keys\n" };
my $prefork = Abl::Server->default_mpm eq 'prefork';

my $streams = $prefork ? 0 : 2;    # clients of HTTP/2, which does not go together with prefork
my $tls     = <<"END" . ($prefork ? '' : "    Protocols h2 http/1.1\n") . "</VirtualHost>\n";
<VirtualHost *:\@PORT:tls\@>
    SSLEngine on
    SSLCertificateFile "$dir/cert.pem"
    SSLCertificateKeyFile "$dir/key.pem"
END

sub server {
    my ($conf, $keys) = @_;
    return Abl::Server->start(
        modules => [ 'ssl', $prefork ? () : 'http2' ], ports => ['tls'],
        status => 1, children => $prefork ? 60 : 2, threads => 16, files => { 'static/a.txt' => "file\n" },
        conf   => '<Balancer free>' . "\n" . join('', map { $line->($_, $keys || '') } @free) . "</Balancer>\n"
            . "<Balancer one>\n" . join('', map { $line->($_, 'concurrency=1') } @one) . "    BalancerQueue length=2000 timeout=60s\n</Balancer>\n"
            . "BalancerPass / free\nBalancerPass /one one\nBalancerStatic /static\nKeepAliveTimeout 3\n$conf$tls",
    );
}

my $serial = 0;

sub begin {
    my ($what, $s, @arguments) = @_;
    my $out = "$dir/" . ++$serial;
    my @cmd = ('python3', "$here/lib/mix.py", $what, $s->port, $s->port('tls'), @arguments);
    return { out => $out, proc => Abl::Proc->start(cmd => \@cmd, out => $out) };
}

sub result {
    my ($mix, $patience) = @_;
    ok((wait_until { !$mix->{proc}->alive } $patience), 'the clients end') or return {};
    return eval { JSON::PP::decode_json(slurp($mix->{out})) } || do { diag(slurp($mix->{out})); {} };
}

# Of each kind the most that any child has. One of them watches all others (pidfd), and under prefork there are now more of these and
# now less. A request that waits has an eventfd, which is kept afterwards for the next one.
sub descriptors {
    my ($s) = @_;
    my %most = (pidfd => 0, eventfd => 0, other => 0);
    for my $pid ($s->children) {
        my %n;
        $n{ /(pidfd|eventfd)/ ? $1 : 'other' }++ for map { readlink || '' } glob "/proc/$pid/fd/*";
        $most{$_} = max($most{$_}, $n{$_}) for keys %n;
    }
    return \%most;
}

sub left_over {
    my ($s) = @_;
    is($s->unrest(30), '', 'no lease and no ticket is left');
    my $sum;
    my $idle = wait_until {
        $sum = 0;
        $sum += $_->{parked} + $_->{adopted} for @{ $s->status_json->{seats} };
        $sum == 0;
    } 20;
    ok($idle, 'nothing is parked any more') or diag("$sum are");
    is($s->status_json->{check}, 'ok', 'the ledger is sound');
    return;
}

my @lanes = Abl::Server->default_mpm eq 'event' ? ("BalancerLane on\n", "BalancerLane off\nBalancerInline 0\n") : ('');
for my $conf (@lanes) {
    subtest 'all sorts, ' . $conf =~ s/\n/ /gr => sub {
        my $s     = server($conf);
        my $mix   = begin('mixed', $s, 40, $streams, $seconds, 7);
        my $until = time + $seconds - 4;
        my $n     = 0;
        while (time < $until && $mix->{proc}->alive) {
            select undef, undef, undef, 2;    # something has to happen in between
            $s->signal('USR1');
            $n++;
        }
        my $seen = result($mix, $seconds + 60);
        note(explain($seen));
        is($seen->{bad}, 0, "every answer is right, through $n restarts") or diag(explain($seen));
        cmp_ok($seen->{answered} || 0, '>', 20 * $seconds, 'there were many');
        cmp_ok($seen->{left}     || 0, '>', 2 * $seconds,  'and clients that left');
        cmp_ok($seen->{refused} // 99, '<=', $n * $streams, 'no stream was refused but at a restart');
        cmp_ok($seen->{$_} || 0, '>', $seconds, $_) for qw(tunnels encrypted), $prefork ? () : 'streams';
        left_over($s);
        $s->log_ok(allow => [qr/ABL0008|ABL0009|ABL0010|AH0\d+/]);
    };
}

subtest 'five hundred that vanish' => sub {
    my $s      = server('', 'keepalive=off');
    my $before = result(begin('vanish', $s, 20, $streams, 1), 30) && left_over($s);
    my $fds    = descriptors($s);
    for my $seed (2, 3) {
        my $seen = result(begin('vanish', $s, 500 - 5 * $streams, 5 * $streams, $seed), 60);
        is($seen->{left}, 500, 'all have left') or diag(explain($seen));
        left_over($s);
    }
    my $now = descriptors($s);
    cmp_ok($now->{other},   '<=', $fds->{other} + 8,                   'no descriptor is left');
    cmp_ok($now->{eventfd}, '<=', $fds->{eventfd} + 64,                'nor one of each that has waited');
    cmp_ok($now->{pidfd},   '<=', scalar(@{ $s->status_json->{seats} }), 'nor one of a process that has ended');
    is($s->client->ask('GET', '/bytes?n=19')->status, 200, 'it goes on');
    $s->log_ok(allow => [qr/ABL0008|ABL0009|ABL0010|AH0\d+/]);
};

done_testing;
