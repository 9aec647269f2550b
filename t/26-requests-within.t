# Requests that httpd makes out of another one (rewritten, included, error documents), and what a client may not
# smuggle into them; what an administrator has set stays.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Compress::Zlib ();
use Digest::SHA qw(sha1_hex);

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    modules => [qw(rewrite include dir headers filter deflate)],
    files   => {
        'pages/x.shtml' => '<!--#include virtual="/app/echo/part" -->',
        'd/.htaccess'   => "RewriteEngine On\nRewriteRule ^(.*)\$ /app/echo/rewritten [L]\n",
        'd/t'           => 't',
    },
    conf => balancer('app', $m) . <<'END');
BalancerPass /app app
ErrorDocument 404 /app/echo/error
RequestHeader set X-Remote-User admin
<Directory "@ROOT@/pages">
    Options +Includes
    SetOutputFilter INCLUDES
</Directory>
<Directory "@ROOT@/d">
    AllowOverride FileInfo
    Options FollowSymLinks
</Directory>
<Location /app/unpack>
    SetInputFilter DEFLATE
</Location>
END

my %within = ('/nothere' => 'error', '/d/foo' => 'rewritten', '/pages/x.shtml' => 'part');

subtest 'strangers are not believed by a detour' => sub {
    my @lies = ('X-Forwarded-For' => '6.6.6.6', 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Host' => 'evil',
        'X-Real-IP' => '6.6.6.6', Forwarded => 'for=6.6.6.6');
    for my $path (sort keys %within) {
        $m->forget;
        $s->client->ask('GET', $path, \@lies);
        my $seen = $m->last_request;
        is($seen->target, "/app/echo/$within{$path}", "$path asks for another one");
        is_deeply([ $seen->field('X-Forwarded-For') ], ['127.0.0.1'], "$path: -For");
        unlike($seen->{head}, qr/6\.6\.6\.6|evil|https/, "$path: nothing of what they said");
    }
};

subtest 'a client takes nothing away from the administrator' => sub {
    $s->client->ask('GET', '/app/echo', [ Connection => 'close, X-Remote-User, X-Own', 'X-Own' => 1 ]);
    is($m->last_request->field('X-Remote-User'), 'admin', 'what RequestHeader has set stays');
    is($m->last_request->field('X-Own'), undef, 'what Connection names of the client\'s own goes');
};

subtest 'a part is wanted whole' => sub {
    for my $path ('/pages/x.shtml', '/nothere') {
        $m->forget;
        $s->client->ask('GET', $path, [ 'If-None-Match' => '"v1"', 'If-Modified-Since' => 'Thu, 01 Jan 2099 00:00:00 GMT', Range => 'bytes=0-3' ]);
        unlike($m->last_request->{head}, qr/^(?:If-|Range)/mi, "$path: without the client's conditions");
    }
    $s->client->ask('GET', '/app/echo', [ 'If-None-Match' => '"v1"' ]);
    is($m->last_request->field('If-None-Match'), '"v1"', 'a request of its own keeps them');
};

subtest 'a packed body in pieces' => sub {
    my $body   = pattern(40_000);
    my $packed = Compress::Zlib::memGzip($body);
    for my $cut (1, 10, 18, 200) {
        my $c = $s->client;
        $c->expect_answer_to('POST')->send($c->head('POST', '/app/unpack/echo', [ 'Content-Encoding' => 'gzip', 'Content-Length' => length $packed ]));
        $c->send(substr $packed, 0, $cut);
        select undef, undef, undef, 0.05;    # so that the first piece arrives alone
        $c->send(substr $packed, $cut);
        is($c->response->status, 200, "cut after $cut bytes");
        is($m->last_request->{sha1}, sha1_hex($body), "cut after $cut bytes: arrives whole");
    }
};

subtest 'a large PUT does not ride on a connection that may be stale' => sub {
    my $c = $s->client;
    for my $n (16_384, 100_000) {
        my $used = $c->ask('GET', '/app/echo')->field('X-Connection');
        isnt($c->ask('PUT', '/app/echo', [], pattern($n))->field('X-Connection'), $used, "$n bytes");
    }
    my $used = $c->ask('GET', '/app/echo')->field('X-Connection');
    is($c->ask('PUT', '/app/echo', [], 'small')->field('X-Connection'), $used, 'a small one can be repeated, and does');
};

