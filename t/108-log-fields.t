# Variables for log lines, Server-Timing and traceparent: what is told about each request.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Time::HiRes qw(time);

my @names = qw(NAME MEMBER_NAME TRIED TRIES QUEUE_US CONNECT_US FIRST_BYTE_US TOTAL_US BYTES_IN BYTES_OUT END STATE);
my $format = 'LogFormat "%r|%>s|' . join('|', map { "%{BALANCER_$_}e" } @names) . "\" fields\nCustomLog \@DIR\@/fields.log fields\n";

sub server {
    my ($conf, @parts) = @_;
    return Abl::Server->start(status => 1, conf => "${format}BalancerPass /app app\nBalancerTimeout response=1s connect=1s gap=1s\n$conf\n" . balancer('app', @parts));
}

# The fields of the last line about this target, once it is there.
sub fields {
    my ($s, $target) = @_;
    my $line;
    wait_until { ($line) = reverse grep { / \Q$target\E / } split /\n/, -f $s->dir . '/fields.log' ? slurp($s->dir . '/fields.log') : ''; $line } 10 or die "no line of $target\n";
    my ($request, $status, @values) = split /\|/, $line;
    my %f = (status => $status);
    @f{@names} = @values;
    return \%f;
}

# Is it so many ms, or a little more?
sub about { my ($us, $ms, $what) = @_; return ok($us =~ /\A\d+\z/ && $us >= $ms * 950 && $us < ($ms + 300 * Abl::Util::patience()) * 1000, "$what: about $ms ms") || diag("it is $us us") }

subtest 'an ordinary request' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server('', $m);
    my $url = $m->url;
    $s->client->ask('POST', '/app/x', [], 'x' x 1234);
    my $f = fields($s, '/app/x');
    is_deeply([ @$f{qw(status NAME MEMBER_NAME TRIED TRIES QUEUE_US BYTES_IN END STATE)} ], [ 200, 'app', $url, $url, 1, 0, 1234, 'ok', '--' ], 'what, where, how');
    cmp_ok($f->{CONNECT_US} + $f->{FIRST_BYTE_US}, '<=', $f->{TOTAL_US}, 'times are of the whole');
    $s->client->ask('GET', '/app/length/5000');
    $s->client->ask('GET', '/app/slow?delay=300');
    about(fields($s, '/app/slow?delay=300')->{FIRST_BYTE_US}, 300, 'a slow answer');
    $s->client->ask('GET', '/elsewhere');
    is_deeply([ @{ fields($s, '/elsewhere') }{@names} ], [ ('-') x @names ], 'what goes to no balancer has nothing');
    $s->log_ok;
};

subtest 'in the queue' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server('', [ $m, 'concurrency=1' ], 'BalancerQueue timeout=400ms length=1');
    my @c = map { $s->client } 1 .. 3;
    $c[0]->request('GET', '/app/gate/first');
    $m->await_requests(1);
    $c[1]->request('GET', '/app/second');
    ok((wait_until { $c[2]->ask('GET', '/app/third')->status == 503 } 5), 'the queue is full');
    is($c[1]->response->status, 503, 'and its time is over');
    my $f = fields($s, '/app/second');
    is_deeply([ @$f{qw(status MEMBER_NAME TRIES CONNECT_US FIRST_BYTE_US END STATE)} ], [ 503, '-', 0, '-', '-', 'queue-timeout', 'sQ' ], 'it has met nobody');
    about($f->{QUEUE_US}, 400, 'and waited');
    is_deeply([ @{ fields($s, '/app/third') }{qw(END STATE)} ], [ 'queue-full', 'PQ' ], 'full');
    my $next = $s->client;
    $next->request('GET', '/app/fourth');
    $s->await_queue(1);
    $m->release;
    is($_->response->status, 200, 'answered') for $c[0], $next;
    $f = fields($s, '/app/fourth');
    ok($f->{QUEUE_US} > 0 && $f->{QUEUE_US} < $f->{TOTAL_US}, 'for a time') or diag(explain($f));
    is($f->{STATE}, '--', 'and went well');
    my $gone = $s->client;
    my $holder = $s->client;
    $holder->request('GET', '/app/gate/holder');
    $m->await_requests(3);
    $gone->request('GET', '/app/gone');
    $gone->abort;
    is_deeply([ @{ fields($s, '/app/gone') }{qw(status END STATE)} ], [ 499, 'client-gone', 'CQ' ], 'a client that leaves the queue');
    $m->release;
    $holder->response;
    $s->log_ok(allow => [trouble]);
};

