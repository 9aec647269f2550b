# TLS and HTTP/2 at the front, the module behind: mod_ssl and mod_http2 with curl and nghttp.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Digest::SHA qw(sha1_hex);
use File::Temp ();

needs(qw(curl openssl));
plan(skip_all => 'prefork and mod_http2 do not go together') if Abl::Server->default_mpm eq 'prefork';

my $m   = Abl::Member->start(name => 'a');
my $dir = File::Temp::tempdir('abl-tls-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -batch -subj /CN=front.test'
    . ' -addext subjectAltName=DNS:front.test -addext basicConstraints=critical,CA:FALSE'
    . " -keyout $dir/key.pem -out $dir/cert.pem 2>$dir/openssl.log") == 0
    or die "openssl made no certificate:\n" . slurp("$dir/openssl.log");

my $s = Abl::Server->start(
    modules => [qw(socache_shmcb ssl http2)],
    ports   => ['tls'],
    files   => { 'static/a.txt' => "static\n", 'body.bin' => pattern(2_000_000) },
    conf    => balancer('app', $m) . balancer('sticky', $m, 'BalancerAffinity cookie=SID') . <<"END",
BalancerPass / app
BalancerPass /sticky sticky
BalancerStatic /static
SSLSessionCache "shmcb:\@DIR\@/tls-sessions"
Protocols h2 h2c http/1.1
<VirtualHost *:\@PORT:tls\@>
    ServerName front.test
    SSLEngine on
    SSLCertificateFile "$dir/cert.pem"
    SSLCertificateKeyFile "$dir/key.pem"
    Protocols h2 http/1.1
</VirtualHost>
END
);

my $port = $s->port('tls');
my @curl = ('curl', '--silent', '--no-progress-meter', '--noproxy', '*', '--cacert', "$dir/cert.pem", '--max-time', 20,
    '--resolve', "front.test:$port:127.0.0.1");

# (exit code, everything curl wrote to its standard output)
sub curl {
    my (@arguments) = @_;
    open my $out, '-|', @curl, @arguments or die "curl: $!\n";
    binmode $out;
    my $text = do { local $/; <$out> };
    close $out;
    return ($? >> 8, defined $text ? $text : '');
}

sub url { return "https://front.test:$port$_[0]" }