subtest 'mod_dir may fall back on the application' => sub {
    my $t = Abl::Server->start(modules => ['dir'], files => { 'x' => '' }, conf => balancer('App_One', $m) . <<'END');
BalancerPass /app App_One
FallbackResource /app/echo/fallback
<Location /upper>
    SetHandler balancer:App_One
</Location>
<Location /lower>
    SetHandler Balancer:app_one
</Location>
END
    for my $case ([ '/none' => '/app/echo/fallback' ], [ '/upper/x' => '/upper/x' ], [ '/lower/x' => '/lower/x' ]) {
        $m->forget;
        is($t->client->ask('GET', $case->[0])->field('X-Member'), 'a', $case->[0]);
    }
    $t->log_ok;
};

subtest 'rewritten, and overruled' => sub {
    my $t = Abl::Server->start(modules => ['rewrite'], files => { 'img/a.txt' => "file\n" }, conf => balancer('app', $m) . <<'END');
BalancerPass / app
RewriteEngine On
RewriteRule ^/pt/(.*)$ /echo/$1 [PT]
<Directory "@ROOT@/img">
    <If "true">
        SetHandler default-handler
    </If>
</Directory>
END
    $t->client->ask('GET', '/pt/a%2fb');
    is($m->last_request->target, '/echo/a%2fb', 'an encoded slash survives RewriteRule [PT]');
    is($t->client->ask('GET', '/img/a.txt')->body, "file\n", 'SetHandler wins inside <If> too');
    my $raw = "HTTP/1.1 200 OK\r\nConnection: X-One\r\nConnection: close\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: 0\r\n\r\n";
    my $r = $t->client->ask('GET', '/raw?b64=' . b64url($raw));
    is($r->field('X-One'), undef, 'what any Connection field of an answer names goes');
    is($r->field('X-Two'), 2, 'the rest stays');
    $t->log_ok;
};

subtest 'everybody may be trusted' => sub {
    my $t = Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\nBalancerTrusted 0.0.0.0/0 ::/0\n");
    $t->client->ask('GET', '/echo', [ 'X-Forwarded-For' => '6.6.6.6' ]);
    is($m->last_request->field('X-Forwarded-For'), '6.6.6.6, 127.0.0.1', 'with a network of 0 bits');
    $t->log_ok;
};

subtest 'an error does not wait for the rest of a body' => sub {
    my $t = Abl::Server->start(conf => balancer('app', $m) . "BalancerPass / app\n<Location /status>\nBalancerErrorOverride on\n</Location>\n");
    for my $case ([ '/status/404?early=1' => 404 ], [ '/reset-before?early=1' => 502 ]) {
        my $c = $t->client(timeout => 5);
        $c->send($c->head('POST', $case->[0], [ 'Content-Length' => 60_000 ]) . 'x');
        is($c->response(head => 0)->status, $case->[1], $case->[0]);
    }
    $t->log_ok(allow => [trouble]);
};

subtest 'an encoded slash is no way around a <Location>' => sub {
    my $t = Abl::Server->start(conf => balancer('app', $m) . <<'END');
BalancerPass / app
BalancerStatic /static
<Location /closed>
    Require all denied
</Location>
<LocationMatch "^/private/">
    Require all denied
</LocationMatch>
<Location /open>
    Require all granted
</Location>
END
    $m->forget;
    for my $path ('/closed%2fx', '/closed%2F', '/x/..%2fclosed/x', '/x%2f..%2fclosed', '/private%2Fx', '/x%2f..%2fstatic/y') {
        like($t->client->ask('GET', $path)->status, qr/^40[034]$/, $path);
    }
    is(scalar $m->requests, 0, 'none of them arrives');
    for my $path ('/echo/a%2Fb', '/echo%2f', '/open/a%2fb') {
        $t->client->ask('GET', $path);
        is($m->last_request->target, $path, "$path arrives as it is");
    }
    $t->log_ok(allow => [qr/AH01630|AH00026/]);
};

$s->log_ok(allow => [trouble]);
done_testing;