subtest 'failures' => sub {
    my $refused = Abl::Member->refused;
    my $m = Abl::Member->start(name => 'a');
    my $s = server('', $refused, $m, 'BalancerEject off');
    ok((wait_until { $s->client->ask('GET', '/app/two')->status; fields($s, '/app/two')->{TRIES} == 2 } 5), 'a second member is tried') or diag(explain(fields($s, '/app/two')));
    is_deeply([ @{ fields($s, '/app/two') }{qw(TRIED MEMBER_NAME STATE)} ], [ join(',', $refused->url, $m->url), $m->url, '--' ], 'both are named') if fields($s, '/app/two')->{TRIES} == 2;
    $s->client->ask('POST', '/app/reset-before', [], 'x');
    is_deeply([ @{ fields($s, '/app/reset-before') }{qw(status END STATE)} ], [ 502, 'broken', 'SH' ], 'the member resets') or diag(explain(fields($s, '/app/reset-before')));
    $s->client->ask('POST', '/app/hang', [], 'x');
    is_deeply([ @{ fields($s, '/app/hang') }{qw(status END STATE)} ], [ 504, 'timeout', 'sH' ], 'it says nothing') or diag(explain(fields($s, '/app/hang')));
    my $c = $s->client;
    $c->request('GET', '/app/gate/leaves');
    $m->await_requests(4);
    $c->abort;
    is_deeply([ @{ fields($s, '/app/gate/leaves') }{qw(status END STATE)} ], [ 499, 'client-gone', 'CH' ], 'the client leaves');
    $m->release;
    $c = $s->client;
    $c->request('GET', '/app/pieces?n=2&ms=1');
    is($c->start_response->status, 200, 'an answer begins');
    $c->abort;
    is_deeply([ @{ fields($s, '/app/pieces?n=2&ms=1') }{qw(END STATE)} ], [ 'client-gone', 'CD' ], 'the client leaves in the middle of it') or diag(explain(fields($s, '/app/pieces?n=2&ms=1')));
    $m->release;
    $s->client->ask('GET', '/app/short');
    is_deeply([ @{ fields($s, '/app/short') }{qw(status END STATE)} ], [ 200, 'short', 'SD' ], 'the member does') or diag(explain(fields($s, '/app/short')));
    $s->client->ask('GET', '/app/gap/20000');
    is_deeply([ @{ fields($s, '/app/gap/20000') }{qw(status END STATE)} ], [ 200, 'short', 'sD' ], 'it stops in the middle') or diag(explain(fields($s, '/app/gap/20000')));
    $s->log_ok(allow => [trouble]);
};

subtest 'nobody is there' => sub {
    my $s = server('', Abl::Member->refused);
    $s->client->ask('GET', '/app/x');
    my $f = fields($s, '/app/x');
    is_deeply([ @$f{qw(status END STATE CONNECT_US)} ], [ 503, 'no-member', 'SC', '-' ], 'no connection') or diag(explain($f));
    $s->log_ok(allow => [trouble]);
};

subtest 'through an error document' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = server("ErrorDocument 503 /sorry.html\n", Abl::Member->refused);
    $s->file('sorry.html', "sorry\n");
    my $r = $s->client->ask('GET', '/app/x');
    is($r->status . ' ' . $r->body, "503 sorry\n", 'httpd says it in its words');
    is_deeply([ @{ fields($s, '/app/x') }{qw(NAME END STATE)} ], [ 'app', 'no-member', 'SC' ], 'the line tells what has happened');
    $s->log_ok(allow => [trouble]);
};

subtest 'mod_proxy\'s names' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(modules => ['headers'], conf => <<'END' . balancer('app', [ $m[0], 'route=one' ], [ $m[1], 'route=two' ], 'BalancerAffinity cookie=SID'));
Header set X-Env "%{BALANCER_NAME}e %{BALANCER_WORKER_NAME}e %{BALANCER_WORKER_ROUTE}e %{BALANCER_SESSION_STICKY}e %{BALANCER_SESSION_ROUTE}e"
Header set X-Changed "yes" env=BALANCER_ROUTE_CHANGED
BalancerPass / app
END
    my $r = $s->client->ask('GET', '/x');
    my $url = $m[0]->url;
    is($r->field('X-Env'), "app $url one SID (null)", 'an answer\'s fields may be made of them');
    is($r->field('X-Changed'), 'yes', 'a new session');
    $r = $s->client->ask('GET', '/x', [ Cookie => 'SID=x.one' ]);
    is($r->field('X-Env'), "app $url one SID one", 'with a session');
    is($r->field('X-Changed'), undef, 'that stays where it is');
    $s->log_ok;
};

