# Who may steer, and who may not: access control, tokens, other sites, and requests that pretend.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Abl::Manager;
use File::Temp ();
use JSON::PP ();

my $m = Abl::Member->start(name => 'a');
my $url = $m->url;

sub server {
    my ($conf, %o) = @_;
    return Abl::Server->start(%o, modules => [qw(authz_host authz_user auth_basic authn_core authn_file access_compat setenvif), @{ $o{modules} || [] }],
        files => { 'users' => "admin:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\nother:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n" },    # password: admin
        conf => "$conf\nBalancerPass / app\nBalancerStatic /users\n" . balancer('app', $m));
}

my $basic = "AuthType Basic\nAuthName x\nAuthUserFile \@ROOT\@/users\n";
my $admin = { Authorization => 'Basic YWRtaW46YWRtaW4=' };
my $other = { Authorization => 'Basic b3RoZXI6YWRtaW4=' };

sub drain { my ($manager, %headers) = @_; return $manager->post(JSON::PP::encode_json({ action => 'drain', balancer => 'app', member => $url }), %headers) }

sub untouched { my ($s, $what) = @_; my $m = Abl::Manager->new($s, path => '/m')->member($url); return is("$m->{state} @{$m->{steered}}", 'up ', $what || 'nothing has changed') }

subtest 'off unless configured' => sub {
    my $s = server('');
    is($s->client->ask('GET', "/$_")->field('X-Member'), 'a', "/$_ is the application's") for qw(balancer-manager balancer-status m);
    $s->log_ok;
};

subtest 'access control' => sub {
    my %location = (
        none        => [ '',                                                                    {},     0 ],
        granted     => [ 'Require all granted',                                                 {},     0 ],
        any         => [ "<RequireAny>\nRequire all granted\nRequire ip 127.0.0.1\n</RequireAny>", {},  0 ],
        not         => [ "<RequireAll>\nRequire all granted\nRequire not ip 10.1.2.3\n</RequireAll>", {}, 0 ],
        bogons      => [ "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.0/24 198.51.100.0/24\n</RequireAll>", {}, 0 ],
        method      => [ 'Require method GET POST',                                             {},     0 ],
        local       => [ 'Require local',                                                       {},     1 ],
        ip          => [ 'Require ip 127.0.0.0/8',                                              {},     1 ],
        expr        => [ q{Require expr "%{REMOTE_ADDR} == '127.0.0.1'"},                       {},     1 ],
        header      => [ q{Require expr "%{HTTP:X-Key} == 'abc'"},           { 'X-Key' => 'abc' },     1 ],
        env         => [ "SetEnvIf Remote_Addr ^127 here\nRequire env here",                    {},     1 ],
        user        => [ "${basic}Require valid-user",                                          $admin, 1 ],
        oneuser     => [ "${basic}Require user admin",                                          $admin, 1 ],
        both        => [ "${basic}<RequireAll>\nRequire ip 127.0.0.1\nRequire valid-user\n</RequireAll>", $admin, 1 ],
        either      => [ "${basic}<RequireAny>\nRequire ip 10.1.2.3\nRequire valid-user\n</RequireAny>", $admin, 1 ],
        old         => [ "Order deny,allow\nDeny from all\nAllow from 127.0.0.1",               {},     1 ],
        oldopen     => [ "Order allow,deny\nAllow from all",                                    {},     0 ],
        satisfy     => [ "${basic}Require valid-user\nOrder deny,allow\nDeny from all\nSatisfy any", $admin, 1 ],
    );
    my $s = server(join '', Abl::Manager->conf, map { "<Location /at-$_>\nSetHandler balancer-manager\n$location{$_}[0]\n</Location>\n" } sort keys %location);
    for my $name (sort keys %location) {
        my ($lines, $headers, $allowed) = @{ $location{$name} };
        my $manager = Abl::Manager->new($s, path => "/at-$name", headers => $headers);
        my $steering = $manager->json->{steering};
        is($steering->{allowed} ? 1 : 0, $allowed, "$name: " . ($allowed ? 'actions are allowed' : 'no actions')) or diag(explain($steering));
        my ($status, $got) = drain($manager);
        is($status, $allowed ? 200 : 403, 'and so it is');
        if ($allowed) {
            Abl::Manager->new($s, path => "/at-$name", headers => $headers)->act('enable', member => $url);
        } else {
            is($got->{error}, 'ABL0402', 'with its id');
            like($steering->{why_not}, qr/everybody may read this page: put a Require/, 'and what would be right');
            ok(!defined $steering->{token}, 'there is no token');
            untouched($s);
        }
    }
    is($s->client->ask('GET', '/at-user')->status, 401, 'httpd\'s own control is before all this');
    my $log = slurp($s->dir . '/error.log');
    unlike($log, qr/AH01630|AH01631.*192\.0\.2\.1/, 'finding out leaves nothing in the log');
    unlike($log, qr/192\.0\.2\.1/, 'nor the name of whom it was asked for');
    $s->log_ok(allow => [qw(ABL0430 ABL0401), qr/AH01/]);
};

