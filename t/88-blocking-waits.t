# Where a request cannot be parked its thread waits, and that costs nothing: whoever waits for a member's answer or for its turn
# sleeps, and goes on as soon as what it waits for is there.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Digest::SHA qw(sha1_hex);
use List::Util qw(sum0);
use POSIX ();
use Time::HiRes qw(time sleep);

my $CROWD  = 20;     # requests that wait
my $LOOK   = 1.2;    # seconds, more than the longest single wait; what is not noticed then is for 0.8 s
my $CPU    = 0.2;    # of one processor, for all of them together: the kernel counts in ticks, so some are counted by chance
my %WAKES  = (plain => 4, streams => 10);    # a second, for each; it was 0.7 to 1.4, and 5
my $PROMPT = 0.5;    # seconds until all have the answer that has been sent; it was 0.003 to 0.06

my $m       = Abl::Member->start(name => 'a');
my $limited = Abl::Member->start(name => 'limited');

# ---- what the children do

# All their threads: (seconds on a processor, how often one was woken, or lost the processor)
sub effort {
    my ($s) = @_;
    my ($ticks, $switches) = (0, 0);
    for my $pid ($s->children) {
        my ($rest) = slurp("/proc/$pid/stat") =~ /\A.*\) (.*)\z/s;
        $ticks += sum0((split ' ', $rest)[ 11, 12 ]);
        $switches += sum0(map { eval { slurp($_) } =~ /^(?:non)?voluntary_ctxt_switches:\s+(\d+)/mg } glob "/proc/$pid/task/*/status");
    }
    return ($ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK()), $switches);
}

sub sleeps {
    my ($s, $what, $n, $ask) = @_;
    my ($cpu, $switches) = effort($s);
    my $from = time;
    sleep $LOOK;
    my ($cpu_then, $switches_then) = effort($s);
    my $seconds = time - $from;
    my ($share, $rate) = (($cpu_then - $cpu) / $seconds, ($switches_then - $switches) / $seconds / $n);
    note(sprintf '%s: %.1f %% of a processor, %.1f wake-ups a second for each', $what, 100 * $share, $rate);
    cmp_ok($share, '<', $CPU * patience, "$what: the processor is idle") or diag("$what: $share");
    cmp_ok($rate, '<', $WAKES{ $ask == \&streams ? 'streams' : 'plain' }, "$what: and hardly anybody wakes up") or diag("$what: $rate");
    return;
}

# ---- those who wait