subtest 'only where they are wanted' => sub {
    my $m = Abl::Member->start(name => 'a');
    for my $case ([ '', 'x' ], [ 'BalancerLogFields on', 'app' ], [ 'BalancerLogFields auto', 'x' ], [ "BalancerLogFields off\nSetEnv Y BALANCER_NAME", 'x' ]) {
        my ($conf, $expected) = @$case;
        # an expression whose words nobody sees in the configuration
        my $s = Abl::Server->start(modules => [qw(env setenvif)], conf => "LogFormat \"%{\${B}_NAME}e\" f\nCustomLog \@DIR\@/f.log f\n$conf\nBalancerPass / app\n" . balancer('app', $m), first => "Define B BALANCER\n");
        $s->get('/');
        ok((wait_until { -s $s->dir . '/f.log' } 5), 'a line');
        my $found = slurp($s->dir . '/f.log') =~ s/\n.*//sr;
        is($found, $conf =~ /off/ ? '-' : 'app', $conf =~ s/\n/, /r || 'nothing') ;
        $s->log_ok;
    }
    my ($rc, $text) = Abl::Server->configtest("BalancerLogFields maybe\n");
    ok($rc != 0 && $text =~ /ABL0400: BalancerLogFields maybe: expected auto, on or off/, 'a mistake');
};

subtest 'Server-Timing' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => "BalancerPass / app\n<Location /app>\nBalancerServerTiming on\n</Location>\n" . balancer('app', [ $m, 'concurrency=1' ]));
    is($s->client->ask('GET', '/x')->field('Server-Timing'), undef, 'not unless it is wanted');
    my $holder = $s->client;
    $holder->request('GET', '/gate/x');
    $m->await_requests(2);
    my $c = $s->client;
    $c->request('GET', '/app/x?delay=200');
    my $from = time;
    ok((wait_until { time - $from > 0.2 } 5), 'it waits');
    $m->release;
    $holder->response;
    my $field = $c->response->field('Server-Timing') // '';
    like($field, qr/\Aqueue;dur=(\d+\.\d{3}), connect;dur=\d+\.\d{3}, app;dur=(\d+\.\d{3})\z/, 'in the queue, connecting, at the application');
    my ($queue, $app) = $field =~ /queue;dur=([\d.]+).*app;dur=([\d.]+)/;
    about($queue * 1000, 200, 'queue');
    about($app * 1000, 200, 'application');
    $s->log_ok;
};

subtest 'traceparent' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => "BalancerPass / app\nLogFormat \"%{traceparent}i\" t\nCustomLog \@DIR\@/t.log t\n<Location /made>\nBalancerTrace on\n</Location>\n" . balancer('app', $m));
    my $valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    my $sent = sub { my ($path, @fields) = @_; $s->client->ask('GET', $path, [@fields]); my $r = $m->last_request; return ($r->field('traceparent'), $r->field('tracestate')) };
    is_deeply([ $sent->('/x', traceparent => $valid, tracestate => 'a=b') ], [ $valid, 'a=b' ], 'goes through');
    is_deeply([ $sent->('/made/x', traceparent => $valid, tracestate => 'a=b') ], [ $valid, 'a=b' ], 'also where one would be made');
    is(($sent->('/x'))[0], undef, 'none is made where nobody has asked for it');
    my %seen;
    for my $bad (undef, 'nonsense', uc $valid, '00-' . ('0' x 32) . '-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', "$valid-x", 'ff' . substr($valid, 2), substr($valid, 0, 54)) {
        my ($trace, $state) = $sent->('/made/x', defined $bad ? (traceparent => $bad, tracestate => 'a=b') : ());
        like($trace, qr/\A00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01\z/, 'a new one instead of ' . ($bad // 'none'));
        is($state, undef, 'without another\'s state');
        ok(!$seen{$trace}++, 'each another one');
    }
    is(($sent->('/made/x', traceparent => "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"))[0], '01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more', 'a later version may say more');
    ok((wait_until { slurp($s->dir . '/t.log') =~ /^00-[0-9a-f]{32}/m } 5), 'a log line has it');
    $s->log_ok;
};

done_testing;
