# A member that takes one request at a time is not occupied by what only the client is slow with, nor by a page that includes
# another one of the same member.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Digest::SHA qw(sha1_hex);
use Time::HiRes qw(time);

my $m = Abl::Member->start(name => 'a', serial => 1);

sub server {
    my (%o) = @_;
    return Abl::Server->start(
        status => 1, %o,
        conf => balancer('app', [ $m, 'concurrency=1' ], 'BalancerQueue length=10 timeout=5s') . "BalancerPass /app app\n" . ($o{conf} || ''),
    );
}

sub targets { return map { $_->target } $m->requests }

my $s = server();

# ---- uploads

# While the client takes its time with the rest of the body, the member serves others; then it gets the body with its length.
sub slow_upload {
    my ($what, $begin, $rest, $body) = @_;
    $m->forget;
    my $slow = $s->client;
    $slow->expect_answer_to('POST');
    $begin->($slow);
    is($s->client->ask('GET', '/app/echo/quick')->status, 200, "$what: another request is served meanwhile") for 1, 2;
    is_deeply([targets()], [ ('/app/echo/quick') x 2 ], "$what: the member knows of no other");
    $rest->($slow);
    is($slow->response->status, 200, "$what: and then the slow one is served");
    my $seen = $m->last_request;
    is($seen->target, '/app/echo/slow', "$what: by the member");
    is($seen->{sha1}, sha1_hex($body), "$what: with its body");
    is_deeply([ $seen->field('Content-Length') ], [ length $body ], "$what: its length");
    is_deeply([ $seen->field('Transfer-Encoding'), $seen->field('Expect') ], [], "$what: and nothing a simple server does not understand");
    is($s->unrest, '', "$what: nothing is left");
    return;
}

my $body = pattern(100_000);
my ($first, $last) = (substr($body, 0, 3), substr $body, 3);

sub head { my ($c, @fields) = @_; return $c->head('POST', '/app/echo/slow', \@fields) }

subtest 'a slow upload' => sub {
    slow_upload('by length', sub { my ($c) = @_; $c->send(head($c, 'Content-Length' => length $body) . $first) }, sub { $_[0]->send($last) }, $body);
    slow_upload(
        'chunked',
        sub { my ($c) = @_; $c->send(head($c, 'Transfer-Encoding' => 'chunked') . $c->chunk($first)) },
        sub { my ($c) = @_; $c->send($c->chunk($last) . "0\r\n\r\n") }, $body,
    );
};

subtest 'who expects 100 Continue' => sub {
    for my $framing ([ 'Content-Length' => length $body ], [ 'Transfer-Encoding' => 'chunked' ]) {
        slow_upload(
            $framing->[0],
            sub {
                my ($c) = @_;
                $c->send(head($c, @$framing, Expect => '100-continue'));
                is($c->interim->status, 100, "$framing->[0]: is invited");
            },
            sub { my ($c) = @_; $c->send($framing->[1] eq 'chunked' ? $c->chunk($body) . "0\r\n\r\n" : $body) }, $body,
        );
    }
};

subtest 'an upload that ends early' => sub {
    my %begin = ('by length' => [ 'Content-Length' => length $body ], chunked => [ 'Transfer-Encoding' => 'chunked' ]);
    for my $how (sort keys %begin) {
        $m->forget;
        my $c = $s->client;
        $c->send(head($c, @{ $begin{$how} }) . ($how eq 'chunked' ? $c->chunk($first) : $first));
        $c->abort;
        ok($s->await_access(qr{^(?:499|408|400) .*/app/echo/slow}m), "$how: is over");
        is(scalar $m->requests, 0, "$how: the member never sees it");
        is($s->unrest, '', "$how: nothing is left");
    }
};

$s->log_ok(allow => [trouble]);

# ---- pages that include others of the same member

my $include = '<!--#include virtual="/app/echo/piece" -->';
my $ssi = server(modules => ['include'], conf => <<'END');
<Location /app>
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
END

sub page { my ($html) = @_; return '/app/raw?b64=' . b64url("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " . length($html) . "\r\n\r\n$html") }

# Whatever becomes of the piece, it may not wait for its own page.
sub asked_at_once {
    my ($what, @request) = @_;
    $m->forget;
    my $from = time;
    my $r    = $ssi->client->ask(@request);
    is($r->status, 200, "$what: the page comes");
    ok($r->complete, "$what: whole");
    cmp_ok(time - $from, '<', 3 * patience, "$what: at once");
    is($ssi->unrest, '', "$what: nothing is left");
    return $r->body;
}

subtest 'a page that includes another one' => sub {
    my $html = asked_at_once('short', 'GET', page("<p>$include</p>$include<p>"));
    like($html, qr{\A<p>member: a\n.*^line: GET /app/echo/piece .*</p>member: a\n.*<p>\z}ms, 'short: with both pieces');
    is(scalar(my @three = $m->requests), 3, 'short: of which each was asked for once');

    my $long = pattern(100_000);
    $html = asked_at_once('long', 'POST', '/app/mirror', [], "<p>$include</p>$long");
    like($html, qr{\A<p>\[an error occurred while processing this directive\]</p>\Q$long\E\z}, 'long: the member is occupied with it, and the piece cannot be');
    is_deeply([targets()], ['/app/mirror'], 'long: the member is not asked for it');
};

subtest 'a page of httpd itself may wait' => sub {
    my $held = Abl::Member->start(name => 'held');
    my $t = Abl::Server->start(
        status => 1, modules => ['include'], files => { 'pages/x.shtml' => $include },
        conf   => balancer('app', [ $held, 'concurrency=1' ], 'BalancerQueue length=10 timeout=30s') . <<'END');
BalancerPass /app app
<Directory "@ROOT@/pages">
    Options +Includes
    SetOutputFilter INCLUDES
</Directory>
END
    my ($occupies, $page) = map { $t->client } 1, 2;
    $occupies->request('GET', '/app/gate');
    $held->await_requests(1);
    $page->request('GET', '/pages/x.shtml');
    ok($t->await_queue(1), 'its piece is queued');
    $held->release;
    is($occupies->response->status, 200, 'and when the member is free');
    like($page->response->body, qr{^line: GET /app/echo/piece }m, 'it is there');
    is($t->unrest, '', 'nothing is left');
    $t->log_ok;
};

$ssi->log_ok(allow => [ trouble, qr/\[include:error\].*unable to include/ ]);

done_testing;