# Clients of HTTP/1.1, one request each: how many have been answered, waiting for all.
sub plain {
    my ($s, $first, $other, $n) = @_;
    my @c = map { $s->client } 1 .. $n;
    $c[0]->request('GET', $first);
    $m->await_requests(1);
    $_->request('GET', $other) for @c[ 1 .. $#c ];
    return sub { return scalar(grep { $_->response->body =~ /^member: a$/m } @c) };
}

# HTTP/2 streams. mod_http2 begins with six at a time on each connection, so there are several connections.
sub streams {
    my ($s, $first, $other, $n) = @_;
    my @h = map { Abl::H2->connect(port => $s->port) } 1 .. $n / 5;
    my @streams = ([ $h[0], $h[0]->request('GET', $first) ]);
    $m->await_requests(1);
    push @streams, map { [ $h[ $_ / 5 ], $h[ $_ / 5 ]->request('GET', $other) ] } 1 .. $n - 1;
    return sub {
        return scalar(grep {
                my ($h, $id) = @$_;
                $h->await(sub { $h->ended($id) });
                ($h->status($id) || 0) == 200 && $h->body($id) =~ /^member: a$/m;
        } @streams);
    };
}

# ---- where they cannot be parked

my $h2   = "Protocols h2c http/1.1\nH2MinWorkers 30\nH2MaxWorkers 40\n";
my %mpms = (
    event => [
        [ 'HTTP/2 streams', \&streams, ['http2'], $h2, '' ],
        [ 'parts of a page', \&plain, ['include'], "<Location /page>\nOptions +Includes\nSetOutputFilter INCLUDES\n</Location>\n", '/page' ],
        [ 'internal redirects', \&plain, ['rewrite'], "<Directory \"\@ROOT\@/moved\">\nRewriteEngine On\nRewriteRule ^(.*)\$ /\$1\n</Directory>\n", '/moved' ],
        [ 'BalancerInline off', \&plain, [], "BalancerInline off\n", '' ],
    ],
    worker  => [ [ 'requests', \&plain, [], '', '' ], [ 'HTTP/2 streams', \&streams, ['http2'], $h2, '' ] ],
    prefork => [ [ 'requests', \&plain, [], "StartServers 24\n", '' ] ],
);

sub server {
    my ($mpm, $modules, $conf) = @_;
    my $include = sub { return "<!--#include virtual=\"/$_[0]\" -->" };    # a part of a page
    return Abl::Server->start(
        mpm => $mpm, modules => $modules, status => 1, $mpm eq 'prefork' ? (children => 30) : (threads => 32),
        files => { map { ("page/$_" => $include->($_), "moved/$_" => '') } 'gate', 'echo', 'sse', 'limited' },
        conf  => $conf . balancer('limited', [ $limited, 'concurrency=1' ]) . "BalancerPass / app\nBalancerPass /limited limited\nBalancerStatic /page /moved\n",
    );
}

sub wait_for_member {
    my ($mpm, $name, $ask, $modules, $conf, $prefix) = @_;
    for my $case ([ '', 'gate', 'wait for answers' ], [ 'concurrency=1', 'echo', 'wait in the queue' ]) {
        my ($keys, $others, $what) = @$case;
        my $s = server($mpm, $modules, balancer('app', [ $m, $keys ]) . $conf);
        $m->forget;
        my $answered = $ask->($s, "$prefix/gate", "$prefix/$others", $CROWD);
        if   ($keys) { ok($s->await_queue($CROWD - 1), 'they are queued') }
        else         { ok($m->await_requests($CROWD), 'the member has them all') }
        sleeps($s, "$mpm: $name $what", $CROWD, $ask);
        my $from = time;
        $m->release;
        is($answered->(), $CROWD, 'all are answered');
        my $took = time - $from;
        note(sprintf '%s: %s %s: answers after %.0f ms', $mpm, $name, $what, 1000 * $took);
        cmp_ok($took, '<', $PROMPT * patience, 'as soon as the member has sent it') or diag("$mpm: $name $what: $took");
        is($s->unrest, '', 'nothing is left');
        $s->log_ok;
    }
    return;
}

# Clients that have sent half a body, to a member that is asked meanwhile and to one that is not, some between two events, and
# tunnels in which nobody says anything.
sub wait_for_client {
    my ($mpm, $name, $ask, $modules, $conf, $prefix) = @_;
    my $s    = server($mpm, $modules, balancer('app', $m) . $conf);
    my $body = pattern(20_000);
    my @half = (substr($body, 0, 10_000), substr $body, 10_000);
    my (@finish, @events, @tunnels);
    $m->forget;
    for my $n (1 .. 6) {
        if ($ask == \&streams) {
            my $h = Abl::H2->connect(port => $s->port);
            for my $target ('/echo', '/limited/echo') {
                my $id = $h->begin('POST', "$prefix$target");
                $h->data($id, $half[0]);
                push @finish, sub { $h->data($id, $half[1], end => 1); $h->await(sub { $h->ended($id) }); return $h->body($id) };
            }
            my $id = $h->request('GET', "$prefix/sse?n=2&ms=gate");
            push @events, sub { my ($n) = @_; return $h->await(sub { $h->body($id) =~ /data: $n/ }) };
            next;
        }
        for my $target ('/echo', '/limited/echo') {
            my $c = $s->client;
            $c->send($c->head('POST', "$prefix$target", [ 'Content-Length' => length $body ]) . $half[0]);
            push @finish, sub { $c->send($half[1]); return $c->response(head => 0)->body };
        }
        my $c = $s->client;
        $c->request('GET', "$prefix/sse?n=2&ms=gate");
        my $r;
        push @events, sub { my ($n) = @_; $r ||= $c->start_response; return $r->await_body(qr/data: $n/) };
        next unless $prefix eq '';
        my $tunnel = $s->client;
        $tunnel->request('GET', '/upgrade', [ Connection => 'Upgrade', Upgrade => 'mine' ]);
        is($tunnel->start_response->status, 101, 'a tunnel');
        push @tunnels, $tunnel;
    }
    ok($m->await_requests(12 + @tunnels), 'the member has those for which it need not wait');
    is(scalar(grep { $_->(1) } @events), 6, 'the first events are there');
    sleeps($s, "$mpm: $name wait for their client", 18 + @tunnels, $ask);
    my $from = time;
    $m->release;
    is(scalar(grep { $_->(2) } @events), 6, 'the second events come');
    $_->send('hello') for @tunnels;
    is(scalar(grep { my $c = $_; wait_until { $c->fill(0); $c->pending eq 'hello' } 5 } @tunnels), @tunnels, 'and echoes');
    my $digest = sha1_hex($body);
    is(scalar(grep { $_->() =~ /^sha1: $digest$/m } @finish), 12, 'and the bodies arrive');
    cmp_ok((time - $from) / @finish, '<', $PROMPT / 3 * patience, 'at once');    # one after the other; 0.5 if a wait's end had to come
    $m->release;
    $_->close for @tunnels;
    is($s->unrest, '', 'nothing is left');
    $s->log_ok;
    return;
}

# mod_http2 wakes nobody up when its client has reset a stream, or has gone.
sub streams_that_end {
    my ($mpm) = @_;
    my $s = server($mpm, ['http2'], balancer('app', [ $m, 'concurrency=1' ]) . $h2);
    for my $how ('reset', 'are reset when it is their turn', 'end with their connection') {
        $m->forget;
        my $first = Abl::H2->connect(port => $s->port);
        my $gate  = $first->request('GET', '/gate');
        $m->await_requests(1);
        my $h = Abl::H2->connect(port => $s->port);
        my @streams = map { my $id = $h->request('GET', '/echo'); sleep 0.2; $id } 1 .. 5;    # so that they do not wake up together
        ok($s->await_queue(5), 'they are queued');
        my $from = time;
        if   ($how =~ /connection/) { $h->close }
        else                        { $h->reset($_) for @streams; $h->sync }
        if ($how !~ /turn/) {
            ok($s->await_queue(0), "those that $how leave the queue");
            cmp_ok(time - $from, '<', 0.7 * patience, 'soon');    # with a look once a second it was 0.8 to 1
        }
        $m->release;
        ok($first->await(sub { $first->ended($gate) }), 'who was first is answered');
        is($s->unrest, '', 'nothing is left');
        is_deeply([ map { $_->target } $m->requests ], ['/gate'], "those that $how never reach the member");
    }
    $s->log_ok;
    return;
}

for my $mpm ($ENV{ABL_MPM} ? $ENV{ABL_MPM} : qw(event worker prefork)) {
    for my $place (@{ $mpms{$mpm} }) {
        subtest "$mpm: $place->[0] that wait for a member" => sub { wait_for_member($mpm, @$place) };
        subtest "$mpm: streams that end" => sub { streams_that_end($mpm) } if $place->[1] == \&streams;
        next if $place->[0] eq 'parts of a page';    # they have no body
        subtest "$mpm: $place->[0] that wait for their client" => sub { wait_for_client($mpm, @$place) };
    }
}

done_testing;
