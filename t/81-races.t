# Parked requests whose answer comes before httpd's worker has let go of them, and connections that end while
# it still has not: t/module/mod_slow_worker.c makes the worker slow, on either side of the moment when
# mod_appbalance takes the connection over. And connections that a worker begins with when its child already ends.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 90;
use Cwd ();
use File::Basename qw(dirname);
use Time::HiRes qw(time);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';
my $module = Cwd::abs_path(dirname(__FILE__) . '/..') . '/build/module/.libs/mod_slow_worker.so';
-f $module or die "$module is missing; run make modules first\n";

my $m = Abl::Member->start(name => 'a');

sub server {
    my ($connect, $before, $after) = @_;
    return Abl::Server->start(
        status => 1, files => { 'static/a.txt' => "file\n" }, children => 1,
        conf   => "LoadModule slow_worker_module \"$module\"\nSlowWorker connect=$connect before=$before after=$after\n"
            . "BalancerInline 0\n" . balancer('app', [ $m, 'concurrency=2' ]) . "BalancerPass / app\nBalancerStatic /static\n",
    );
}

for my $slow ([ 200, 0 ], [ 0, 200 ], [ 100, 1500 ]) {
    my ($before, $after) = @$slow;
    subtest "$before ms before, $after ms after" => sub {
        my $s = server(0, $before, $after);
        my @c = map { $s->client } 1 .. 6;
        $_->request('GET', '/echo/x') for @c;
        is(scalar(grep { $_->response->body =~ m{^line: GET /echo/x }m } @c), 6, 'answers that are early');
        is($c[0]->ask('GET', $_)->status, 200, "$_ on the same connection") for '/static/a.txt', '/echo/y';
        $_->request('GET', '/echo/z', [ Connection => 'close' ]) for @c[ 0 .. 2 ];
        is(scalar(grep { $_->response->status == 200 && $_->await_end(5) } @c[ 0 .. 2 ]), 3, 'connections that end at once');
        $_->request('GET', '/echo/gone') && $_->abort for @c[ 3 .. 5 ];
        is($s->client->ask('GET', '/echo/after')->status, 200, 'and clients that leave at once');
        is($s->unrest(5), '', 'nothing is left');
        $s->log_ok;
    };
}

# httpd's listener leaves once no connection is counted, and this one is not yet
subtest 'a connection that is begun with when the child ends' => sub {
    my $s = server(1000, 0, 0);
    my $begun = () = $s->log =~ /slow worker: has/g;
    my $c = $s->client(timeout => 20);
    $c->request('GET', '/echo/x');
    ok((wait_until { (() = $s->log =~ /slow worker: has/g) > $begun }), 'it has been accepted');
    $s->signal('USR1');
    my $a = $c->response;
    is($a && $a->status, 200, 'and gets its answer');
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
};

done_testing;
