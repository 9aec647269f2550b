# BalancerBuffer: what is kept of requests and answers, where, how much, and what happens when it cannot be kept.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Digest::SHA qw(sha1_hex);

my $m = Abl::Member->start(name => 'a', serial => 1);

sub server {
    my ($buffer, %o) = @_;
    return Abl::Server->start(status => 1, %o,
        conf => balancer('app', [ $m, 'concurrency=1' ], 'BalancerQueue length=10 timeout=10s', $buffer) . "BalancerPass /app app\nBalancerInline 5ms\n" . ($o{conf} || ''));
}

my $body = pattern(700_000);

# What the member got of an upload, and what the client was told.
sub upload {
    my ($s, @framing) = @_;
    my $c = $s->client;
    $m->forget;
    if (@framing) {
        $c->send($c->head('POST', '/app/echo', \@framing) . join('', map { $c->chunk(substr $body, $_ * 70_000, 70_000) } 0 .. 9) . "0\r\n\r\n");
        $c->expect_answer_to('POST');
    }
    else { $c->request('POST', '/app/echo', [], $body) }
    return $c->response;
}

subtest 'bodies of requests, in memory and in a file' => sub {
    for my $buffer ('BalancerBuffer request=1M', 'BalancerBuffer request=64K file=1M', 'BalancerBuffer request=0 file=1M') {
        my $s = server($buffer);
        for my $how ([], [ 'Transfer-Encoding' => 'chunked' ]) {
            is(upload($s, @$how)->status, 200, "$buffer, @$how: served");
            my $seen = $m->last_request;
            is($seen->{sha1}, sha1_hex($body), 'all of it');
            is_deeply([ $seen->field('Content-Length') ], [ length $body ], 'with its length, which every server understands');
        }
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    }
};

subtest 'bodies that are too long' => sub {
    for my $buffer ('BalancerBuffer max=600K', 'BalancerBuffer request=100K file=300K', 'BalancerBuffer request=100K file=0') {
        my $s = server($buffer);
        for my $how ([], [ 'Transfer-Encoding' => 'chunked' ]) {
            is(upload($s, @$how)->status, 413, "$buffer, @$how: 413");
            is(scalar $m->requests, 0, 'the member has not seen it');
        }
        is($s->client->ask('POST', '/app/echo', [], 'x' x 90_000)->status, 200, 'a shorter one');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    }
};

subtest 'a folder that nobody may write to' => sub {
    my $s = server('BalancerBuffer request=16K response=16K folder=/proc');
    is(upload($s)->status, 507, 'a request that cannot be kept: 507');
    is(scalar $m->requests, 0, 'the member has not seen it');
    my $c = $s->client(rcvbuf => 8192);
    $c->request('GET', '/app/length/3000000');
    is($c->response->sha1, sha1_hex(pattern(3_000_000)), 'an answer that cannot: the member waits for the client');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok(allow => [ qr/ABL0020: the request's body cannot be kept in \/proc/, qr/ABL0023: .*could not be kept in \/proc/ ]);
};

SKIP: {
    skip 'only the event MPM keeps answers', 1 if Abl::Server->default_mpm ne 'event';
    subtest 'an answer that is longer than what may be kept' => sub {
        my $s = server('BalancerBuffer response=64K file=0');
        my $before = $s->peak_memory;
        my $c = $s->client(rcvbuf => 8192);
        my $n = 30_000_000;
        $c->request('GET', "/app/length/$n");
        ok((wait_until { $s->status_member($m)->{busy} == 1 } 5), 'the member is busy');
        my $r = $c->start_response(keep => 0);
        $r->more for 1 .. 20;
        is($s->status_member($m)->{busy}, 1, 'and waits for the client');
        1 while defined $r->more;
        is($r->sha1, sha1_hex(pattern($n)), 'all of it arrives');
        cmp_ok($s->peak_memory - $before, '<', 4096, 'in bounded memory') unless $ENV{ABL_PRELOAD};
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    };
    subtest 'an answer that cannot be read back' => sub {
        my $s = server('BalancerBuffer response=64K');
        my $c = $s->client(rcvbuf => 8192);
        $c->request('GET', '/app/length/30000000');
        ok((wait_until { $s->status_member($m)->{busy} == 0 && cut_files($s) } 10), 'the member has finished, and the file is cut');
        my $r = $c->start_response(keep => 0);
        1 while defined $r->more;
        cmp_ok($r->length, '<', 30_000_000, 'a part of it arrives');
        ok(!$r->complete, 'and cannot be taken for all');
        ok($s->await_access(qr/^200 .*30000000/m), 'it is not the client who left');
        is($s->unrest, '', 'nothing is left');
        $s->log_ok(allow => [qr/ABL0024: .*the client's connection is aborted/]);
        like($s->log, qr/ABL0024/, 'and it is said');
    };
}

# Whoever wants to spoil a file without a name finds it among the descriptors. How many there were.
sub cut_files {
    my ($s) = @_;
    my @files = grep { -s && (readlink || '') =~ /\(deleted\)\z/ && (readlink || '') =~ /#|appbalance-/ } map { glob "/proc/$_/fd/*" } $s->children;
    for my $file (@files) { truncate $file, 0 or die "truncate $file: $!\n" }
    return scalar @files;
}

subtest 'a body of a request that cannot be read back' => sub {
    my $s      = server('BalancerBuffer request=16K');
    my $holder = $s->client;
    $m->forget;
    $holder->request('GET', '/app/gate');
    $m->await_requests(1);
    my $c = $s->client;
    $c->request('POST', '/app/echo', [], $body);
    ok($s->await_queue(1), 'it waits');
    is(cut_files($s), 1, 'and its file is cut');
    $m->release;
    is($holder->response->status, 200, 'its turn has come');
    is($c->response->status, 500, 'our fault, not the client\'s');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok(allow => [qr/ABL0025/]);
    like($s->log, qr/ABL0025: the request's body cannot be read back from/, 'and it is said');
};

done_testing;
