# Members over TLS: who they have to be, what is said when they are not, sessions, bodies, ends; and the PROXY protocol.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;
use Abl::App;
use Abl::Util qw(free_port);
use Digest::SHA qw(sha1_hex);
use File::Temp ();
use JSON::PP qw(decode_json);

needs(qw(curl openssl python3));

# ---- certificates

my $dir = File::Temp::tempdir('abl-tls-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;

sub openssl {
    my ($command) = @_;
    system("cd $dir && openssl $command >>openssl.log 2>&1") == 0 or die "openssl $command:\n" . slurp("$dir/openssl.log");
    return;
}

sub make_ca { my ($name) = @_; openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=$name -keyout $name.key -out $name.pem"); return }

sub make_cert {
    my ($name, $alternatives, $days, $ca) = @_;
    $ca ||= 'ca';
    spew("$dir/$name.ext", "subjectAltName=$alternatives\n");
    openssl("req -newkey rsa:2048 -nodes -batch -subj /CN=$name -keyout $name.key -out $name.csr");
    openssl("x509 -req -in $name.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -days $days -extfile $name.ext -out $name.pem");
    return;
}

make_ca($_) for 'ca', 'client-ca';
make_cert('good',    'DNS:member.test,IP:127.0.0.1', 2);
make_cert('names',   'DNS:other.test,DNS:*.wild.test', 2);
make_cert('expired', 'DNS:member.test,IP:127.0.0.1', -1);
make_cert('client',  'DNS:client.test', 2, 'client-ca');
openssl('req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=self -addext subjectAltName=IP:127.0.0.1 -keyout self.key -out self.pem');
openssl('rsa -aes128 -passout pass:secret -in client.key -out locked.key');
spew("$dir/both.pem", slurp("$dir/client.pem") . slurp("$dir/client.key"));
spew("$dir/nothing.pem", "no certificate\n");
chmod 0600, map {"$dir/$_"} qw(client.key both.pem);

# ---- members

sub member { my ($name, %o) = @_; return Abl::App->tls(cert => "$dir/$name.pem", key => "$dir/$name.key", %o) }

my $good    = member('good', gates => $dir);
my $limited = member('good', gates => $dir);
my $old     = member('good', version => '1.2');
my $names   = member('names');
my $expired = member('expired');
my $self    = member('self');
my $strict  = member('good', 'client-ca' => "$dir/client-ca.pem");
my $strict2 = member('good', 'client-ca' => "$dir/client-ca.pem", version => '1.2');
my $plain   = Abl::App->tls(rude => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
my $rude    = Abl::App->tls(rude => '');
my $proxied = Abl::App->tls(proxy => 1);
my $both    = member('good', proxy => 1, unix => "$dir/socket");
my $raw     = Abl::Member->start(name => 'plain');
my $silent  = Abl::Member->blackhole;

my $ca = "tls-ca=$dir/ca.pem";

sub at { my ($member) = @_; return $member->url =~ s{\Ahttp:}{https:}r }

my %conf;

# A balancer of that name, which gets everything below its prefix.
sub route { my ($name, @lines) = @_; $conf{$name} = join "\n", @lines; return }

sub line { my ($member, @keys) = @_; return join ' ', 'BalancerMember', at($member), @keys }

route(ok        => line($good, $ca));
route(sni       => line($good, $ca, 'tls-name=member.test'));
route(dot       => line($good, $ca, 'tls-name=member.test.'));
route(off       => line($self, 'tls-verify=off'));
route(old       => line($old, $ca, 'keepalive=off'));
route(fresh     => line($good, $ca, 'keepalive=off'));
route(name      => line($names, $ca, 'tls-name=member.test'));
route(wild      => line($names, $ca, 'tls-name=a.wild.test'));
route(address   => line($names, $ca));
route(unknown   => line($good, "tls-ca=$dir/client-ca.pem"));
route(system    => line($good));
route(expired   => line($expired, $ca));
route(self      => line($self, $ca));
route(pinned    => line($self, "tls-ca=$dir/self.pem"));
route(version   => line($old, $ca, 'tls-protocols=TLSv1.3'));
route(client    => line($strict, $ca, "tls-cert=$dir/client.pem", "tls-key=$dir/client.key"));
route(client2   => line($strict2, $ca, "tls-cert=$dir/both.pem"));
route(noclient  => line($strict, $ca));
route(noclient2 => line($strict2, $ca));
route(notls     => line($plain, $ca));
route(closes    => line($rude, $ca));
route(waits     => line($raw, $ca), 'BalancerTimeout connect=500ms');
route(silent    => line($silent, $ca), 'BalancerTimeout connect=500ms');
route(second    => line($expired, $ca), line($good, $ca, 'status=backup'));
route(quick     => line($good, $ca), 'BalancerTimeout response=300ms');
route(limited   => line($limited, $ca, 'concurrency=1'));
route(one       => 'BalancerMember ' . $proxied->url . ' proxy-protocol=v1');
route(two       => 'BalancerMember ' . $proxied->url . ' proxy-protocol=v2');
route(three     => line($both, $ca, 'proxy-protocol=v2'));
route(unix      => "BalancerMember unix:$dir/socket|https://member.test $ca proxy-protocol=v1");

my $s = Abl::Server->start(
    modules => [qw(remoteip socache_shmcb ssl)],
    ports   => ['tls'],
    status  => 1,
    files   => { map { ("certs/$_" => slurp("$dir/$_")) } 'ca.pem' },
    conf    => join('', map {"<Balancer $_>\n$conf{$_}\n</Balancer>\nBalancerPass /$_ $_\n"} sort keys %conf)
        . "<Balancer relative>\n" . line($good, 'tls-ca=htdocs/certs/ca.pem') . "\n</Balancer>\nBalancerPass /relative relative\n"
        . "RemoteIPHeader X-Client\nRemoteIPInternalProxy 127.0.0.1\n"
        . "SSLSessionCache \"shmcb:\@DIR\@/tls-sessions\"\n"
        . "<VirtualHost *:\@PORT:tls\@>\nSSLEngine on\nSSLCertificateFile $dir/good.pem\nSSLCertificateKeyFile $dir/good.key\n</VirtualHost>\n",
);

sub facts {
    my ($path, @options) = @_;
    my $r = $s->get("$path/facts", @options);
    is($r->{status}, 200, "$path: answered") or diag($r->{content}, $s->log =~ s/\A.*\n(?=(?:.*\n){3}\z)//sr);
    return $r->{status} == 200 ? decode_json($r->{content}) : {};
}

sub refused {
    my ($path, $pattern, $name) = @_;
    my $before = length $s->log;
    my $r      = $s->get("$path/length/5");
    is($r->{status}, 503, "$name: 503");
    ok($s->await_log(qr/ABL0002: balancer \w+: .*$pattern/), '... and the log says why') or diag(substr $s->log, $before);
    my @lines = grep {/\[appbalance:(?:warn|error)\]/} split /\n/, substr $s->log, $before;
    is(scalar @lines, 1, '... in one line') or diag(join "\n", @lines);
    return;
}

# ---- who is believed

subtest 'verified' => sub {
    my $facts = facts('/ok');
    is($facts->{version}, 'TLSv1.3', 'TLS 1.3');
    is($facts->{sni},  undef, 'no SNI for an address');
    is($facts->{alpn}, undef, 'the member does not choose');
    is(facts('/sni')->{sni}, 'member.test', 'the name is sent');
    is(facts('/dot')->{sni}, 'member.test', 'without the dot that ends it');
    is(facts('/wild')->{sni}, 'a.wild.test', 'a certificate with a wildcard');
    is(facts('/old')->{version}, 'TLSv1.2', 'TLS 1.2');
    facts('/relative');
    facts('/off');
    facts('/pinned');
};

subtest 'refused' => sub {
    refused('/name', qr/TLS: its certificate is for other\.test, \*\.wild\.test and not for member\.test/, 'another name');
    refused('/address', qr/TLS: its certificate is for other\.test, \*\.wild\.test and not for 127\.0\.0\.1/, 'a name and no address');
    refused('/unknown', qr/TLS: its certificate is signed by an unknown CA/, 'another CA');
    refused('/system', qr/TLS: its certificate is signed by an unknown CA/, 'no CA of the system\'s');
    refused('/expired', qr/TLS: its certificate, or one that signs it, has expired/, 'expired');
    refused('/self', qr/TLS: its certificate is self-signed/, 'self-signed');
    refused('/version', qr/TLS: (?:it refuses us: .*protocol version|its version of TLS is older)/, 'too old a version');
    refused('/notls', qr{TLS: what it says is no TLS .*http://}, 'no TLS');
    refused('/closes', qr/TLS: the connection was closed during the handshake/, 'closed');
    refused('/waits', qr/TLS: the handshake was not done in time/, 'a server that waits for the end of a line');
    refused('/silent', qr/TLS: the handshake was not done in time/, 'silence');
    is($raw->requests + 0, 0, 'no request was sent to the one without TLS');
};

subtest 'another member takes over' => sub {
    facts('/second');
    ok($s->await_log(qr/\[appbalance:warn\].*ABL0060: balancer second: \S+: TLS: .*has expired; trying another member/), 'and the log tells of the first');
};

subtest 'a client certificate' => sub {
    is(facts('/client')->{client},  'client', 'is shown');
    is(facts('/client2')->{client}, 'client', 'with its key in the same file, TLS 1.2');
    my $r = $s->get('/noclient/length/5');
    is($r->{status}, 502, 'TLS 1.3 tells after the handshake that it is missed');
    ok($s->await_log(qr/ABL0003: balancer noclient: .*TLS: it refuses us: .*certificate required/), '... and the log says so');
    refused('/noclient2', qr/TLS: it refuses us: /, 'TLS 1.2 tells within');
};

# ---- sessions and kept connections

subtest 'sessions are resumed' => sub {
    for my $path ('/fresh', '/old') {
        my @seen = map { facts($path) } 1 .. 12;
        my $reused = grep { $_->{reused} } @seen;
        cmp_ok($reused, '>=', $s->mpm eq 'prefork' ? 1 : 10, "$path: by those who come after the first");
        is(scalar(keys %{ { map { $_->{connection} => 1 } @seen } }), 12, "$path: on connections of their own");
    }
};

subtest 'connections are kept' => sub {
    my $c     = $s->client;
    my @seen  = map { decode_json($c->ask('GET', '/ok/facts')->body)->{connection} } 1 .. 6;
    my %count = map { $_ => 1 } @seen;
    is(scalar keys %count, 1, 'one connection for all, tickets notwithstanding') or diag("@seen");
    my $d = $s->client;
    @seen = map { my $r = $d->ask('GET', '/sni/once'); $r->status == 200 ? decode_json($r->body)->{connection} : $r->status } 1 .. 4;
    is(scalar(grep {/\A5/} @seen), 0, 'one that is closed under a request is replaced') or diag("@seen");
    is(scalar keys %{ { map { $_ => 1 } @seen } }, 4, '... by another');
};

# ---- bytes

subtest 'bodies' => sub {
    my $body = pattern(5_000_000);
    for my $path ('/ok', '/old', '/client') {
        my $r = $s->request('POST', "$path/sha1", { content => $body });
        is($r->{content}, '5000000 ' . sha1_hex($body), "$path: 5 MB up");
        my $sent = 0;
        $r = $s->request('POST', "$path/sha1", { content => sub { my $part = substr $body, $sent, 70_001; $sent += length $part; return $part } });
        is($r->{content}, '5000000 ' . sha1_hex($body), "$path: in chunks");
        is(length $s->get("$path/length/7000000")->{content}, 7_000_000, "$path: 7 MB down");
        $r = $s->request('POST', "$path/echo", { content => $body });
        is(sha1_hex($r->{content}), sha1_hex($body), "$path: 5 MB there and back");
        $r = $s->get("$path/pieces/10");
        is($r->{content}, 'piece' x 10, "$path: in pieces");
        for my $size (1, 16383, 16384, 16385, 32767, 32768, 32769, 65536) {
            my $piece = substr $body, 0, $size;
            is($s->request('POST', "$path/echo", { content => $piece })->{content} eq $piece, 1, "$path: $size bytes");
        }
    }
};

subtest 'a slow member and a slow client' => sub {
    is($s->get('/ok/slow/0.3')->{content}, 'slow', 'a member that takes its time');
    is($s->get('/quick/slow/1')->{status}, 504, 'too much of it');
    my $c = $s->client(rcvbuf => 16384);
    $c->request('GET', '/ok/length/3000000');
    is($c->start_response->status, 200, 'a client with a small window');
    ok($s->get('/ok/length/5')->{success}, 'somebody else meanwhile');
    1 while length $c->pending < 1 && $c->fill;
    my $rest = $s->client->ask('GET', '/ok/length/3000000');
    is(length $rest->body, 3_000_000, 'another client gets it all');
    $c->abort;
};

subtest 'an upgrade' => sub {
    my $c = $s->client;
    $c->request('GET', '/ok/upgrade', [ Connection => 'Upgrade', Upgrade => 'echo' ]);
    is($c->start_response->status, 101, 'is passed on');
    $c->send("one\n");
    1 while length $c->pending < 4 && $c->fill;
    is($c->pending, "one\n", 'bytes go both ways');
    my $bytes = pattern(3 << 20);
    my ($sent, $got) = (0, '');
    $c->{in} = '';
    while (length $got < length $bytes) {
        $sent += syswrite($c->socket, $bytes, 65536, $sent) || 0 if $sent < length $bytes;
        $c->fill($sent < length $bytes ? 0 : undef) or $sent < length $bytes or last;
        $got .= substr $c->{in}, 0, length $c->{in}, '';
    }
    is(sha1_hex($got), sha1_hex($bytes), '3 MB of them');
    $c->half_close;
    ok($c->await_end, 'and the end');
};

# mod_ssl uses the same OpenSSL, on the same threads.
subtest 'beside mod_ssl' => sub {
    my $url = 'https://127.0.0.1:' . $s->port('tls');
    my @curl = ('curl', '--silent', '--noproxy', '*', '--cacert', "$dir/ca.pem", '--max-time', 20);
    my $text = qx(@curl $url/ok/length/200000 $url/old/length/200000 $url/expired/length/1 $url/ok/length/100000 -w '%{http_code} ');
    like($text, qr/200 .*200 .*503 .*200 \z/s, 'good and bad members, on one connection of a client');
};

subtest 'many at once' => sub {
    my @clients = map { $s->client } 1 .. 8;
    $clients[$_]->request('GET', ('/fresh/length/', '/ok/length/')[ $_ % 2 ] . (200_000 + $_)) for 0 .. $#clients;
    my @lengths = map { length $clients[$_]->response->body } 0 .. $#clients;
    is_deeply(\@lengths, [ map { 200_000 + $_ } 0 .. $#clients ], 'all are answered');
};

# ---- ends

subtest 'ends' => sub {
    is(length $s->get('/ok/goodbye/300000')->{content}, 300_000, 'an answer that ends with its connection');
    my $c = $s->client;
    $c->request('GET', '/ok/cut/300000');
    my $r = $c->response;
    ok(!$r->complete, 'without TLS\'s goodbye it is broken');
    ok($s->await_log(qr/ABL0006: balancer ok: .*TLS: the connection ended without TLS's goodbye/), '... and the log says so');
    is($s->request('POST', '/ok/nothing', { content => 'x' })->{status}, 502, 'no answer at all');
    ok($s->await_log(qr/ABL0003: balancer ok: \S+: closed the connection without an answer/), '... and the log says so');
    is(length $s->get('/ok/length-cut/300000')->{content}, 300_000, 'where the length is known nothing is missing');
};

# ---- restarts, clients that leave

subtest 'a client that leaves' => sub {
    my $c = $s->client;
    $c->request('GET', '/limited/gate/left');
    ok((wait_until { -e "$dir/left.here" } 5), 'the member works');
    $c->abort;
    my $next = $s->client;
    $next->request('GET', '/limited/length/5');
    ok((wait_until { $s->status_balancer('limited')->{queue}{length} == 1 } 5), 'the next one waits');
    ok((stays { $s->status_balancer('limited')->{members}[0]{busy} == 1 } 0.3), 'the member is still taken');
    spew("$dir/left", '');
    is(length $next->response->body, 5, 'until it has answered');
    is($s->unrest(3), '', 'nothing is left');
};

subtest 'a graceful restart' => sub {
    my $c = $s->client;
    $c->request('GET', '/ok/gate/restart');
    ok((wait_until { -e "$dir/restart.here" } 5), 'the member works');
    $s->signal('USR1');
    ok((wait_until { (() = $s->log =~ /resuming normal operations/g) == 2 } 15), 'restarted');
    facts('/ok');
    spew("$dir/restart", '');
    is($c->response->body, 'through', 'the old generation finishes its request');
    facts('/client');
};

# ---- the PROXY protocol

sub hex_of { my ($client, $port, $local) = @_; return join '', map { sprintf '%02x', $_ } split(/\./, $client), split(/\./, '127.0.0.1'), $port >> 8, $port & 255, $local >> 8, $local & 255 }

subtest 'the PROXY protocol' => sub {
    my $main = $s->port;
    my $c    = $s->client;
    my $port = $c->socket->sockport;
    my @seen = map { decode_json($c->ask('GET', '/one/facts')->body) } 1 .. 2;
    is($_->{proxy}, "PROXY TCP4 127.0.0.1 127.0.0.1 $port $main\r\n", 'version 1') for @seen;
    isnt($seen[0]{connection}, $seen[1]{connection}, 'a connection for each request');
    for my $path ('/two', '/three') {
        my $facts = decode_json($c->ask('GET', "$path/facts")->body);
        is($facts->{proxy}, '0d0a0d0a000d0a515549540a' . '2111000c' . hex_of('127.0.0.1', $port, $main), "$path: version 2");
    }
    my $facts = decode_json($c->ask('GET', '/unix/facts')->body);
    is("$facts->{sni} $facts->{proxy}", "member.test PROXY TCP4 127.0.0.1 127.0.0.1 $port $main\r\n", 'before TLS on a Unix socket');
    my $r = $c->ask('GET', '/one/facts', [ 'X-Client' => '192.0.2.7' ]);
    like(decode_json($r->body)->{proxy}, qr/\APROXY TCP4 192\.0\.2\.7 127\.0\.0\.1 \d+ $main\r\n\z/, 'mod_remoteip says who the client is');
    $r = $c->ask('GET', '/one/facts', [ 'X-Client' => '2001:db8::7' ]);
    like(decode_json($r->body)->{proxy}, qr/\APROXY TCP6 2001:db8::7 ::ffff:127\.0\.0\.1 \d+ $main\r\n\z/, 'of another family');
};

# AH01882: the distribution's OpenSSL is not the one mod_ssl was compiled against
$s->log_ok(allow => [ trouble, 'AH01882', 'AH01909' ]);

# ---- mistakes

sub wrong {
    my ($line, @patterns) = @_;
    my ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerMember $line\n</Balancer>\n");
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    isnt($code, 0, "refused: $line") or return;
    like($text, qr/Syntax error on line \d+ of/, '... with its place');
    like($text, $_, "... $_") for @patterns;
    return;
}

subtest 'mistakes' => sub {
    my $url = 'https://127.0.0.1:1';
    wrong("http://127.0.0.1:1 $_", qr/ABL0270/, qr{write https://}) for 'tls-verify=off', 'tls-name=a', $ca, 'tls-cert=x', 'tls-protocols=TLSv1.3';
    wrong("$url tls-verify=maybe", qr/tls-verify=maybe: expected on or off/);
    wrong("$url tls-name=$_", qr/tls-name=\Q$_\E: expected the name in the member's certificate/) for 'a/b', '[::1]', '*.a';
    wrong("$url tls-protocols=SSLv3", qr/TLSv1\.2 or TLSv1\.3/);
    wrong("$url proxy-protocol=3", qr/expected v1 .*, v2 .* or off/);
    wrong("$url tls-ca=", qr/expected the name of a file/);
    wrong("$url tls-ca=$dir/nowhere.pem", qr/ABL0274: tls-ca=\S+nowhere\.pem cannot be used: No such file/, qr/certificates in PEM/);
    wrong("$url tls-ca=$dir/nothing.pem", qr/ABL0274: tls-ca=\S+nothing\.pem cannot be used: /, qr/certificates in PEM/);
    wrong("$url tls-cert=$dir/nowhere.pem", qr/ABL0274: tls-cert=\S+ cannot be used: No such file/);
    wrong("$url tls-cert=$dir/nothing.pem", qr/ABL0274: tls-cert=\S+ cannot be used: /, qr/our own first/);
    wrong("$url tls-cert=$dir/client.pem", qr/ABL0274: tls-cert=\S+ cannot be used: /, qr/where no tls-key= is written/);
    wrong("$url tls-cert=$dir/client.pem tls-key=$dir/nowhere.key", qr/ABL0274: tls-key=\S+ cannot be used: No such file/);
    wrong("$url tls-cert=$dir/client.pem tls-key=$dir/client.pem", qr/ABL0274: tls-key=\S+ cannot be used: /, qr/a private key in PEM/);
    wrong("$url tls-cert=$dir/client.pem tls-key=$dir/locked.key", qr/ABL0274: tls-key=\S+ cannot be used: /, qr/without a pass phrase/);
    wrong("$url tls-cert=$dir/client.pem tls-key=$dir/good.key", qr/ABL0274: the key in \S+good\.key does not belong to the certificate/);
    wrong("$url tls-key=$dir/client.key", qr/ABL0272: .*tls-cert=/);
    wrong("$url tls-verify=off $ca", qr/ABL0273: .*leave out one/);
    wrong("$url proxy-protocol=v1 keepalive=on", qr/ABL0275: .*leave out keepalive=on/);
    wrong("http://127.0.0.1:1 proxy-protocol=v2 idle-max=3", qr/ABL0276: /);
    wrong("$url tls-ca=$dir/ca.pem tls-ca=$dir/ca.pem", qr/ABL0124/);
    my ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerMember https://a.test $ca\nBalancerMember https://127.0.0.1 proxy-protocol=off keepalive=on\nBalancerMember unix:/x|https://a\n</Balancer>\n");
    is($code, 0, 'without a port') or diag($text);
};

done_testing;