# Everybody who comes over TLS has that; nobody but its owner has a certificate.
subtest 'access control over TLS' => sub {
    needs(qw(curl openssl));
    my $dir = File::Temp::tempdir('abl-tls-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=front.test -addext subjectAltName=IP:127.0.0.1'
        . " -keyout $dir/key.pem -out $dir/cert.pem 2>$dir/openssl.log") == 0 or die slurp("$dir/openssl.log");
    my %location = (
        ssl      => [ 'Require ssl',                                                                '',       0 ],
        required => [ "SSLRequireSSL\nRequire all granted",                                        '',       0 ],
        expr     => [ q{Require expr "%{HTTPS} == 'on'"},                                           '',       0 ],
        local    => [ "SSLRequireSSL\nRequire local",                                              '',       1 ],
        optional => [ "SSLVerifyClient optional\nRequire local",                                   '',       1 ],
        owner    => [ "SSLVerifyClient require\nSSLVerifyDepth 1\nRequire ssl-verify-client",     "--cert $dir/cert.pem --key $dir/key.pem", 1 ],
    );
    my $s = Abl::Server->start(
        modules => [qw(socache_shmcb ssl)],
        ports   => ['tls'],
        conf    => qq{SSLSessionCache "shmcb:\@DIR\@/tls-sessions"\n} . balancer('app', $m) . <<"END" . join('', map {"<Location /at-$_>\nSetHandler balancer-manager\n$location{$_}[0]\n</Location>\n"} sort keys %location) . "</VirtualHost>\n");
<VirtualHost *:\@PORT:tls\@>
    ServerName front.test
    SSLEngine on
    SSLCertificateFile "$dir/cert.pem"
    SSLCertificateKeyFile "$dir/key.pem"
    SSLCACertificateFile "$dir/cert.pem"
END
    my $port = $s->port('tls');
    for my $name (sort keys %location) {
        my (undef, $options, $allowed) = @{ $location{$name} };
        for my $version ('--tls-max 1.2', '') {
            my $text = qx(curl --silent --noproxy '*' --max-time 20 --cacert $dir/cert.pem $version $options 'https://127.0.0.1:$port/at-$name?as=json');
            my $json = eval { JSON::PP::decode_json($text) };
            is($json && ($json->{steering}{allowed} ? 1 : 0), $allowed, "$name $version") or diag($text);
        }
    }
    $s->log_ok(allow => [qr{ssl:warn.*AH01(?:882|906)}]);
};

subtest 'tokens' => sub {
    my $s = server(Abl::Manager->conf . "<Location /u>\nSetHandler balancer-manager\n${basic}Require valid-user\n</Location>\n");
    my $manager = Abl::Manager->new($s);
    my $json = $manager->json;
    like($json->{steering}{token}, qr/\A[0-9a-f]{64}\z/, 'a token');
    my $cookie = $s->client->ask('GET', '/m')->field('Set-Cookie');
    like($cookie, qr{\Abalancer-session=[0-9a-f]{32}; Path=/m; HttpOnly; SameSite=Strict\z}, 'a cookie that is for this page alone');
    is($manager->json->{steering}{token}, $json->{steering}{token}, 'the same session, the same token');
    my $second = Abl::Manager->new($s);
    isnt($second->json->{steering}{token}, $json->{steering}{token}, 'another session, another one');

    my %wrong = (
        'none'               => [ 'X-Balancer-Token' => undef ],
        'another session\'s' => [ 'X-Balancer-Token' => $second->{token} ],
        'half of it'         => [ 'X-Balancer-Token' => substr $manager->{token}, 0, 32 ],
        'an empty one'       => [ 'X-Balancer-Token' => '' ],
        'no session'         => [ Cookie => undef ],
        'a session of nobody\'s' => [ Cookie => 'balancer-session=' . '0' x 32 ],
        'a session that is none' => [ Cookie => 'balancer-session=abc' ],
    );
    for my $what (sort keys %wrong) {
        my ($status, $got) = drain($manager, @{ $wrong{$what} });
        is("$status $got->{error}", '403 ABL0402', $what);
    }
    untouched($s);

    my $one = Abl::Manager->new($s, path => '/u', headers => $admin);
    $one->json;
    my ($status, $got) = drain($one, %$other);
    is("$status $got->{error}", '403 ABL0402', 'the same cookie and token with another user');
    ($status, $got) = drain($one);
    is($status, 200, 'and with the right one');
    ok($s->await_log(qr/ABL0401: balancer-manager: balancer app: drain \S+, by admin from 127\.0\.0\.1/), 'whom the log names');
    is(Abl::Manager->new($s)->json->{events}[0]{who}, 'admin', 'and the page');
    Abl::Manager->new($s)->act('enable', member => $url);
    $s->log_ok(allow => [qw(ABL0430 ABL0401), qr/AH01/]);
};

