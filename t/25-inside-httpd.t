# The module as one handler among httpd's many parts: access control, filters, error documents,
# subrequests, mod_proxy beside it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Compress::Zlib ();
use Digest::SHA qw(sha1_hex);
use Abl::Manager;

my $m = Abl::Member->start(name => 'a');

sub server { my ($conf, %o) = @_; return Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n$conf", %o) }

subtest 'access control comes first' => sub {
    my $s = server(<<'END', modules => [qw(authn_core authn_file authz_user auth_basic)], files => { '../users' => "u:{SHA}EeZVfjHM4tLgMfMGg1cVoB8AxLM=\n" });
<Location /closed>
    Require all denied
</Location>
<Location /private>
    AuthType Basic
    AuthName private
    AuthUserFile "@DIR@/users"
    Require valid-user
</Location>
END
    $m->forget;
    is($s->get('/closed/x')->{status}, 403, 'denied');
    is($s->get('/private/x')->{status}, 401, 'not without a password');
    is($s->request('POST', '/closed/x', { content => 'x' x 100_000 })->{status}, 403, 'a POST neither');
    is(scalar $m->requests, 0, 'the member is not asked');
    is($s->get('/open')->{status}, 200, 'the rest is open');
    $s->log_ok(allow => [qr/AH01630|AH01617|AH01618|client denied/]);
};

subtest 'filters' => sub {
    my $s = server(<<'END', modules => [qw(filter deflate headers substitute)]);
<Location /gzip>
    SetOutputFilter DEFLATE
</Location>
<Location /gunzip>
    SetInputFilter DEFLATE
</Location>
<Location /words>
    SetOutputFilter SUBSTITUTE
    Substitute "s/0000/word/"
</Location>
Header set X-Added yes
Header edit Set-Cookie "^(.*)$" "$1; Secure"
RequestHeader set X-Asked yes
END
    for my $path ('length', 'chunked') {
        my $r = $s->client->ask('GET', "/gzip/$path/200000", [ 'Accept-Encoding' => 'gzip' ]);
        is($r->field('Content-Encoding'), 'gzip', "$path: compressed");
        is(sha1_hex(Compress::Zlib::memGunzip($r->body)), sha1_hex(pattern(200_000)), "$path: the right bytes");
        ok($r->complete, "$path: with the right length");
    }
    my $r = $s->client->ask('GET', '/gzip/short?length=1000', [ 'Accept-Encoding' => 'gzip' ]);
    ok(!$r->complete, 'a cut answer stays cut through a filter');
    $r = $s->client->ask('HEAD', '/gzip/length/1000', [ 'Accept-Encoding' => 'gzip' ]);
    is($r->status, 200, 'HEAD through a filter');
    my $body = pattern(100_000);
    $r = $s->client->ask('POST', '/gunzip/echo', [ 'Content-Encoding' => 'gzip' ], Compress::Zlib::memGzip($body));
    is($m->last_request->{sha1}, sha1_hex($body), 'a request body is unpacked before the member sees it');
    is($m->last_request->field('Content-Encoding'), undef, 'and no longer called gzip');
    like($s->get('/words/length/64')->{content}, qr/^word/, 'words are replaced');
    $r = $s->client->ask('GET', '/cookie');
    is($r->field('X-Added'), 'yes', 'Header set');
    is_deeply([ $r->field('Set-Cookie') ], [ 'a=1; Path=/; Secure', 'b=2; HttpOnly; Secure' ], 'Header edit');
    is($m->last_request->field('X-Asked'), 'yes', 'RequestHeader set');
    $s->log_ok(allow => [trouble]);
};

subtest 'error documents' => sub {
    my $s = server(<<'END', files => { 'static/sorry.html' => "sorry\n" });
BalancerStatic /static
ErrorDocument 404 /echo/not-found
ErrorDocument 502 /static/sorry.html
END
    $m->forget;
    my $r = $s->client->ask('POST', '/static/none', [ 'X-Kept' => 1 ], 'some body');
    is($r->status, 404, 'httpd\'s 404');
    is($m->last_request && $m->last_request->line, 'GET /echo/not-found HTTP/1.1', 'its page comes from the application');
    is($m->last_request->field('Content-Length'), undef, 'asked for without the body of the first request');
    is($s->client->ask('GET', '/close-before')->body, "sorry\n", 'and the page for a failing application from the disk');
    is($s->client->ask('GET', '/status/404')->body, "status 404 from a\n", 'the application\'s own 404 is its own');
    my $c = $s->client;
    $c->ask('GET', '/static/none');
    is($c->ask('GET', '/echo')->status, 200, 'the connection goes on');
    $s->log_ok(allow => [trouble]);
};

subtest 'subrequests' => sub {
    my $s = server(<<'END', modules => ['include'], files => { 'static/page.shtml' => qq(<p><!--#include virtual="/length/64" --> and <!--#include virtual="/chunked/64" --></p>\n) });
BalancerStatic /static
<Location /static>
    Options +Includes
    AddOutputFilter INCLUDES .shtml
    AddType text/html .shtml
</Location>
END
    $m->forget;
    my $piece = pattern(64);
    is($s->request('POST', '/static/page.shtml', { content => 'x' })->{content} || '', "<p>$piece and $piece</p>\n", 'a page made of two answers');
    is_deeply([ map { $_->line . ' ' . $_->{length} } $m->requests ],
        [ 'GET /length/64 HTTP/1.1 0', 'GET /chunked/64 HTTP/1.1 0' ], 'each asked for by GET, without a body');
    $s->log_ok;
};

subtest 'an included answer has no head of its own' => sub {
    my $s = server(<<'END', modules => ['include'], files => { 'static/page.shtml' => qq(<p><!--#include virtual="/103" --></p>\n) });
BalancerStatic /static
<Location /static>
    Options +Includes
    AddOutputFilter INCLUDES .shtml
</Location>
END
    my $c = $s->client;
    $c->send("GET /static/page.shtml HTTP/1.1\r\nHost: h\r\n\r\n");
    my $r = $c->response;
    is($r->status, 200, 'the page');
    is(scalar(my @early = $r->interims), 0, 'an early hint of a part is not sent as one of the whole');
    $s->log_ok;
};

subtest 'what httpd guesses from the URL' => sub {
    my $s = Abl::Server->start(conf => balancer('app', $m) . <<'END', files => { 'x' => '' });
AddEncoding x-gzip .gz
AddLanguage de .de
AddType text/html .html
<Location />
    SetHandler balancer:app
</Location>
END
    my $r = $s->client->ask('GET', '/page.html.de.gz');
    is($r->field('X-Member'), 'a', 'does not change who answers');
    is($r->field('Content-Encoding'), undef, 'nor say how it is packed');
    is($r->field('Content-Language'), undef, 'nor its language');
    unlike($r->field('Content-Type') || '', qr/html/, 'nor its type');
    $s->log_ok;
};

subtest 'beside mod_proxy' => sub {
    my $other = Abl::Member->start(name => 'other');
    my $s = server(<<"END", modules => [qw(proxy proxy_http proxy_balancer slotmem_shm lbmethod_byrequests)]);
<Proxy balancer://theirs>
    BalancerMember @{[ $other->url ]} loadfactor=2 route=x
</Proxy>
ProxyPass /theirs balancer://theirs/
END
    is($s->get('/theirs/echo')->{headers}{'x-member'}, 'other', 'theirs');
    is($s->get('/echo')->{headers}{'x-member'}, 'a', 'ours');
    $s->log_ok;
};

# mod_proxy_balancer answers to the name balancer-manager, too, and before others.
subtest 'whose page balancer-manager is' => sub {
    my @proxy   = qw(proxy proxy_http proxy_balancer slotmem_shm lbmethod_byrequests);
    my $libexec = qx(@{[$ENV{APXS} || 'apxs']} -q LIBEXECDIR);
    chomp $libexec;
    my $later  = join '', map {"LoadModule ${_}_module $libexec/mod_$_.so\n"} @proxy;
    my $other  = Abl::Member->start(name => 'other');
    my $pages  = "<Location /m>\nSetHandler balancer-manager\nRequire local\n</Location>\n<Location /s>\nSetHandler balancer-status\n</Location>\n<Location /o>\nSetHandler appbalance-manager\nRequire local\n</Location>\n";
    my $theirs = "<Proxy balancer://theirs>\n    BalancerMember @{[ $other->url ]}\n</Proxy>\nProxyPass /theirs balancer://theirs\n";
    my $wild   = "LogFormat balancer://x nothing\nProxyPass /wild http://127.0.0.1:1\n";
    my $is_ours = sub { my ($s, $path) = @_; return $s->get("$path?as=json")->{headers}{'content-type'} eq 'application/json' ? 'ours' : 'theirs' };
    for my $order ([ 'loaded before ours', $later, '' ], [ 'loaded after ours', '', $later ]) {
        my ($name, $before, $after) = @$order;
        my $s = server("$after$wild$pages", first => $before);
        is($is_ours->($s, '/m'), 'ours', "$name, without a balancer: ours");
        is((Abl::Manager->new($s)->act('reset'))[0], 200, '... with actions');
        $s->log_ok(allow => ['ABL0401']);
        for my $line ($theirs, "<VirtualHost *:99>\n$theirs</VirtualHost>\n", "ProxyPass /t BALANCER://theirs\nBalancerMember balancer://theirs @{[ $other->url ]}\n") {
            $s = server("$after$line$pages", first => $before);
            is($is_ours->($s, '/m'), 'theirs', "$name, with balancers: theirs") or diag($line);
            is($is_ours->($s, '/s'), 'ours', '... balancer-status is ours');
            is((Abl::Manager->new($s, path => '/o')->act('reset'))[0], 200, '... and so is the other name of the manager');
            $s->log_ok(allow => [qw(AH10187 ABL0401)]);    # what it says of a query that is not its own
        }
    }
};

subtest 'the access log' => sub {
    my $s = server(qq(LogFormat "%s %B %m %U%q <%{X-Member}o>" mine\nCustomLog "\@DIR\@/mine.log" mine\n));
    $s->get('/length/1234?q=1');
    $s->request('POST', '/status/404', { content => 'x' });
    ok((wait_until { slurp($s->dir . '/mine.log') =~ /404/ }), 'lines');
    is(slurp($s->dir . '/mine.log'), "200 1234 GET /length/1234?q=1 <a>\n404 18 POST /status/404 <a>\n", 'what they say');
    $s->log_ok;
};

done_testing;
