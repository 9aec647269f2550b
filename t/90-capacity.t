# A start warns, with the numbers, when httpd cannot hold as many waiting requests as BalancerQueue allows.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m = Abl::Member->start(name => 'a');

# What a start says, apart from the numbers of the lines.
sub warnings {
    my ($queue, $conf, %o) = @_;
    my $s = Abl::Server->start(threads => 8, children => 2, conf => balancer('app', [ $m, $o{keys} // 'concurrency=1' ], $queue) . "BalancerPass / app\nAsyncRequestWorkerFactor 2\n$conf");
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
like(warnings('BalancerQueue length=100000', "AsyncRequestWorkerFactor 10000\n"), qr/\AABL0022: BalancerQueue lets 100000 requests wait: \d{5,6} descriptors in each child, which may have \d+; raise the limit of open files/, 'descriptors');

done_testing;