subtest 'other sites' => sub {
    my $s = server(Abl::Manager->conf);
    my $manager = Abl::Manager->new($s);
    $manager->json;
    my $here = '127.0.0.1:' . $s->port;
    my @refused = (
        [ Origin => 'http://evil.test' ], [ Origin => 'null' ], [ Origin => "http://$here.evil.test" ], [ Origin => "http://evil.test/$here" ], [ Origin => 'http://127.0.0.1:1' ],
        [ 'Sec-Fetch-Site' => 'cross-site' ], [ 'Sec-Fetch-Site' => 'same-site' ], [ 'Sec-Fetch-Site' => 'none' ],
        [ Origin => "http://$here", 'Sec-Fetch-Site' => 'cross-site' ],
    );
    for my $headers (@refused) {
        my ($status, $got) = drain($manager, @$headers);
        is("$status $got->{error}", '403 ABL0402', "@$headers");
    }
    for my $type (undef, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx') {
        my ($status, $got) = drain($manager, 'Content-Type' => $type // 'x/y');
        is("$status $got->{error}", '415 ABL0403', 'what a form sends: ' . ($type // 'something else'));
    }
    my $body = JSON::PP::encode_json({ action => 'drain', balancer => 'app', member => $url });
    my $from = sub { my ($host) = @_; return $s->client->ask('POST', '/m', [ Host => $host, Origin => "http://$host", 'Sec-Fetch-Site' => 'same-origin', Cookie => $manager->{cookie}, 'X-Balancer-Token' => $manager->{token}, 'Content-Type' => 'application/json', 'Content-Length' => length $body ], $body)->status };
    is($from->('evil.test:' . $s->port), 403, 'a name of somebody else\'s that leads here');
    untouched($s);
    is($from->('LocalHost:' . $s->port), 200, 'the server\'s own name');
    $manager->act('enable', member => $url);
    my ($status) = drain($manager, Origin => "http://$here", 'Sec-Fetch-Site' => 'same-origin', 'Content-Type' => 'application/json; charset=utf-8');
    is($status, 200, 'the page itself');
    $manager->act('enable', member => $url);
    my $answer = $s->client->ask('OPTIONS', '/m', [ Origin => 'http://evil.test', 'Access-Control-Request-Method' => 'POST' ]);
    is($answer->field('Access-Control-Allow-Origin'), undef, 'no other site is let in');
    is($s->client->ask('GET', '/m', [ Origin => 'http://evil.test' ])->field('Access-Control-Allow-Origin'), undef, 'nor may it read');
    $s->log_ok(allow => [qw(ABL0430 ABL0401)]);
};

subtest 'only POST acts' => sub {
    my $s = server(Abl::Manager->conf . "<Location /-/status>\nSetHandler balancer-status\nRequire local\n</Location>\n");
    my $manager = Abl::Manager->new($s);
    $manager->json;
    my @session = (Cookie => $manager->{cookie}, 'X-Balancer-Token' => $manager->{token}, 'Content-Type' => 'application/json');
    my $body = JSON::PP::encode_json({ action => 'drain', balancer => 'app', member => $url });
    my $query = "action=drain&balancer=app&member=$url";
    is($s->client->ask('GET', "/m?$query", [@session])->status, 200, 'a GET that tries to act sees');
    is($s->client->ask('GET', "/m?as=json&$query", [ @session, 'Content-Length' => length $body ], $body)->status, 200, 'with a body, too');
    is($s->client->ask($_, '/m', [ @session, 'Content-Length' => length $body ], $body)->status, 405, $_) for qw(PUT DELETE PATCH);
    my $r = $s->client->ask('PUT', '/m', [ @session, 'Content-Length' => 0 ]);
    like($r->field('Allow'), qr/POST/, 'which says what is allowed');
    is($s->client->ask('POST', '/-/status', [ @session, 'Content-Length' => length $body ], $body)->status, 405, 'and nothing at balancer-status');
    untouched($s);
    is($s->client->ask('POST', '/m', [ @session, 'Transfer-Encoding' => 'chunked' ], sprintf "%x\r\n%s\r\n0\r\n\r\n", length $body, $body)->status, 200, 'a body in chunks is one');
    $manager->act('enable', member => $url);
    $s->log_ok(allow => [qw(ABL0430 ABL0401)]);
};

subtest 'hostile texts' => sub {
    my $s = server(Abl::Manager->conf);
    my $manager = Abl::Manager->new($s);
    my $nasty = q{"><script>alert(1)</script><img src=x onerror=alert(1)> \\ ' & } . "\x{202e}";
    my ($status) = $manager->act('drain', member => $url, reason => $nasty);
    is($status, 200, 'a reason may be anything');
    my $raw = $s->get('/m?as=json', { headers => { Cookie => $manager->{cookie} } })->{content};
    unlike($raw, qr/[<>]/, 'the JSON has neither < nor >');
    is(JSON::PP::decode_json($raw)->{events}[0]{reason}, $nasty, 'and says what was said');
    unlike($s->get('/m', { headers => { Accept => 'text/html' } })->{content}, qr/alert\(1\)/, 'the page itself has nothing of it');
    my $log = slurp($s->dir . '/error.log');
    is(scalar(() = $log =~ /ABL0401: balancer-manager: balancer app: drain/g), 1, 'one line in the log');
    $manager->act('enable', member => $url);
    $s->log_ok(allow => [qw(ABL0401)]);
};

done_testing;