for my $version ('--http1.1', '--http2') {
    subtest "TLS, curl $version" => sub {
        my ($code, $text) = curl($version, '-i', url('/echo?q=1'));
        is($code, 0, 'asked');
        like($text, $version eq '--http2' ? qr{\AHTTP/2 200} : qr{\AHTTP/1\.1 200}, 'in this version');
        my $seen = $m->last_request;
        is($seen->line, 'GET /echo?q=1 HTTP/1.1', 'the member is asked in HTTP/1.1');
        is($seen->field('X-Forwarded-Proto'), 'https', 'and told it was https');
        (undef, my $sticky) = curl($version, '-i', url('/sticky'));
        like($sticky, qr/^set-cookie: SID=[0-9a-f]{16}; Path=\/; HttpOnly; SameSite=Lax; Secure\r$/mi, 'the affinity cookie is for TLS only');
        is($seen->field('X-Forwarded-Port'), $port, 'on this port');
        is($seen->field('Host'), "front.test:$port", 'at this host');
        ($code, $text) = curl($version, url('/static/a.txt'));
        is($text, "static\n", 'a static file');
        ($code, $text) = curl($version, '--data-binary', '@' . $s->dir . '/htdocs/body.bin', url('/echo'));
        is($code, 0, '2 MB up');
        is($m->last_request->{sha1}, sha1_hex(pattern(2_000_000)), 'arrive');
        ($code, $text) = curl($version, url('/length/2000000'));
        is(sha1_hex($text), sha1_hex(pattern(2_000_000)), '2 MB down');
        ($code, $text) = curl($version, url('/chunked/2000000'));
        is(sha1_hex($text), sha1_hex(pattern(2_000_000)), '2 MB down in chunks');
        ($code, $text) = curl($version, '-I', url('/length/1000'));
        like($text, qr/content-length: 1000/i, 'HEAD');
        ($code, $text) = curl($version, '-i', url('/status/404'));
        like($text, qr/\b404\b.*status 404 from a/s, 'status 404');
        ($code, $text) = curl($version, '-i', url('/cookie'));
        is(scalar(() = $text =~ /^set-cookie:/gim), 2, 'two cookies');
        ($code, $text) = curl($version, url('/sse?n=3&ms=20'));
        is($text, "data: 1\n\ndata: 2\n\ndata: 3\n\n", 'events');
        ($code, $text) = curl($version, url('/short'));
        isnt($code, 0, 'an answer cut short is an error for the client too');
        ($code, $text) = curl($version, url('/short-chunked'));
        isnt($code, 0, 'in chunks as well');
        ($code, $text) = curl($version, '-o', '/dev/null', '-w', '%{http_code}', url('/reset-before'));
        is($text, 502, 'a member that resets');
        ($code, $text) = curl($version, '-i', url('/redirect?to=' . $m->url . '/x'));
        like($text, qr{^location: (?:https://front\.test:$port)?/x\r$}im, 'Location is the client\'s');
    };
}

# the connection is adopted, and what waits on it is parked
subtest 'many requests on one TLS connection' => sub {
    my @path = map { ('/length/5', '/length/7?delay=60', '/static/a.txt', '/length/2000000', '/chunked/300000?delay=30', '/sse?n=3&ms=20') } 1 .. 3;
    my ($code, $text) = curl('--http1.1', map { ('-o', '/dev/null', '-w', "%{http_code} %{size_download} %{num_connects}\n", url($_)) } @path);
    is($code, 0, 'asked');
    my $events = length "data: 1\n\ndata: 2\n\ndata: 3\n\n";
    my @lines  = map { ("200 5 0\n", "200 7 0\n", "200 7 0\n", "200 2000000 0\n", "200 300000 0\n", "200 $events 0\n") } 1 .. 3;
    is($text =~ s/\A(200 5) 1\n/$1 0\n/r, join('', @lines), 'all are answered, and but for the first none connects');
    ($code, $text) = curl('--http1.1', '--limit-rate', '2M', url('/length/3000000'));
    is(sha1_hex($text), sha1_hex(pattern(3_000_000)), 'a client that takes its time');
    ($code, $text) = curl('--http1.1', '--limit-rate', '500K', '--data-binary', '@' . $s->dir . '/htdocs/body.bin', '--max-time', 30, url('/echo'));
    is($m->last_request->{sha1}, sha1_hex(pattern(2_000_000)), 'and one that sends slowly');
};

# Several requests in one piece: after the first is answered nothing tells of the others but the filters.
subtest 'pipelined on one TLS connection' => sub {
    my $file = $s->file('pipelined', join '', map {"GET $_ HTTP/1.1\r\nHost: front.test:$port\r\n\r\n"} '/length/5?delay=60', '/length/6', '/static/a.txt', '/length/7');
    open my $out, '-|', "(cat $file; sleep 2) | openssl s_client -quiet -connect 127.0.0.1:$port 2>/dev/null" or die "openssl: $!\n";
    my $text = '';
    1 while $text !~ /0000000\z/ && sysread $out, $text, 65536, length $text;
    is(scalar(() = $text =~ m{HTTP/1\.1 200 }g), 4, 'all are answered');
    close $out;
};

# A client of HTTP/1.1 that changes to HTTP/2 on a connection that is adopted by then.
subtest 'an upgrade to HTTP/2 on a kept connection' => sub {
    my $c = $s->client;
    is($c->ask('GET', '/length/5')->status, 200, 'HTTP/1.1 first') for 1 .. 2;
    $c->request('GET', '/length/9', [ Connection => 'Upgrade, HTTP2-Settings', Upgrade => 'h2c', 'HTTP2-Settings' => 'AAMAAABkAAQAAP__' ]);
    like($c->start_response->status, qr/\A(?:101|200)\z/, 'then the upgrade is accepted or refused');
    my $others = join ' ', map { $s->client->ask('GET', "/length/$_")->status } 1 .. 5;
    is($others, '200 200 200 200 200', 'nobody else is kept by it');
    $c->abort;
};

subtest 'many streams on one connection' => sub {
    my ($code, $text) = curl('--http2', '--parallel', '--parallel-max', 20,
        map { ('-o', '/dev/null', '-w', "%{http_code} %{http_version}\n", url("/delay/$_")) } 1 .. 20);
    is($code, 0, 'asked');
    is(scalar(() = $text =~ /^200 2$/gm), 20, 'twenty answers over HTTP/2');
};

subtest 'HTTP/2 without TLS' => sub {
    my ($code, $text) = curl('--http2-prior-knowledge', '-i', $s->url('/echo'));
    like($text, qr{\AHTTP/2 200}, 'prior knowledge');
    is($m->last_request->field('X-Forwarded-Proto'), 'http', 'the member is told http');
    ($code, $text) = curl('--http2', '-i', $s->url('/echo'));
    like($text, qr{HTTP/(?:2|1\.1) 200}, 'offered by Upgrade');
    is($m->last_request->field('Upgrade'), undef, 'the member sees nothing of that');
    is($m->last_request->field('HTTP2-Settings'), undef, 'nor of its settings');
};

subtest 'a stream that is reset' => sub {
    my $pid = open my $out, '-|', @curl, '--http2', '-N', url('/sse?n=500&ms=20') or die "curl: $!\n";
    sysread $out, my $first, 100;
    like($first, qr/data: 1/, 'events arrive one by one');
    my $conn = $m->last_request->{conn};
    kill 'KILL', $pid;
    close $out;
    ok($m->await_end_of($conn), 'the client is gone: so is the member\'s connection');
};

# AH01882: the distribution's OpenSSL is not the one mod_ssl was compiled against
$s->log_ok(allow => [ trouble, 'AH01882' ]);
done_testing;
