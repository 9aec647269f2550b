# Header fields in both directions: what ends here, what is added, what is rewritten, whom we believe.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $m = Abl::Member->start(name => 'a');

sub server { my ($conf, %o) = @_; return Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n$conf", %o) }

# Asks /echo with these fields; what the member saw.
sub seen {
    my ($s, @fields) = @_;
    my $r = $s->client(name => 'front.test:' . $s->port)->ask('GET', '/echo', \@fields);
    diag('status ' . $r->status) unless $r->status == 200;
    return $m->last_request;
}

my $s = server('');

subtest 'end to end: everything else goes through' => sub {
    my $seen = seen($s, 'X-One' => 'a', Accept => 'text/html;q=0.8', Cookie => 'a=1; b=2', 'User-Agent' => 't/1',
        Authorization => 'Basic eDp5', 'Accept-Encoding' => 'gzip', 'X-Empty' => '', 'X-Utf8' => "\xc3\xa4");
    is($seen->field('X-One'), 'a', 'a field');
    is($seen->field('Accept'), 'text/html;q=0.8', 'Accept');
    is($seen->field('Cookie'), 'a=1; b=2', 'Cookie');
    is($seen->field('User-Agent'), 't/1', 'User-Agent');
    is($seen->field('Authorization'), 'Basic eDp5', 'Authorization');
    is($seen->field('Accept-Encoding'), 'gzip', 'Accept-Encoding');
    is($seen->field('X-Empty'), '', 'an empty value');
    is($seen->field('X-Utf8'), "\xc3\xa4", 'bytes over 127');
};

subtest 'hop by hop, towards the member' => sub {
    my $seen = seen($s,
        Connection            => 'keep-alive, X-Hop, X-Hop2',
        'X-Hop'               => '1', 'X-Hop2' => '2', 'Keep-Alive' => 'timeout=5', 'Proxy-Connection' => 'close',
        'Proxy-Authorization' => 'Basic eDp5', TE => 'trailers, deflate', Upgrade => 'h2c', Proxy => 'http://evil/');
    for my $name (qw(X-Hop X-Hop2 Keep-Alive Proxy-Connection Proxy-Authorization Upgrade Proxy)) {
        is($seen->field($name), undef, "$name ends here");
    }
    unlike($seen->field('TE') || '', qr/deflate/, 'TE: no coding we cannot undo');
    unlike($seen->field('Connection') || '', qr/X-Hop/i, 'Connection is our own');
    $seen = seen($s, Connection => 'Upgrade, HTTP2-Settings', Upgrade => 'h2c', 'HTTP2-Settings' => 'AAMAAABk');
    is($seen->field('Upgrade'), undef, 'no upgrade to h2c behind our back');
    is($seen->field('HTTP2-Settings'), undef, 'nor its settings');
};

subtest 'Connection may not name what the application relies on' => sub {
    my $seen = seen($s, Connection => 'X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Host, Forwarded');
    is($seen->field('X-Forwarded-For'), '127.0.0.1', 'X-Forwarded-For');
    is($seen->field('X-Forwarded-Proto'), 'http', 'X-Forwarded-Proto');
    my $front = 'front.test:' . $s->port;
    is($seen->field('X-Forwarded-Host'), $front, 'X-Forwarded-Host');
    is($seen->field('Host'), $front, 'Host');
    my $c = $s->client;
    $c->ask('POST', '/echo', [ Connection => 'Content-Length, Content-Type', 'Content-Type' => 'text/x' ], 'body');
    is($m->last_request->{body}, 'body', 'Content-Length');
    is($m->last_request->field('Content-Type'), 'text/x', 'Content-Type');
};

subtest 'X-Forwarded: strangers are not believed' => sub {
    my $seen = seen($s, 'X-Forwarded-For' => '6.6.6.6', 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Host' => 'evil',
        'X-Forwarded-Port' => 1, 'X-Real-IP' => '6.6.6.6', Forwarded => 'for=6.6.6.6',
        'X-Forwarded-Prefix' => '/evil', 'X-Forwarded-User' => 'root');
    is_deeply([ $seen->field('X-Forwarded-For') ], ['127.0.0.1'], '-For');
    is_deeply([ $seen->field('X-Forwarded-Proto') ], ['http'], '-Proto');
    is_deeply([ $seen->field('X-Forwarded-Host') ], [ 'front.test:' . $s->port ], '-Host');
    is_deeply([ $seen->field('X-Forwarded-Port') ], [ $s->port ], '-Port');
    unlike($seen->{head}, qr/6\.6\.6\.6|evil/, 'nothing of what they said');
    $s->client(name => 'front.test')->ask('GET', '/echo');
    is($m->last_request->field('X-Forwarded-Port'), 80, '-Port: what a Host without a port means');
};

subtest 'underscores make no second door' => sub {
    my $seen = seen($s, X_Forwarded_For => '6.6.6.6', 'X-Forwarded_For' => '6.6.6.6', X_FORWARDED_PROTO => 'https',
        X_Real_IP => '6.6.6.6', 'X_Fine' => 'yes');
    unlike($seen->{head}, qr/6\.6\.6\.6|https/, 'an application that makes HTTP_X_FORWARDED_FOR of it is not fooled');
};

subtest 'Host' => sub {
    is(seen($s)->field('Host'), 'front.test:' . $s->port, 'preserved');
    my $t = server('BalancerPreserveHost off');
    is(seen($t)->field('Host'), $m->authority, 'or the member\'s own');
    is($m->last_request->field('X-Forwarded-Host'), 'front.test:' . $t->port, 'the client\'s is known all the same');
    $t->log_ok;
};

subtest 'BalancerTrusted' => sub {
    my $t = server('BalancerTrusted 10.0.0.1 127.0.0.0/8');
    my $seen = seen($t, 'X-Forwarded-For' => '1.2.3.4', 'X-Forwarded-Proto' => 'https',
        'X-Forwarded-Host' => 'www.test', 'X-Forwarded-Port' => '443');
    is($seen->field('X-Forwarded-For'), '1.2.3.4, 127.0.0.1', '-For is appended to');
    is_deeply([ $seen->field('X-Forwarded-Proto') ], ['https'], '-Proto is kept');
    is_deeply([ $seen->field('X-Forwarded-Host') ], ['www.test'], '-Host is kept');
    is_deeply([ $seen->field('X-Forwarded-Port') ], ['443'], '-Port is kept');
    $seen = seen($t);
    is($seen->field('X-Forwarded-For'), '127.0.0.1', 'without any: the client');
    is($seen->field('X-Forwarded-Proto'), 'http', 'and how it came');
    $t->log_ok;
    $t = server("BalancerTrusted 10.0.0.0/8 ::1");
    is(seen($t, 'X-Forwarded-For' => '1.2.3.4')->field('X-Forwarded-For'), '127.0.0.1', 'only those named');
    $t->log_ok;
};

subtest 'BalancerForwarded' => sub {
    my $t = server('BalancerForwarded off');
    my $seen = seen($t);
    unlike($seen->{head}, qr/^(?:X-)?Forwarded/mi, 'off: none');
    $t->log_ok;
    $t = server('BalancerForwarded rfc7239');
    $seen = seen($t);
    my $f = $seen->field('Forwarded') || '';
    like($f, qr/\bfor="?127\.0\.0\.1"?/i, 'rfc7239: for');
    like($f, qr/\bproto="?http"?/i, 'rfc7239: proto');
    like($f, qr/\bhost="front\.test:\d+"/i, 'rfc7239: host');
    unlike($seen->{head}, qr/^X-Forwarded-For/mi, 'rfc7239: only that one');
    $t->log_ok;
    $t = server('BalancerForwarded both');
    $seen = seen($t);
    is($seen->field('X-Forwarded-For'), '127.0.0.1', 'both: X-Forwarded-For');
    like($seen->field('Forwarded') || '', qr/for=/i, 'both: Forwarded');
    $t->log_ok;
};

subtest 'what mod_remoteip has checked' => sub {
    my $t = server("RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1", modules => ['remoteip']);
    my $seen = seen($t, 'X-Forwarded-For' => '1.2.3.4');
    is(($seen->field('X-Forwarded-For') || '') =~ /([^, ]+)\z/ ? $1 : '', '1.2.3.4', 'the client is the one it found');
    $t->log_ok;
};

subtest 'hop by hop, towards the client' => sub {
    my $raw = join "\r\n", 'HTTP/1.1 200 OK', 'Content-Length: 2', 'Connection: X-Hop', 'X-Hop: 1',
        'Keep-Alive: timeout=1', 'Proxy-Authenticate: Basic', 'Upgrade: h2c', 'Proxy-Connection: x', 'X-End: 2', '', 'ok';
    my $r = $s->client->ask('GET', '/raw?b64=' . b64url($raw));
    is($r->body, 'ok', 'the answer');
    is($r->field('X-End'), '2', 'other fields arrive');
    for my $name (qw(X-Hop Proxy-Authenticate Upgrade Proxy-Connection)) {
        is($r->field($name), undef, "$name ends here");
    }
    isnt($r->field('Keep-Alive'), 'timeout=1', 'Keep-Alive is httpd\'s own');
};

subtest 'answers keep their fields' => sub {
    my $r = $s->client->ask('GET', '/cookie');
    is_deeply([ $r->field('Set-Cookie') ], [ 'a=1; Path=/', 'b=2; HttpOnly' ], 'two cookies stay two, in order');
    $r = $s->client->ask('GET', '/fields?Cache-Control=no-store&ETag="x"&Vary=Cookie&X-Powered-By=perl'
        . '&Content-Type=text/x%3Bcharset%3Dutf-8&Last-Modified=Tue,%2001%20Jan%202019%2000:00:00%20GMT');
    is($r->field('Cache-Control'), 'no-store', 'Cache-Control');
    is($r->field('ETag'), '"x"', 'ETag');
    is($r->field('Vary'), 'Cookie', 'Vary');
    is($r->field('Content-Type'), 'text/x;charset=utf-8', 'Content-Type');
    is($r->field('Last-Modified'), 'Tue, 01 Jan 2019 00:00:00 GMT', 'Last-Modified');
    is(scalar(() = $r->field('Date')), 1, 'one Date');
};

subtest 'the member\'s own address does not reach the client' => sub {
    my $front = 'front.test:' . $s->port;
    my $own   = $m->url;
    my $ask   = sub {
        my ($field, $value) = @_;
        my $text = $value;
        $text =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ge;
        return scalar $s->client(name => $front)->ask('GET', "/fields?status=302&$field=$text")->field($field);
    };
    my $here = qr{(?:http://\Q$front\E)?};
    for my $field (qw(Location Content-Location)) {
        like($ask->($field, "$own/x/y?z"), qr{\A$here/x/y\?z\z}, "$field");
        is($ask->($field, '/x'), '/x', "$field without origin");
        is($ask->($field, 'x/y'), 'x/y', "$field, relative");
        is($ask->($field, 'http://other.test/x'), 'http://other.test/x', "$field elsewhere");
        my $lookalike = $own . '9/x';    # another port that begins alike
        is($ask->($field, $lookalike), $lookalike, "$field that only begins alike");
    }
    like($ask->('Refresh', "5; url=$own/x"), qr{\A5; ?url=$here/x\z}i, 'Refresh');
    is($ask->('Refresh', '5'), '5', 'Refresh without address');
    unlike($ask->('Set-Cookie', 'a=1; Domain=127.0.0.1; Path=/'), qr/127\.0\.0\.1/, 'a cookie\'s domain');
    is($ask->('Set-Cookie', 'a=1; Domain=other.test'), 'a=1; Domain=other.test', 'another domain stays');
    is($ask->('Set-Cookie', 'a=127.0.0.1; Path=/x; HttpOnly; SameSite=Lax'),
        'a=127.0.0.1; Path=/x; HttpOnly; SameSite=Lax', 'the rest of a cookie stays');
};

subtest 'a member below a path' => sub {
    my $t = Abl::Server->start(
        conf => balancer('app', 'BalancerMember ' . $m->url . '/base') . "BalancerPass / app\n");
    my $r = $t->client(name => 'front.test')->ask('GET', '/redirect?to=' . $m->url . '/base/x');
    like($r->field('Location'), qr{\A(?:http://front\.test(?::\d+)?)?/x\z}, 'Location loses the path');
    $r = $t->client(name => 'front.test')->ask('GET', '/cookie?set=c%3D3%3B%20Path%3D/base/x');
    is(($r->field('Set-Cookie'))[1], 'c=3; Path=/x', 'a cookie\'s path too');
    $t->log_ok;
};

subtest 'BalancerErrorOverride' => sub {
    my $t = server("ErrorDocument 404 \"ours\"\nErrorDocument 500 \"ours\"\n<Location /some>\nBalancerErrorOverride on 500\n"
        . "</Location>\n<Location /all>\nBalancerErrorOverride on\n</Location>\n");
    is($t->get('/status/404')->{content}, "status 404 from a\n", 'off: the application\'s page');
    is($t->get('/all/status/404')->{content}, 'ours', 'on: httpd\'s page');
    is($t->get('/all/status/404')->{status}, 404, 'with the status');
    is($t->get('/all/status/200')->{content}, "status 200 from a\n", 'on: success is left alone');
    is($t->get('/some/status/404')->{content}, "status 404 from a\n", 'on 500: not 404');
    is($t->get('/some/status/500')->{content}, 'ours', 'on 500: 500');
    my $c = $t->client;
    $c->ask('GET', '/all/status/404');
    is($c->ask('GET', '/echo')->status, 200, 'the connections still work');
    $t->log_ok;
};

$s->log_ok;
done_testing;
