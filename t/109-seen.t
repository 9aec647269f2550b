# What is to be seen: the forms of balancer-status, and whether their figures are true.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Abl::Manager;
use Abl::Sick;
use Abl::Util qw(tool);
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(time);

needs(qw(python3 wrk promtool));

# All samples of the text: { 'name{labels}' => value }
sub samples { my ($text) = @_; return { map { /\A(appbalance_\S+?(?:\{.*\})?) (\S+)\z/ ? ($1 => $2) : () } split /\n/, $text } }

sub metrics { my ($s, %headers) = @_; return $s->get('/-/status?as=metrics', { headers => \%headers })->{content} }

sub promtool {
    my ($text) = @_;
    my $file = File::Temp->new;
    print {$file} $text;
    close $file;
    my $said = qx(@{[tool('promtool')]} check metrics < $file 2>&1);
    return ($? >> 8, $said);
}

subtest 'forms' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(status => 1, conf => "BalancerPass / app\n" . balancer('app', $m));
    my %type = (
        html => 'text/html; charset=utf-8', json => 'application/json', metrics => 'text/plain; version=0.0.4; charset=utf-8',
        js   => 'text/javascript; charset=utf-8', css => 'text/css; charset=utf-8',
    );
    for my $as (sort keys %type) {
        my $r = $s->client->ask('GET', "/-/status?as=$as", [ Connection => 'close' ]);
        is($r->status . ' ' . $r->field('Content-Type'), "200 $type{$as}", "?as=$as");
        like($r->field('Content-Security-Policy'), qr/\Adefault-src 'self'; frame-ancestors 'none'/, 'with a policy');
        is(join(' ', map { $r->field($_) } qw(X-Content-Type-Options Referrer-Policy Vary)), 'nosniff no-referrer Accept', 'and what keeps it where it is');
        is($r->field('Cache-Control'), $as =~ /\A(?:html|js|css)\z/ ? 'no-cache' : 'no-store', 'nobody keeps it unasked');
    }
    my @accept = (
        [ undef, 'json' ], [ '*/*', 'json' ], [ 'application/json', 'json' ], [ 'image/png', 'json' ],
        [ 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html' ],
    );
    for my $case (@accept) {
        my ($accept, $as) = @$case;
        is($s->client->ask('GET', '/-/status', [ defined $accept ? (Accept => $accept) : () ])->field('Content-Type'), $type{$as}, 'Accept: ' . ($accept // '(none)'));
    }
    my $open = $s->client->ask('GET', '/-/status', [ Accept => 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' ]);
    is($open->field('Content-Type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8', 'as Prometheus asks');
    like($open->body, qr/\n# EOF\n\z/, 'with an end');
    is($s->client->ask('GET', '/-/status?as=pdf')->status, 400, 'another word');
    ok($s->await_log(qr/ABL0429: \?as=pdf: there are html, json/), 'of which the log tells what there is');
    my $r = $s->client->ask('GET', '/-/status?as=js', [ Connection => 'close' ]);
    is($s->client->ask('GET', '/-/status?as=js', [ 'If-None-Match' => $r->field('ETag') ])->status, 304, 'what has not changed is not sent');
    is($s->client->ask('HEAD', "/-/status?as=$_")->status, 200, "HEAD of $_") for sort keys(%type), 'stream';
    is($s->status_json->{steering}, undef, 'there is nothing to steer');
    $s->log_ok;
};

subtest 'figures after a load' => sub {
    my @m = map { Abl::Sick->start } 1 .. 3;
    my $s = Abl::Server->start(status => 1, threads => 32, children => 2, conf => "BalancerPass / app\nBalancerLogFields on\n" . balancer('app', @m, 'BalancerMethod leastbusy'));
    my $from = time;
    my $said = qx(@{[tool('wrk')]} -t1 -c8 -d3s @{[$s->url('/x')]});
    my ($wrk) = $said =~ /^\s*(\d+) requests in/m;
    ok($wrk > 100, 'a load') or diag($said);
    my $seen = sub { my $n = 0; $n += $_->seen($from) for @m; return $n };
    my $b;
    ok((wait_until { $b = $s->status_balancer; $b->{requests} == $seen->() } 10), 'as many requests as the members have counted') or diag("$b->{requests}, members: " . $seen->());
    cmp_ok($b->{requests} - $wrk, '>=', 0, 'as wrk has');
    cmp_ok($b->{requests} - $wrk, '<=', 8, 'and those that it broke off at its end');
    my %by = map { $_->{address} => $_->{requests} } @{ $b->{members} };
    is($by{ $_->url }, $_->seen($from), 'each member, too') for @m;
    my $sum = 0;
    $sum += $_ for values %{ $b->{ends} };
    is($sum, $b->{requests}, 'how they ended');
    $sum = 0;
    $sum += $_ for values %{ $b->{answers} };
    is($sum, $b->{requests}, 'with what status');
    cmp_ok($b->{answers}{'2xx'}, '>=', $wrk, 'well');
    is($b->{errors}, 0, 'no error');
    is($s->status_json->{check}, 'ok', 'the ledger is sound');
    ok($b->{bytes_out} >= $wrk * 3, 'bytes') or diag($b->{bytes_out});

    my $text = metrics($s);
    my ($rc, $complaints) = promtool($text);
    is("$rc $complaints", '0 ', 'promtool finds nothing');
    my $got = samples($text);
    is($got->{'appbalance_requests_total{balancer="app",end="ok",status="2xx"}'}, $b->{answers}{'2xx'}, 'the figures for a monitoring system are the same');
    is($got->{ sprintf 'appbalance_member_requests_total{balancer="app",member="%s"}', $_->url }, $by{ $_->url }, 'of each member') for @m;
    is($got->{'appbalance_request_duration_seconds_count{balancer="app"}'}, $b->{requests}, 'and of the times');
    is($got->{'appbalance_sent_bytes_total{balancer="app"}'}, $b->{bytes_out}, 'and of the bytes');

    my $open = $s->get('/-/status', { headers => { Accept => 'application/openmetrics-text' } })->{content};
    my $other = samples($open);
    is_deeply({ map { $_ => $other->{$_} } grep { /requests_total|_count/ } keys %$other }, { map { $_ => $got->{$_} } grep { /requests_total|_count/ } keys %$got }, 'OpenMetrics says the same');
    open_metrics($open);

    my $h;
    ok((wait_until { $h = $s->status_balancer->{history}; my $n = 0; $n += $_ for @{ $h->{requests} }; abs($n * 5 - $b->{requests}) <= @{ $h->{requests} } } 12), 'the history has all of them, in seconds') or diag(explain($h));
    is(scalar @{ $h->{$_} }, scalar @{ $h->{requests} }, "as many steps of $_") for qw(errors queue busy wait_ms p50_ms p90_ms p99_ms);
    my ($p50) = grep { defined } @{ $h->{p50_ms} };
    ok($p50 > 0, 'with how long they took');
    my $minute = $s->status_balancer->{latency_ms};
    ok($minute->{p50} > 0 && $minute->{p50} <= $minute->{p90} && $minute->{p90} <= $minute->{p99}, 'and the last minute\'s') or diag(explain($minute));
    $s->log_ok;
};

# OpenMetrics 1.0: each family once, its meta lines first, samples with the right suffixes, an end.
sub open_metrics {
    my ($text) = @_;
    my (%type, $family, @wrong);
    my %suffix = (gauge => qr/\A\z/, counter => qr/\A_total\z/, histogram => qr/\A_(?:bucket|sum|count)\z/);
    my @lines = split /\n/, $text;
    is(pop @lines, '# EOF', 'an end');
    for my $line (@lines) {
        if ($line =~ /\A# TYPE (\S+) (\S+)\z/) {
            push @wrong, "twice: $line" if $type{$1}++;
            $family = { name => $1, type => $2 };
            push @wrong, "the name has its suffix: $line" if $1 =~ /_total\z/;
        } elsif ($line =~ /\A# HELP (\S+) ./) {
            push @wrong, "elsewhere: $line" if $1 ne $family->{name};
        } elsif ($line =~ /\A(\w+)(?:\{\w+="(?:[^"\\\n]|\\[\\"n])*"(?:,\w+="(?:[^"\\\n]|\\[\\"n])*")*\})? -?[\d.]+\z/) {
            my $name = $1;
            push @wrong, "not of its family: $line" unless $name =~ /\A\Q$family->{name}\E(.*)\z/ && $1 =~ $suffix{ $family->{type} };
        } else {
            push @wrong, "what is this: $line";
        }
    }
    return is_deeply(\@wrong, [], 'OpenMetrics: families, names, labels');
}

subtest 'retries and hedges' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(status => 1, conf => "BalancerPass / app\n" . balancer('app', @m, 'BalancerMethod roundrobin', 'BalancerRetry on=503', 'BalancerHedge after=100ms budget=100%'));
    is($s->client->ask('GET', '/status/503')->status, 503, 'a request that fails everywhere') for 1 .. 3;
    my $b = $s->status_balancer;
    is("$b->{requests} $b->{retries} $b->{hedges}", '3 3 0', 'is one request and one retry');
    my $tries = () = map { $_->requests } @m;
    is($tries, 6, 'as the members have seen');
    is($s->client->ask('GET', '/slow?delay=400')->status, 200, 'a slow one');
    ok((wait_until { $s->status_balancer->{hedges} == 1 } 5), 'is hedged, which is counted');
    my $text = metrics($s);
    like($text, qr/^appbalance_retries_total\{balancer="app"\} 3$/m, 'for a monitoring system, too');
    like($text, qr/^appbalance_hedges_total\{balancer="app"\} 1$/m, 'both');
    $s->log_ok(allow => [trouble()]);
};

subtest 'failures are told of each member' => sub {
    my $m = Abl::Sick->start;
    my $gone = Abl::Sick->start;
    my $s = Abl::Server->start(status => 1, conf => "BalancerPass / app\n" . balancer('app', $m, $gone, 'BalancerEject failures=3 for=60s max-share=100%'));
    $s->get('/') for 1 .. 4;
    $m->be('500');
    $s->get("/x") for 1 .. 20;
    my $seen = $s->status_member($m);
    is($seen->{state}, 'ejected', 'it is left out');
    like($seen->{why}, qr/\A\d+ failures in a row; again in \d+ s\z/, 'why, and for how long');
    is_deeply([ map { $_->{why} } @{ $seen->{last_failures} } ], [ ('it has answered 500') x 3 ], 'what has failed last');
    ok($seen->{last_failures}[0]{ago_ms} <= $seen->{last_failures}[2]{ago_ms}, 'the newest first');
    $gone->stop;
    $s->get('/x') for 1 .. 2;
    ok((wait_until { $s->status_member($gone)->{state} eq 'away' } 5), 'another one is gone');
    is($s->status_member($gone)->{why}, 'cannot connect: Connection refused', 'why');
    is($s->status_member($gone)->{last_failures}[0]{why}, 'cannot connect: Connection refused', 'what has failed');
    my $up = samples(metrics($s));
    my @up = map { $up->{ sprintf 'appbalance_member_up{balancer="app",member="%s"}', $_->url } } $m, $gone;
    is("@up", '0 0', 'for a monitoring system, too');
    is($up->{ sprintf 'appbalance_member_state{balancer="app",member="%s",state="away"}', $gone->url }, 1, 'with the state');
    $s->log_ok(allow => [trouble]);
};

# ---- the stream

# Reads events of a stream until there are so many.
sub stream {
    my ($s, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->port) or die "connect: $!";
    print {$socket} "GET $o{path} HTTP/1.1\r\nHost: x\r\n\r\n";
    return { socket => $socket, in => '' };
}

sub event {
    my ($stream) = @_;
    my $until = time + 15;
    while (time < $until) {
        if ($stream->{in} =~ s/\A.*?data: (\{.*?\})\r?\n(?:\r\n[0-9a-f]*\r\n)?\n//s) { return JSON::PP::decode_json($1) }
        my $rin = '';
        vec($rin, fileno $stream->{socket}, 1) = 1;
        next unless select $rin, undef, undef, 1;
        sysread $stream->{socket}, $stream->{in}, 65536, length $stream->{in} or last;
    }
    die "no event: $stream->{in}\n";
}

# A member of the stream, with what docs/steering.md says is left out.
sub in_full {
    my ($member) = @_;
    my ($no, $yet) = (JSON::PP::false, undef);
    return {
        state => 'up', why => $yet, status => 'on', set => 0, weight => 1, share => 100, concurrency => 0, (map { $_ => 0 } qw(busy queued requests failures bytes ejected_for_ms)),
        latency_ms => $yet, percentiles_ms => { p50 => $yet, p90 => $yet, p99 => $yet }, configured => { status => 'on', weight => 1, concurrency => 0 },
        steered => [], last_failures => [], (map { $_ => $no } qw(added supervised away unfit unproven ejected draining removed)), %$member,
    };
}

subtest 'a stream of changes' => sub {
    plan skip_all => 'only the event MPM can let a stream wait without a thread' if Abl::Server->default_mpm ne 'event';
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(status => 1, threads => 8, conf => "BalancerPass / app\n" . balancer('app', $m[0], [ $m[1], 'weight=2 concurrency=3 status=backup set=1' ])
        . balancer('other', 'BalancerMember http://127.0.0.1:9'));
    my $one = stream($s, path => '/-/status?as=stream');
    my $first = event($one);
    is($first->{whole}, JSON::PP::true, 'all of it first');
    is(scalar @{ $first->{balancers} }, 2, 'every balancer');
    is(scalar @{ $first->{balancers}[0]{members} }, 2, 'and member');
    is_deeply([ map { in_full($_) } map { @{ $_->{members} } } @{ $first->{balancers} } ], [ map { @{ $_->{members} } } @{ $s->status_json->{balancers} } ], 'of which only what is usual is left out');
    is_deeply([ sort keys %{ $first->{balancers}[1]{members}[0] } ], [qw(address route)], 'of one of which there is nothing to say, all else is');
    my $next = event($one);
    is($next->{whole}, JSON::PP::false, 'then what has changed');
    ok($next->{time} > $first->{time}, 'later');
    is(scalar(grep { $_->{name} eq 'other' && @{ $_->{members} } } @{ $next->{balancers} }), 0, 'not what is as before');
    $s->client->ask('GET', '/');
    my $changed;
    ok((wait_until { my $event = event($one); ($changed) = grep { $_->{name} eq 'app' && @{ $_->{members} } } @{ $event->{balancers} }; $changed } 10), 'a request is a change');
    is_deeply([ map { $_->{address} } @{ $changed->{members} } ], [ $m[0]->url ], 'of one member');
    is($changed->{requests}, 1, 'and its balancer');

    my @more = map { stream($s, path => '/-/status?as=stream') } 1 .. 31;
    is(event($_)->{whole}, JSON::PP::true, 'another reader') for @more;
    is($s->status_json->{check}, 'ok', 'thirty-two readers leave the eight threads to others');
    my ($seat) = grep { $_->{threads} } @{ $s->status_json->{seats} };
    is($seat->{parked}, 32, 'because they wait without one');
    is($s->client->ask('GET', '/-/status?as=stream')->status, 503, 'one more is too many');
    close $_->{socket} for @more;
    ok((wait_until { ($seat) = grep { $_->{threads} } @{ $s->status_json->{seats} }; $seat->{parked} == 1 } 10), 'readers that leave are gone') or diag(explain($seat));
    is(event($one)->{whole}, JSON::PP::false, 'the others go on');

    my $conf = slurp($s->dir . '/httpd.conf');
    spew($s->dir . '/httpd.conf', $conf =~ s/BalancerMember "\Q@{[$m[1]->url]}\E".*//r);
    my %old = map { $_ => 1 } $s->children;
    $s->signal('USR1');
    ok((wait_until { my @now = $s->children; @now && !grep { $old{$_} } @now } 15), 'a graceful restart is not held up');
    $one = stream($s, path => '/-/status?as=stream');
    is(scalar @{ event($one)->{balancers}[0]{members} }, 1, 'a new reader sees what there is now');
    $s->log_ok;
};

subtest 'who comes and goes' => sub {
    plan skip_all => 'only the event MPM can let a stream wait without a thread' if Abl::Server->default_mpm ne 'event';
    my $m = Abl::Member->start(name => 'a');
    my $new = Abl::Member->start(name => 'b');
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPass / app\n" . balancer('app', $m));
    my $manager = Abl::Manager->new($s);
    my $one = stream($s, path => '/m?as=stream');
    is(event($one)->{whole}, JSON::PP::true, 'all of it');
    $manager->act('add', member => $new->url);
    my $event;
    ok((wait_until { $event = event($one); $event->{whole} } 10), 'a member is added: all of it again');
    is(scalar @{ $event->{balancers}[0]{members} }, 2, 'with the new one');
    is($event->{events}[0]{action}, 'add', 'and what was done');
    $manager->act('remove', member => $new->url);
    ok((wait_until { $event = event($one); $event->{whole} } 10), 'and when it goes');
    is(scalar @{ $event->{balancers}[0]{members} }, 1, 'without it');
    $s->log_ok(allow => ['ABL0401']);
};

done_testing;
