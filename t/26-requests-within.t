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

$s->log_ok(allow => [trouble]);
done_testing;
