# A start warns, with the numbers, when httpd cannot hold as many waiting requests as BalancerQueue allows.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m = Abl::Member->start(name => 'a');

# What a start says, apart from the numbers of the lines.
sub warnings {
    my ($queue, $conf, %o) = @_;
    my $s = Abl::Server->start(threads => 8, children => 2, limits => 'ulimit -n 5000', conf => balancer('app', [ $m, $o{keys} // 'concurrency=1' ], $queue) . "BalancerPass / app\nAsyncRequestWorkerFactor 2\n$conf");
    my @found = $s->log =~ /(ABL002[12]: .*)/g;
    $s->log_ok(allow => [qr/ABL002[12]/]);
    return join "\n", @found;
}

is(warnings('BalancerQueue length=48', ''), '', 'as many as fit: 2 children x 8 threads x (1 + 2)');
like(warnings('BalancerQueue length=49', ''), qr/\AABL0021: BalancerQueue lets 49 requests wait, but httpd accepts 48 connections at once \(2 children, 8 threads each, AsyncRequestWorkerFactor 2\)/, 'one more');
is(warnings('BalancerQueue length=160', "AsyncRequestWorkerFactor 9\n"), '', 'the factor counts');
like(warnings('BalancerQueue length=161', "<IfModule mpm_event_module>\nAsyncRequestWorkerFactor 9\n</IfModule>\n"), qr/\AABL0021: .* 161 .* 160 .* AsyncRequestWorkerFactor 9\)/, 'wherever it stands');
is(warnings('BalancerQueue length=1000', "BalancerInline off\n"), '', 'nothing where nothing is parked');
is(warnings('BalancerQueue length=1000', '', keys => ''), '', 'nor where nobody queues');
is(warnings('BalancerQueue timeout=10s', "AsyncRequestWorkerFactor 100\n"), '', 'the default length counts, too, when a line says something');

# half of them in each child; whether a body may go into a file is BalancerBuffer's
my $many = "AsyncRequestWorkerFactor 10000\n";
like(warnings('BalancerQueue length=100000', $many), qr/\AABL0022: BalancerQueue lets 100000 requests wait: up to 150000 descriptors for them in each child, which may have 5000 in all/, 'descriptors');
for my $buffer ('file=0', 'request=1M max=1M') {
    like(warnings("BalancerQueue length=100000\nBalancerBuffer $buffer", $many), qr/\AABL0022: .*: up to 100000 descriptors /, "fewer where no body goes into a file: $buffer");
}

subtest 'so many it is' => sub {
    my $s = Abl::Server->start(status => 1, conf => balancer('app', [ $m, 'concurrency=1' ], 'BalancerBuffer request=16K') . "BalancerPass / app\n");
    my ($child) = $s->children;
    my $open    = sub { return scalar(grep { (readlink || '') !~ /pidfd/ } glob "/proc/$child/fd/*") };
    my $holder  = $s->client;
    $holder->request('GET', '/gate');
    $m->await_requests(1);
    my $before = $open->();
    for my $case ([ 2, 'short' ], [ 3, 'x' x 100_000 ]) {
        my ($each, $body) = @$case;
        my @waiting = map { $s->client } 1 .. 8;
        $_->request('POST', '/echo', [], $body) for @waiting;
        ok($s->await_queue(8), 'eight wait');
        ok((wait_until { $open->() == $before + 8 * $each } 5), "$each descriptors each, with a body of " . length $body) or diag($open->() - $before);
        $_->close for @waiting;
        ok($s->await_queue(0), 'and leave');
        ok((wait_until { $open->() <= $before + 8 } 5), 'their tickets are kept for the next') or diag($open->() - $before);
    }
    $m->release;
    is($holder->response->status, 200, 'the one that was served');
    $s->log_ok(allow => [qr/ABL0009/]);
};

done_testing;
