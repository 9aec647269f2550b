# docs/operations.md: what it shows for a shell and for Prometheus is run here as it stands there, but for ports.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use Abl::Manager;
use Abl::Team;

needs('curl', 'awk', 'sed', 'python3');

my $root = Cwd::abs_path(dirname(__FILE__) . '/..');
my $page = slurp("$root/docs/operations.md");

# The text between a heading and the next one; the code blocks in it.
sub section { my ($title) = @_; my ($text) = $page =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms; return $text // die "no section $title\n" }
sub blocks { my ($text, $kind) = @_; return $text =~ /^```$kind\n(.*?)^```$/msg }

my ($format) = slurp("$root/conf/appbalance.conf") =~ /^\s*#?(LogFormat .* balancer)$/m;
my $m        = Abl::Member->start(name => 'a');
my $dir      = File::Temp::tempdir('abl-operations-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 01777, $dir;    # the instance is another user when root starts httpd
my $first = Abl::Team::free_ports(4);
my $s     = Abl::Server->start(
    conf => balancer('my_cluster', $m, 'BalancerApp web "python3 ' . Abl::Team::worker() . " %{port}\" ports=$first-@{[ $first + 3 ]} dir=$dir") . <<"END",
BalancerPass / my_cluster
<Location /balancer-manager>
    SetHandler balancer-manager
    Require local
</Location>
<Location /balancer-status>
    SetHandler balancer-status
    Require local
</Location>
$format
CustomLog "\@DIR\@/balancer.log" balancer
END
);
my $manager = Abl::Manager->new($s, path => '/balancer-manager', balancer => 'my_cluster');
my $app     = sub { my ($app) = @{ $manager->json->{applications} }; return $app };
ok((wait_until { my $a = $app->(); $a && grep { $_->{state} eq 'ready' } @{ $a->{instances} } } 20), 'an application is ready');

# As it stands there, but for where httpd and its member are.
sub shell {
    my ($script) = @_;
    $script =~ s{http://127\.0\.0\.1/}{$s->url('/')}ge;
    $script =~ s{http://127\.0\.0\.1:39564}{$m->url =~ s{/\z}{}r}ge;
    open my $out, '-|', 'sh', '-c', "cd '$dir' && { $script\n} 2>&1" or die "sh: $!\n";
    local $/;
    my $text = <$out>;
    close $out;
    return ($? >> 8, $text);
}

my ($begin, $actions) = blocks(section('Steering with curl'), 'sh');
my @lines = split /\n/, $actions;
my %line = map { my ($name) = /"action": "(\w+)"/; ($name => $_) } @lines;

subtest 'steering with curl' => sub {
    my @known = slurp("$root/docs/steering.md") =~ /^## Actions\n(.*?)(?=^## |\z)/ms ? $1 =~ /^\| `(\w+)` \|/mg : ();
    shift @known;    # the head: `action`
    is_deeply([ map {/"action": "(\w+)"/} @lines ], \@known, 'a line for each action, in the order of docs/steering.md');
    my ($code, $text) = shell($begin);
    is("$code$text", '0', 'a session is begun') or return diag($text);
    my $member = sub { return $manager->member($_[0] // $m) || {} };
    my %effect = (
        enable  => sub { $member->()->{state} eq 'up' },
        drain   => sub { $member->()->{state} eq 'draining' && $member->()->{why} =~ /disk change/ },
        disable => sub { $member->()->{state} eq 'disabled' },
        weight  => sub { $member->()->{weight} == 0.5 },
        concurrency => sub { $member->()->{concurrency} == 4 },
        restore => sub { !@{ $member->()->{steered} } && $member->()->{state} eq 'up' },
        add     => sub { ($member->('http://10.0.0.9:8080')->{weight} // 0) == 2 },
        remove  => sub { !%{ $member->('http://10.0.0.9:8080') } },
        eject   => sub { $member->()->{state} eq 'ejected' && $member->()->{ejected_for_ms} > 200_000 },
        return  => sub { $member->()->{state} eq 'up' },
        restart => sub { $s->log =~ /ABL0081: .* instance 1 is replaced by hand/ && grep { $_->{instance} == 1 } @{ $app->()->{ended} } },
        roll    => sub { $s->log =~ /ABL0038: .* rolling restart \(by hand\)/ },
        reset   => sub { defined $manager->balancer->{reset_at} },
    );
    for my $line (@lines) {
        my ($name) = $line =~ /"action": "(\w+)"/;
        ($code, $text) = shell($line);
        my $got = eval { JSON::PP::decode_json($text) } || {};
        ok($code == 0 && $got->{done}, $name) or diag("$line\n$text");
        ok((wait_until { $effect{$name}->() } 20), '... which has its effect') or diag(explain($member->()));
    }
    ($code, $text) = shell($lines[-1] =~ s/my_cluster/nobody/r);
    is($code, 0, 'a refusal is an answer');
    like($text, qr/\A\{"done":false,"error":"ABL0413",/, '... with an id');
    ($code) = shell($lines[-1] =~ s/my_cluster/nobody/r =~ s/curl/curl --fail-with-body/r);
    is($code, 22, 'of which a script can know');
    ($code, $text) = shell("sed -i 's/Token: ..../Token: 0000/' steer\n$lines[-1]");
    like($text, qr/"error":"ABL0402"/, 'a token of another session');
    is((stat "$dir/$_")[2] & 077, 0, "$_ is for nobody else") for qw(jar steer);
};

subtest 'figures for Prometheus' => sub {
    my $text = section('Figures for Prometheus');
    my ($conf) = blocks($text, 'yaml');
    my ($path) = $conf =~ m{^    metrics_path: (\S+)$}m;
    my ($key, $value) = $conf =~ m/^    params: \{ (\w+): \[(\w+)\] \}$/m;
    my $r = $s->get("$path?$key=$value", { headers => { Accept => 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' } });
    is($r->{status}, 200, 'there');
    like($r->{headers}{'content-type'}, qr{\Aapplication/openmetrics-text;}, 'in its form');
    like($r->{content}, qr/^# EOF\n\z/m, 'whole');
    like($s->get("$path?$key=$value", { headers => { Accept => 'text/plain' } })->{headers}{'content-type'}, qr{\Atext/plain; version=0\.0\.4}, 'and in the older one');
    my %names = map { $_ => 1 } $text =~ /\b(appbalance_\w+)/g;
    cmp_ok(scalar keys %names, '>', 3, 'names of figures');
    like($r->{content}, qr/^\Q$_\E(?:\{| )/m, $_) for sort keys %names;
    my %ends = map { $_ => 1 } map { split /\\\|/ } $text =~ /end!~"([^"]+)"/g;
    my $words = join ' ', slurp("$root/src/engine/ends.c") =~ /= "([\w-]+)"/g;
    like($words, qr/(?:\A| )\Q$_\E(?:\z| )/, "end $_") for sort keys %ends;
};

subtest 'when the site is slow' => sub {
    my $text = section('When the site is slow');
    is($s->get('/slow?n=1')->{status}, 200, 'a request');
    ok((wait_until { -s $s->dir . '/balancer.log' && slurp($s->dir . '/balancer.log') =~ m{/slow} } 5), 'is logged');
    my ($states, $slowest) = map { split /\n/ } blocks($text, 'sh');
    my ($code, $out) = shell('cd ' . $s->dir . "; $states");
    is($out, "1 --\n", 'how many ended how');
    ($code, $out) = shell('cd ' . $s->dir . "; $slowest");
    like($out, qr{\A\d+ \d+ \d+ \d+ my_cluster/http://127\.0\.0\.1:\d+ /slow\?n=1\n\z}, 'which took longest');

    # The states that it explains are those that there are.
    my %explained = map { $_ => 1 } map {/`([CSsP-][RQCHD-])`/g} map { /^\| (`[^|]*) \|/ ? $1 : () } split /\n/, $text;
    my %written = map { $_ => 1 } slurp("$root/src/httpd/account.c") =~ /"([CSsP-][RQCHD-])"/g;
    delete $written{'P-'};    # what cannot be
    is_deeply([ sort keys %explained ], [ sort keys %written ], 'all states');
};

$s->log_ok(allow => [qw(ABL0401 ABL0430 ABL0084 ABL0074)]);

done_testing;
