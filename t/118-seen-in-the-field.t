# Seeing and steering as it is met in the field: a Prometheus that scrapes, upgraded connections, HTTP/2 and TLS, a full disk, and
# hands that do not keep still while there is a load.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Abl::H2;
use Abl::Load;
use Abl::Manager;
use Abl::Proc;
use Abl::Sick;
use Abl::Util qw(free_port patience tool);
use File::Temp ();
use HTTP::Tiny ();
use JSON::PP ();
use Time::HiRes qw(sleep time);

# The namespace that has a small disk: this file again, in there.
my $inside = $ENV{ABL_INSIDE};

my $format = 'LogFormat "%r|%>s|%B|%{BALANCER_BYTES_IN}e|%{BALANCER_BYTES_OUT}e|%{BALANCER_END}e" fields' . "\nCustomLog \@DIR\@/fields.log fields\n";

sub line { my ($s, $target) = @_; my $line; wait_until { ($line) = grep { / \Q$target\E / } split /\n/, slurp($s->dir . '/fields.log'); $line } 10; return $line // '' }

sub parked { my ($s) = @_; my $n = 0; $n += $_->{parked} for @{ $s->status_json->{seats} }; return $n }

sub certificate {
    my $dir = File::Temp::tempdir('abl-tls-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=front.test -addext subjectAltName=IP:127.0.0.1'
        . " -keyout $dir/key.pem -out $dir/cert.pem 2>$dir/openssl.log") == 0 or die slurp("$dir/openssl.log");
    return $dir;
}

# ---- a full disk

sub full_disk {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPersist $inside/keep.json\nBalancerPass / app\n" . balancer('app', $m));
    my $manager = Abl::Manager->new($s);
    ok((wait_until { -s "$inside/keep.json" } 5), 'there is a file');
    my $before = slurp("$inside/keep.json");
    open my $all, '>', "$inside/all" or die "$inside/all: $!\n";
    1 while syswrite $all, 'x' x 4096;
    close $all;
    is(($manager->act('drain', member => $m->url, reason => 'x' x 200))[0], 200, 'drained');
    ok($s->await_log(qr/No space left on device.*ABL0082: BalancerPersist \S+ cannot be written/), 'the log tells');
    is(slurp("$inside/keep.json"), $before, 'what was kept is still whole');
    is_deeply([ glob "$inside/*" ], [ "$inside/all", "$inside/keep.json" ], 'and nothing half lies beside it');
    is($manager->member($m)->{state}, 'draining', 'it is drained all the same');
    unlink "$inside/all" or die "unlink: $!\n";
    ok((wait_until { slurp("$inside/keep.json") =~ /"drain": true/ } 15), 'when there is room it is written');
    ok($s->await_log(qr/ABL0083/), 'and told');
    $s->log_ok(allow => [qw(ABL0082 ABL0083)]);
    done_testing;
    exit 0;
}

full_disk() if $inside;

subtest 'a full disk' => sub {
    my @unshare = (tool('unshare') || 'unshare', $> == 0 ? '-m' : '-rm');
    if (system(@unshare, 'true') != 0) {
        plan(skip_all => 'this kernel lets only root have a disk of his own') if $> != 0;
        die "no mount namespace\n";
    }
    my $dir = File::Temp::tempdir('abl-disk-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    local $ENV{ABL_INSIDE} = $dir;
    my $text = qx(@unshare sh -c 'mount -t tmpfs -o size=64k,mode=0777 small $dir && exec $^X -It/lib $0' 2>&1);
    is($?, 0, 'in a namespace of its own') || diag($text);
    like($text, qr/^ok \d+ - when there is room it is written/m, 'the file is not harmed, and written later');
};

# ---- Prometheus

subtest 'Prometheus' => sub {
    needs(qw(prometheus));
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(status => 1, conf => "BalancerPass / app\n" . balancer('app', @m));
    $s->client->ask('GET', '/') for 1 .. 7;
    $s->client->ask('GET', '/status/503');
    my $dir = File::Temp::tempdir('abl-prometheus-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    spew("$dir/prometheus.yml", "global: { scrape_interval: 500ms }\nscrape_configs:\n  - job_name: apache\n    metrics_path: /-/status\n    params: { as: [metrics] }\n"
        . "    static_configs: [{ targets: ['127.0.0.1:@{[$s->port]}'] }]\n");
    my $port = free_port();
    my $proc = Abl::Proc->start(cmd => [ tool('prometheus'), "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/data", "--web.listen-address=127.0.0.1:$port", '--log.level=warn' ], out => "$dir/out");
    my $http = HTTP::Tiny->new(timeout => 5);
    my $query = sub {
        my ($what) = @_;
        my $r = $http->get("http://127.0.0.1:$port/api/v1/query?" . $http->www_form_urlencode({ query => $what }));
        return $r->{success} ? { map { ($_->{metric}{le} // $_->{metric}{member} // $_->{metric}{status} // '') => $_->{value}[1] } @{ JSON::PP::decode_json($r->{content})->{data}{result} } } : {};
    };
    my $got;
    ok((wait_until { $got = $query->('sum(appbalance_requests_total{balancer="app"})'); ($got->{''} // 0) == 8 } 30), 'it has seen every request') or diag(slurp("$dir/out"), explain($got));
    my $b = $s->status_balancer;
    is($query->('sum by (status) (appbalance_requests_total)')->{$_}, $b->{answers}{$_}, "$_ as here") for qw(2xx 5xx);
    is_deeply($query->('appbalance_member_requests_total'), { map { $_->{address} => $_->{requests} } @{ $b->{members} } }, 'of each member');
    is($query->('up')->{''}, 1, 'it has nothing to complain of');
    is($query->('histogram_quantile(0.5, appbalance_request_duration_seconds_bucket) > 0') ? 1 : 0, 1, 'its function for percentiles takes the times');
    my ($p50) = values %{ $query->('histogram_quantile(0.5, sum by (le) (appbalance_request_duration_seconds_bucket))') };
    ok(defined $p50 && $p50 > 0 && $p50 < 1 * patience(), 'and finds one') or diag($p50);
    $proc->stop('TERM');
    $s->log_ok;
};

# ---- other connections than ordinary ones

subtest 'upgraded connections' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(status => 1, conf => "${format}BalancerPass / app\n" . balancer('app', $m));
    $s->client->ask('GET', '/ordinary');
    my $c = $s->client;
    $c->request('GET', '/upgrade?hello=12345', [ Connection => 'Upgrade', Upgrade => 'websocket' ]);
    is($c->start_response->status, 101, 'upgraded');
    is($s->status_balancer->{members}[0]{busy}, 1, 'it is there');
    $c->send('x' x 100_000);
    while (length $c->pending < 100_005) { $c->fill or last }
    sleep 1.2;
    $c->close;
    is(line($s, '/upgrade?hello=12345'), 'GET /upgrade?hello=12345 HTTP/1.1|101|100005|100000|100005|ok', 'its bytes are told, both ways');
    my $b = $s->status_balancer;
    is($b->{answers}{'1xx'}, 1, 'and its status');
    cmp_ok($b->{bytes_in}, '==', 100_000, 'bytes in');
    cmp_ok($b->{bytes_out}, '>=', 100_005, 'bytes out');
    is($b->{members}[0]{busy}, 0, 'it is gone');
    my ($sum, $count) = $s->get('/-/status?as=metrics')->{content} =~ /^appbalance_request_duration_seconds_sum\{balancer="app"\} ([\d.]+)\n.*_count\{balancer="app"\} (\d+)$/m;
    is($count, 1, 'how long it lasted is nobody\'s latency');
    cmp_ok($sum, '<', 1.2, 'not in the sum either');
    $s->log_ok;
};

subtest 'clients that reset upgraded connections' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(status => 1, conf => "${format}BalancerPass / app\n" . balancer('app', $m));
    my @upgrade = (Connection => 'Upgrade', Upgrade => 'websocket');
    my $c = $s->client;
    $c->request('GET', '/upgrade?hello=12345', \@upgrade);
    $c->start_response;
    while (length $c->pending < 5) { $c->fill or last }
    $c->abort;
    is(line($s, '/upgrade?hello=12345'), 'GET /upgrade?hello=12345 HTTP/1.1|101|5|0|5|client-gone', 'that are silent');
    $c = $s->client(rcvbuf => 4096);
    $c->request('GET', '/upgrade?fill=30000000', \@upgrade);
    is($c->start_response->status, 101, 'upgraded');
    wait_until { parked($s) } 1;    # where that is: as much as anybody takes
    $c->abort;
    like(line($s, '/upgrade?fill=30000000'), qr/\|101\|\d+\|0\|\d+\|client-gone\z/, 'that say much');
    my $b = $s->status_balancer;
    is_deeply([ @{ $b->{ends} }{qw(client-gone client-body)}, $b->{answers}{none}, $b->{members}[0]{failures} ], [ 2, 0, 2, 0 ], 'are counted as such') or diag(explain($b->{ends}, $b->{answers}));
    like($s->get('/-/status?as=metrics')->{content}, qr/^appbalance_request_duration_seconds_count\{balancer="app"\} 0$/m, 'how long they lasted is nobody\'s latency');
    $s->log_ok;
};

subtest 'a client that leaves in the middle of its body' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(status => 1, conf => "${format}BalancerPass / app\n" . balancer('app', $m));
    my $c = $s->client;
    $c->send("POST /echo/leaves HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" . 'x' x 100_000);
    ok((wait_until { $s->status_balancer->{members}[0]{busy} } 5), 'a member has it');
    $c->close;
    like(line($s, '/echo/leaves'), qr/\|499\|/, 'logged');
    is_deeply({ map { $_->[0] => $_->[1] } grep { $_->[1] } map { [ $_, $s->status_balancer->{answers}{$_} ] } qw(1xx 2xx 3xx 4xx 5xx none) }, { none => 1 }, 'has got no answer');
    $s->log_ok;
};

# mod_http2 ends such a body as it ends any other: without our waiting, the member had one of four for whole.
subtest 'uploads that are reset over HTTP/2' => sub {
    plan(skip_all => 'prefork and mod_http2 do not go together') if Abl::Server->default_mpm eq 'prefork';
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(status => 1, modules => ['http2'], threads => 8, conf => "${format}Protocols h2c http/1.1\nBalancerPass / app\n" . balancer('app', $m));
    for my $n (1 .. 60) {
        my $h  = Abl::H2->connect(port => $s->port);
        my $id = $h->begin('POST', '/echo/reset', []);
        $h->data($id, 'x' x 10_000) for 1 .. 2;
        $h->sync;
        $h->reset($id);
        $h->sync;
    }
    my $h  = Abl::H2->connect(port => $s->port);
    my $id = $h->begin('POST', '/echo/whole', []);
    $h->data($id, 'x' x 10_000);
    $h->data($id, 'y', end => 1);
    ok($h->await(sub { $h->ended($id) }), 'one that is not');
    is($h->status($id), 200, 'is answered');
    is($s->unrest(10), '', 'all are over');
    my ($whole) = grep { $_->target eq '/echo/whole' } $m->requests;
    is($whole && $whole->{complete}, 1, 'the member has all of it');
    my @taken = grep { $_->target eq '/echo/reset' && $_->{complete} } $m->requests;
    cmp_ok(scalar @taken, '<=', 3, 'and takes no part for the whole');
    $s->log_ok;
};

subtest 'HTTP/2 and TLS' => sub {
    needs(qw(curl openssl));
    plan(skip_all => 'prefork and mod_http2 do not go together') if Abl::Server->default_mpm eq 'prefork';
    my @m   = map { Abl::Member->start(name => $_) } qw(a b);
    my $dir = certificate();
    my $s   = Abl::Server->start(
        status => 1, modules => [qw(socache_shmcb ssl http2)], ports => ['tls'], threads => 8,
        conf   => qq{$format${\Abl::Manager->conf}SSLSessionCache "shmcb:\@DIR\@/tls-sessions"\nTimeout 3\nSendBufferSize 4096\nBalancerPass / app\n} . balancer('app', @m, map {"BalancerMember http://127.0.0.9:$_ status=disabled"} 1001 .. 1300) . <<"END",
<VirtualHost *:\@PORT:tls\@>
    ServerName 127.0.0.1
    SSLEngine on
    SSLCertificateFile "$dir/cert.pem"
    SSLCertificateKeyFile "$dir/key.pem"
    Protocols h2 http/1.1
</VirtualHost>
END
    );
    my @curl = (tool('curl') || 'curl', qw(--silent --no-progress-meter --noproxy * --max-time 20 --cacert), "$dir/cert.pem");
    my $url  = 'https://127.0.0.1:' . $s->port('tls');
    my $ask  = sub { open my $out, '-|', @curl, @_ or die "curl: $!\n"; local $/; my $text = <$out>; close $out; return $text // '' };
    like($ask->('--http2', '--parallel', '-o', '/dev/null', '-w', '%{http_version}-%{http_code}\n', map { ('-o', '/dev/null', "$url/length/1000?n=$_") } 1 .. 300), qr/\A(?:2-200\n){300}/, 'three hundred in HTTP/2');
    my $b;
    ok((wait_until { $b = $s->status_balancer; $b->{requests} == 300 } 5), 'are counted') or diag($b->{requests});
    is($b->{answers}{'2xx'}, 300, 'by their status') or diag(explain($b->{answers}, $b->{ends}), slurp($s->dir . '/fields.log'));
    cmp_ok($b->{bytes_out}, '>=', 300_000, 'and bytes');
    is(line($s, '/length/1000?n=300'), 'GET /length/1000?n=300 HTTP/2.0|200|1000|0|1000|ok', 'and logged');

    # In HTTP/2 a stream would hold a worker: the page asks again and again instead.
    is($ask->('--http2', '-o', '/dev/null', '-w', '%{http_code}', "$url/m?as=stream"), 503, 'no stream in HTTP/2');
    is(JSON::PP::decode_json($ask->('--http2', "$url/m?as=json"))->{steering}{allowed} ? 1 : 0, 1, 'where actions are allowed as well');
    plan_streams($s, $url, $ask, @curl) if Abl::Server->default_mpm eq 'event';
    $s->log_ok(allow => [qr{ssl:warn.*AH0(?:1882|1906|1909)}]);
};

# Streams over TLS: events come, and readers that take next to nothing have no worker.
sub plan_streams {
    my ($s, $url, $ask, @curl) = @_;
    my $text = $ask->(qw(--http1.1 --max-time 3), "$url/m?as=stream");
    my @events = map { JSON::PP::decode_json($_) } $text =~ /^data: (\{.*\})$/mg;
    cmp_ok(scalar @events, '>=', 2, 'events over TLS');
    is($events[0]{whole} && !$events[1]{whole}, 1, 'all first, then what has changed');
    my @slow = map { Abl::Proc->start(cmd => [ @curl, qw(--http1.1 --limit-rate 1 -o /dev/null), "$url/m?as=stream" ]) } 1 .. 16;
    ok((wait_until { parked($s) == 16 } 10), 'more slow readers than workers') or diag(parked($s));
    is($s->get('/x')->{status}, 200, 'have none of them');
    $_->stop('KILL') for @slow;
    ok((wait_until { parked($s) == 0 } 20), 'and are gone when they leave') or diag(parked($s));
    return;
}

# ---- hands that do not keep still

subtest 'steering under load' => sub {
    my @m = map { Abl::Sick->start(ms => 5) } 1 .. 3;
    my $s = Abl::Server->start(
        status => 1, children => 2, threads => 24,
        conf   => Abl::Manager->conf . "BalancerPass / app\n" . balancer('app', @m, 'BalancerMethod leastbusy', 'BalancerQueue length=100 timeout=20s'),
    );
    my $manager = Abl::Manager->new($s);
    my $load    = Abl::Load->start(port => $s->port, clients => 24, path => '/');
    my @acts    = (
        map({ [ 'concurrency', value => $_ ] } 1, 4, 2, 0), map({ [ 'weight', value => $_ ] } 0.01, 100, 1), [ 'eject', value => 1 ], ['return'],
        ['drain'], ['enable'], ['disable'], ['restore'],
    );
    my $until = time + 8;
    my ($n, @bad) = (0);
    while (time < $until) {
        # the last one is always left alone by what would leave nobody
        my $act = $acts[ $n % @acts ];
        my $at  = $m[ $n % ($act->[0] =~ /\A(?:drain|disable|eject)\z/ ? 2 : 3) ];
        my ($status) = $manager->act(@$act, member => $at->url);
        push @bad, "$act->[0]: $status" if $status != 200;
        $manager->act('reset') if $n % 50 == 49;
        $n++;
    }
    is_deeply(\@bad, [], "$n actions");
    is(($manager->act('restore', member => $_->url))[0], 200, 'as configured') for @m;
    is(($manager->act('return', member => $_->url))[0], 200, 'all of it') for @m;
    is(($manager->act('concurrency', member => $_->url, value => 2))[0], 200, 'two at once from now on') for @m;
    my $members = sub { return @{ $manager->balancer->{members} } };
    ok((wait_until { !grep { $_->{busy} > 2 } $members->() } 10), 'what was over that ends');
    my $over = 0;
    for (1 .. 40) { $over += grep { $_->{busy} > 2 } $members->() }
    is($over, 0, 'and it holds');
    my $seen = $load->finish;
    is_deeply([ $seen->{broken}, grep { $_ != 200 } keys %{ $seen->{answers} } ], [0], "$seen->{asked} requests, none failed") or diag(explain($seen));
    is($s->unrest(10), '', 'nothing is left in the ledger');
    is($s->status_json->{check}, 'ok', 'which is sound');
    $s->log_ok(allow => [qr/AH00(?:484|161)/]);    # MaxRequestWorkers is reached, as each MPM says it
};

done_testing;
