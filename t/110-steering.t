# balancer-manager's actions: what they do, what they say, and what they outlive.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use Abl::Manager;
use Abl::Team;
use JSON::PP ();
use Time::HiRes qw(time);

sub begin {
    my ($n, @parts) = @_;
    my @m = map { Abl::Member->start(name => chr 96 + $_) } 1 .. $n;
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPass / app\n" . balancer('app', @m, @parts));
    return ($s, Abl::Manager->new($s), @m);
}

# Who answers so many requests, one after the other: { a => 3, … }
sub answers { my ($s, $n, $fields) = @_; my %n; $n{ $s->client->ask('GET', '/', $fields || [])->field('X-Member') // 'none' }++ for 1 .. $n; return \%n }

sub done { my ($what, $status, $got) = @_; return ok($status == 200 && $got->{done}, $what) || diag(explain($status, $got)) }

sub over { my ($s, @allow) = @_; return $s->log_ok(allow => [ 'ABL0401', @allow ]) }

subtest 'enable, drain, disable' => sub {
    my ($s, $manager, @m) = begin(2, 'BalancerAffinity header=X-To');
    my $to_a = [ 'X-To' => $manager->member($m[0])->{route} ];
    done('drain', $manager->act('drain', member => $m[0]->url, reason => 'disk change'));
    is_deeply(answers($s, 4), { b => 4 }, 'a member that drains gets no new work');
    is_deeply(answers($s, 2, $to_a), { a => 2 }, 'but what belongs to it');
    my $seen = $manager->member($m[0]);
    is_deeply([ @$seen{qw(state status draining)} ], [ 'draining', 'drain', JSON::PP::true ], 'it can be seen');
    is($seen->{why}, 'drained from 127.0.0.1: disk change', 'and why');
    is_deeply($seen->{steered}, ['status'], 'and that the configuration says something else');
    done('weight', $manager->act('weight', member => $m[0]->url, value => 2, reason => 'another thing'));
    is($manager->member($m[0])->{why}, 'drained from 127.0.0.1: disk change', 'which is about this only');
    done('disable', $manager->act('disable', member => $m[0]->url));
    is_deeply(answers($s, 2, $to_a), { b => 2 }, 'a disabled one gets nothing');
    is($manager->member($m[0])->{state}, 'disabled', 'it can be seen');
    done('enable', $manager->act('enable', member => $m[0]->url));
    is(answers($s, 4)->{a} > 0, 1, 'and all again');
    is_deeply($manager->member($m[0])->{steered}, ['weight'], 'its weight is still another');
    done('restore', $manager->act('restore', member => $m[0]->url));
    is_deeply([ @{ $manager->member($m[0]) }{qw(why weight)}, scalar @{ $manager->member($m[0])->{steered} } ], [ undef, 1, 0 ], 'nothing is left of it');
    ok($s->await_log(qr/\[client 127\.0\.0\.1:\d+\] ABL0401: balancer-manager: balancer app: drain \S+, from 127\.0\.0\.1: disk change$/m), 'the log tells who, what, from where and why');
    my @events = @{ $manager->json->{events} };
    is_deeply([ map { $_->{action} } @events ], [qw(restore enable disable weight drain)], 'so does the JSON, the newest first');
    is_deeply([ @{ $events[4] }{qw(who from balancer target value reason result)} ], [ undef, '127.0.0.1', 'app', $m[0]->url =~ s{/\z}{}r, undef, 'disk change', 'done' ], 'with all there is to say');
    over($s);
};

subtest 'members that the configuration disables' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPass / app\n" . balancer('app', $m[0], 'BalancerMember ' . $m[1]->url . ' status=disabled'));
    my $manager = Abl::Manager->new($s);
    is($manager->member($m[1])->{why}, 'disabled in the configuration', 'why');
    is_deeply(answers($s, 2), { a => 2 }, 'one is not used');
    done('enable', $manager->act('enable', member => $m[1]->url));
    is(answers($s, 4)->{b}, 2, 'it is, now');
    is_deeply([ @{ $manager->member($m[1]) }{qw(status configured)} ], [ 'on', { status => 'disabled', weight => 1, concurrency => 0 } ], 'both can be seen');
    done('restore', $manager->act('restore', member => $m[1]->url));
    is_deeply(answers($s, 2), { a => 2 }, 'as before');
    over($s);
};

subtest 'weight and concurrency' => sub {
    my ($s, $manager, @m) = begin(2);
    done('weight', $manager->act('weight', member => $m[0]->url, value => 3));
    is_deeply(answers($s, 8), { a => 6, b => 2 }, 'three of four');
    done('disable', $manager->act('disable', member => $m[1]->url));
    done('concurrency', $manager->act('concurrency', member => $m[0]->url, value => 1));
    my @c = map { $s->client } 1 .. 3;
    $_->request('GET', '/gate/x') for @c;
    $m[0]->await_requests(7);
    ok((wait_until { $manager->balancer->{queue}{length} == 2 } 5), 'one at a time from now on, the others wait');
    is($manager->member($m[0])->{state}, 'full', 'it can be seen');
    done('no limit', $manager->act('concurrency', member => $m[0]->url, value => 0));
    ok((wait_until { $manager->balancer->{queue}{length} == 0 } 5), 'who waits is served at once when there is room');
    $m[0]->await_requests(9);
    $m[0]->release;
    is($_->response->status, 200, 'answered') for @c;
    over($s);
};

subtest 'a limit that was set here is kept when clients leave' => sub {
    my ($s, $manager, @m) = begin(1);
    done('concurrency', $manager->act('concurrency', member => $m[0]->url, value => 1));
    my $gone = $s->client;
    $gone->request('GET', '/gate/x');
    $m[0]->await_requests(1);
    $gone->abort;
    ok($s->await_access(qr/^499 .*gate/m), 'a client has left');
    my $next = $s->client;
    $next->request('GET', '/next');
    ok((wait_until { $manager->balancer->{queue}{length} == 1 } 5), 'the member is still at work: the next one waits');
    is(scalar $m[0]->requests, 1, 'and has not been sent');
    $m[0]->release;
    is($next->response->status, 200, 'until it has ended');
    over($s);
};

subtest 'eject and return' => sub {
    my ($s, $manager, @m) = begin(2);
    done('eject', $manager->act('eject', member => $m[0]->url, value => 600, reason => 'looks odd'));
    is_deeply(answers($s, 4), { b => 4 }, 'it is left out');
    like($manager->member($m[0])->{why}, qr/\Aejected from 127\.0\.0\.1: looks odd; again in \d+ s\z/, 'why, and for how long');
    ok($s->await_log(qr/ABL0084: balancer app: \S+ is left out for \d+\.\d s, by hand/), 'the log tells');
    done('return', $manager->act('return', member => $m[0]->url));
    is_deeply(answers($s, 4), { a => 2, b => 2 }, 'it is back');
    done('eject', $manager->act('eject', member => $m[1]->url, value => 1));
    ok((wait_until { answers($s, 1)->{b} } 5), 'which happens by itself when its time is over');
    over($s, qw(ABL0084 ABL0074));
};

subtest 'add and remove' => sub {
    my ($s, $manager, @m) = begin(1, 'BalancerPlaces 2 concurrency=1');
    my @new = map { Abl::Member->start(name => "new$_") } 1 .. 3;
    is_deeply($manager->balancer->{places}, { free => 2, all => 2 }, 'there are places');
    is(scalar @{ $manager->balancer->{members} }, 1, 'which are no members');
    done('add', $manager->act('add', member => $new[0]->url, weight => 3));
    is_deeply(answers($s, 8), { a => 2, new1 => 6 }, 'a new member gets its part');
    my $seen = $manager->member($new[0]);
    is_deeply([ @$seen{qw(added weight concurrency state)}, $seen->{at}[0] ], [ JSON::PP::true, 3, 1, 'up', $new[0]->authority ], 'it can be seen');
    my ($status, $got) = $manager->act('add', member => $new[0]->url);
    is("$status $got->{error}", '409 ABL0411', 'only once');
    ($status, $got) = $manager->act('add', member => $m[0]->url);
    is("$status $got->{error}", '409 ABL0411', 'nor one of the configuration');
    done('a second one', $manager->act('add', member => $new[1]->url));
    ($status, $got) = $manager->act('add', member => $new[2]->url);
    is("$status $got->{error}", '409 ABL0412', 'as many as there are places');
    done('drain', $manager->act('drain', member => $new[0]->url));
    is(answers($s, 4)->{new1}, undef, 'it is steered as the others');
    my $busy = $s->client;
    done('the other ones are out of the way', $manager->act('disable', member => $m[0]->url));
    $busy->request('GET', '/gate/x');
    $new[1]->await_requests(3);
    done('remove', $manager->act('remove', member => $new[1]->url));
    ok(!$manager->member($new[1]), 'it is gone');
    done('enable', $manager->act('enable', member => $m[0]->url));
    is_deeply(answers($s, 2), { a => 2 }, 'nobody is sent there');
    $new[1]->release;
    is($busy->response->status, 200, 'who was there finishes');
    done('its place is free', $manager->act('add', member => $new[2]->url));
    ($status, $got) = $manager->act('remove', member => $m[0]->url);
    is("$status $got->{error}", '409 ABL0414', 'the configuration is not changed');
    is($manager->json->{check}, 'ok', 'the ledger is sound');
    over($s, 'ABL0430');
};

subtest 'places beside names and cookies' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPass / app\n" . balancer('app', "BalancerMember http://localhost.:@{[$m[0]->port]} expand=4", $m[1], 'BalancerAffinity cookie=SID', 'BalancerPlaces 8 concurrency=3') . balancer('other', $m[0], 'BalancerPlaces 8 concurrency=3'));
    my $manager = Abl::Manager->new($s);
    my $new = Abl::Member->start(name => 'new');
    done('add', $manager->act('add', member => $new->url));
    done('the other one is out of the way', $manager->act('disable', member => $m[1]->url));
    my ($cookie, $who);
    ok((wait_until { my $r = $s->client->ask('GET', '/'); $who = $r->field('X-Member') // ''; ($cookie) = ($r->field('Set-Cookie') // '') =~ /(SID=[0-9a-f]{16})/; $who eq 'new' } 10), 'an added member answers');
    is(answers($s, 5, [ Cookie => $cookie ])->{new}, 5, 'its cookie brings the client back');
    is(answers($s, 3, [ Cookie => 'SID=0123456789abcdef' ])->{none}, undef, 'a cookie of nobody\'s does no harm');
    unlike(slurp($s->dir . '/error.log'), qr/ABL0193/, 'places are at no address: two balancers may have them');
    over($s, trouble);
};

subtest 'what an added member is called' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPass / app\nBalancerPreserveHost off\nLogFormat \"%U %{BALANCER_MEMBER_NAME}e\" f\nCustomLog \@DIR\@/f.log f\n" . balancer('app', $m[0], 'BalancerPlaces 1'));
    my $manager = Abl::Manager->new($s);
    done('add', $manager->act('add', member => $m[1]->url));
    done('the other one is out of the way', $manager->act('disable', member => $m[0]->url));
    my $r = $s->client->ask('GET', '/redirect?to=' . $m[1]->url . '/there');
    is($m[1]->last_request->field('Host'), $m[1]->authority, 'it is told its own name');
    is($r->field('Location'), 'http://localhost/there', 'and what it says of itself is made good');
    ok((wait_until { -f $s->dir . '/f.log' && slurp($s->dir . '/f.log') =~ m{^/redirect \Q@{[$m[1]->url]}\E$}m } 5), 'log lines have its address');
    $s->client->ask('POST', '/reset-before', [], 'y');
    ok($s->await_log(qr{ABL0003: balancer app: \Q@{[$m[1]->url]}\E: }), 'and messages');
    over($s, trouble);
};

subtest 'a graceful restart' => sub {
    my ($s, $manager, @m) = begin(3, 'BalancerPlaces 1');
    my $new = Abl::Member->start(name => 'new');
    done('drain', $manager->act('drain', member => $m[0]->url, reason => 'why'));
    done('disable', $manager->act('disable', member => $m[1]->url));
    done('weight', $manager->act('weight', member => $m[2]->url, value => 5));
    done('concurrency', $manager->act('concurrency', member => $m[2]->url, value => 7));
    done('add', $manager->act('add', member => $new->url));
    my $before = [ map { [ @$_{qw(address status draining weight concurrency why)} ] } @{ $manager->balancer->{members} } ];
    my $token = $manager->{token};
    graceful($s);
    is_deeply([ map { [ @$_{qw(address status draining weight concurrency why)} ] } @{ $manager->balancer->{members} } ], $before, 'everything is as it was');
    is($manager->{token}, $token, 'the session goes on');
    is_deeply(answers($s, 6), { c => 5, new => 1 }, 'and holds');

    my $conf = slurp($s->dir . '/httpd.conf');
    spew($s->dir . '/httpd.conf', $conf =~ s/(BalancerMember "\Q@{[$m[2]->url]}\E")/$1 weight=2/r);
    graceful($s);
    is_deeply([ @{ $manager->member($m[2]) }{qw(weight concurrency steered)} ], [ 2, 7, ['concurrency'] ], 'the configuration wins, where it has changed');
    my ($event) = @{ $manager->json->{events} };
    is("$event->{action} $event->{result}", 'dropped the configuration has changed, and wins: weight', 'and it is told');
    over($s);
};

sub graceful {
    my ($s) = @_;
    my %old = map { $_ => 1 } $s->children;
    $s->signal('USR1');
    ok((wait_until { my @now = $s->children; @now && !grep { $old{$_} } @now } 15), 'a graceful restart');
    return;
}

subtest 'a full stop' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b c);
    my $new = Abl::Member->start(name => 'new');
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPersist keep.json\nBalancerPass / app\n" . balancer('app', @m, 'BalancerPlaces 1'));
    my $manager = Abl::Manager->new($s);
    my $file = $s->dir . '/keep.json';
    is($manager->json->{steering}{persist}, $file, 'where it is kept');
    done('drain', $manager->act('drain', member => $m[0]->url, reason => "\x{fc}ber Nacht"));
    done('disable', $manager->act('disable', member => $m[1]->url));
    done('weight', $manager->act('weight', member => $m[2]->url, value => 1.5));
    done('add', $manager->act('add', member => $new->url, weight => 0.5));
    my @facts = qw(address status draining weight concurrency why steered added);
    my $before = [ map { [ @$_{@facts} ] } @{ $manager->balancer->{members} } ];
    ok((wait_until { @{ kept($file) } == 4 } 5), 'the control process has written it');
    is((stat $file)[2] & 0777, 0600, 'for nobody else');
    $s->again;
    $manager = Abl::Manager->new($s);
    is_deeply([ map { [ @$_{@facts} ] } @{ $manager->balancer->{members} } ], $before, 'all of it is there again') or diag(explain($manager->balancer->{members}));
    is_deeply(answers($s, 8), { c => 6, new => 2 }, 'and holds');

    my $conf = slurp($s->dir . '/httpd.conf');
    spew($s->dir . '/httpd.conf', $conf =~ s/(BalancerMember "\Q@{[$m[1]->url]}\E")/$1 status=backup/r =~ s/BalancerMember "\Q@{[$m[2]->url]}\E".*//r);
    $s->again;
    $manager = Abl::Manager->new($s);
    is($manager->member($m[1])->{status}, 'backup', 'the configuration has changed, and wins');
    ok($s->await_log(qr/ABL0425: balancer app: \S+: the configuration says something else now than when its status was changed by hand, and wins/), 'which is told');
    ok($s->await_log(qr/ABL0424: balancer app has no member \S+ any more: what was changed by hand about it is forgotten/), 'and what was about one that is gone');
    ok((wait_until { @{ kept($file) } == 2 } 5), 'the file follows');

    $s->halt;
    spew($file, '{"version": 1, "members": [{"balancer": "app"}]}');
    $s->again;
    ok($s->await_log(qr/ABL0426: BalancerPersist \S+ cannot be read: member 1 of its list is not understood/), 'a file of somebody else\'s');
    ok(-f "$file.unreadable", 'is put aside');
    is(Abl::Manager->new($s)->member($m[0])->{state}, 'up', 'and httpd begins without');
    $s->halt;
    spew($file, '{"version');
    $s->again;
    ok($s->await_log(qr/ABL0426: .*, in line 1; what was changed/), 'half a file');
    over($s, qw(ABL0424 ABL0425 ABL0426));
};

sub kept { my ($file) = @_; return -f $file ? eval { JSON::PP::decode_json(slurp($file))->{members} } || [] : [] }

subtest 'a file that cannot be written' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => Abl::Manager->conf . "BalancerPersist htdocs/kept/keep.json\nBalancerPass / app\n" . balancer('app', $m), files => { 'kept/x.txt' => '' });
    my $manager = Abl::Manager->new($s);
    my $folder = $s->dir . '/htdocs/kept';
    ok((wait_until { -f "$folder/keep.json" } 5), 'there is a file');
    my $moved = "$folder.away";
    rename $folder, $moved or die "rename: $!";
    done('drain', $manager->act('drain', member => $m->url));
    ok($s->await_log(qr/ABL0082: BalancerPersist \S+ cannot be written/), 'its folder is gone: the log tells');
    rename $moved, $folder or die "rename: $!";
    ok((wait_until { @{ kept("$folder/keep.json") } == 1 } 15), 'it is tried again');
    ok($s->await_log(qr/ABL0083/), 'and told');
    over($s, qw(ABL0082 ABL0083));
};

subtest 'applications' => sub {
    my $t = Abl::Team->start(keys => 'instances=2 memory=500M', conf => Abl::Manager->conf);
    my $s = $t->server;
    my $manager = Abl::Manager->new($s);
    ok($t->await_ready(2), 'two are ready');
    my @before = $t->pids;
    $s->get('/say/hello-there');
    my $instance = (grep { $_->{pid} == $before[0] } @{ $manager->json->{applications}[0]{instances} })[0];
    is_deeply([ @$instance{qw(restarts memory_limit)} ], [ 0, 500 * 1048576 ], 'an instance');
    ok((wait_until { grep { /hello-there/ } map { @{ $_->{last_lines} } } @{ $manager->json->{applications}[0]{instances} } } 5), 'and what it has said');
    done('restart', $manager->act('restart', application => 'web', instance => $instance->{instance}, reason => 'it leaks'));
    ok((wait_until { my %now = map { $_ => 1 } $t->pids; keys %now == 2 && !$now{ $before[0] } && $now{ $before[1] } } 15), 'one is replaced, the other not');
    my ($ended) = @{ $manager->json->{applications}[0]{ended} };
    is_deeply([ @$ended{qw(instance pid)} ], [ $instance->{instance}, $before[0] ], 'which has ended last');
    like($ended->{why}, qr/\Arestarted by hand; /, 'and why');
    ok($s->await_log(qr/ABL0081: balancer \S+: application web: instance \d+ is replaced by hand/), 'the log tells');
    my @now = $t->pids;
    done('roll', $manager->act('roll', application => 'web'));
    ok((wait_until { my %now = map { $_ => 1 } $t->pids; keys %now == 2 && !grep { $now{$_} } @now } 20), 'all are replaced');
    ok((wait_until { 2 == grep { $_->{why} =~ /\Arolling restart; / } @{ $manager->json->{applications}[0]{ended} } } 5), 'and why');
    my ($status, $got) = $manager->act('roll', application => 'other');
    is("$status $got->{error}", '404 ABL0415', 'no such application');
    ($status, $got) = $manager->act('restart', application => 'web', instance => 99);
    is("$status $got->{error}", '404 ABL0416', 'no such instance');
    over($s, 'ABL0430', qr/ABL0030/);
};

subtest 'statistics begin anew' => sub {
    my ($s, $manager, @m) = begin(1);
    answers($s, 3);
    ok((wait_until { $manager->balancer->{requests} == 3 } 5), 'three requests');
    is($manager->balancer->{reset_at}, undef, 'ever');
    my $busy = $s->client;
    $busy->request('GET', '/gate/x');
    $m[0]->await_requests(4);
    done('reset', $manager->act('reset'));
    my $b = $manager->balancer;
    is_deeply([ $b->{requests}, @{ $b->{members}[0] }{qw(requests failures bytes busy)} ], [ 0, 0, 0, 0, 1 ], 'nothing is counted, and what is busy is busy');
    cmp_ok(abs($b->{reset_at} - time), '<', 10, 'and since when');
    $m[0]->release;
    $busy->response;
    ok((wait_until { $manager->balancer->{requests} == 1 } 5), 'it goes on from there');
    over($s);
};

subtest 'what is not understood' => sub {
    my ($s, $manager, @m) = begin(1);
    my $member = $m[0]->url;
    my $long = 'x' x 201;
    my @cases = (
        [ '[1', 400, 'ABL0419', qr/not JSON/ ], [ '[]', 400, 'ABL0419', qr/one JSON object/ ], [ '', 400, 'ABL0419', qr/not JSON/ ],
        [ '{"action":"drain","action":"enable"}', 400, 'ABL0419', qr/duplicate/ ],
        [ '{"action":"drain"}', 400, 'ABL0420', qr/"balancer" are needed/ ], [ '{"action":"go","balancer":"app"}', 400, 'ABL0417', qr/known are enable/ ],
        [ '{"action":"drain","balancer":"app"}', 400, 'ABL0418', qr/"member" is missing/ ], [ '{"action":"roll","balancer":"app"}', 400, 'ABL0418', qr/"application" is missing/ ],
        [ '{"action":"drain","balancer":"app","member":"http://127.0.0.1:1"}', 404, 'ABL0405', qr/no member/ ],
        [ qq({"action":"drain","balancer":"other","member":"$member"}), 404, 'ABL0405', qr/no such balancer/ ],
        [ '{"action":"reset","balancer":"other"}', 404, 'ABL0413', qr/no balancer other/ ],
        [ qq({"action":"weight","balancer":"app","member":"$member"}), 400, 'ABL0406', qr/0\.01 to 100/ ],
        [ qq({"action":"weight","balancer":"app","member":"$member","value":0}), 400, 'ABL0406', qr/0\.01/ ],
        [ qq({"action":"weight","balancer":"app","member":"$member","value":"2"}), 400, 'ABL0419', qr/"value" must be a number/ ],
        [ qq({"action":"concurrency","balancer":"app","member":"$member","value":1.5}), 400, 'ABL0407', qr/whole number/ ],
        [ qq({"action":"concurrency","balancer":"app","member":"$member","value":-1}), 400, 'ABL0407', qr/whole number/ ],
        [ qq({"action":"eject","balancer":"app","member":"$member","value":0}), 400, 'ABL0408', qr/1 to 86400/ ],
        [ qq({"action":"eject","balancer":"app","member":"$member","value":1e300}), 400, 'ABL0408', qr/1 to 86400/ ],
        [ '{"action":"add","balancer":"app","member":"https://10.0.0.1:8080"}', 400, 'ABL0409', qr/plain addresses/ ],
        [ '{"action":"add","balancer":"app","member":"http://app.internal:8080"}', 400, 'ABL0409', qr/plain addresses/ ],
        [ '{"action":"add","balancer":"app","member":"http://10.0.0.1:99999"}', 400, 'ABL0409', qr/port/ ],
        [ '{"action":"add","balancer":"app","member":"http://10.0.0.1:80","weight":0}', 400, 'ABL0410', qr/0\.01 to 100/ ],
        [ qq({"action":"drain","balancer":"app","member":"$member","reason":"$long"}), 400, 'ABL0419', qr/"reason" must be a text of at most 200 bytes/ ],
        [ qq({"action":"drain","balancer":"app","member":"$member","reason":"two\\nlines"}), 400, 'ABL0419', qr/control characters/ ],
        [ qq({"action":"drain","balancer":"app","member":"$member","reason":"\\u0000"}), 400, 'ABL0419', qr/./ ],
        [ qq({"action":"drain","balancer":"app","member":"$member","colour":1}), 400, 'ABL0419', qr/"colour" is not known/ ],
        [ qq({"action":"restart","balancer":"app","application":"web","instance":1.5}), 400, 'ABL0419', qr/whole number/ ],
        [ '[' x 5000, 400, 'ABL0419', qr/./ ], [ '{"reason":"' . ('x' x 70000) . '"}', 413, 'ABL0404', qr/64 kB/ ],
    );
    for my $case (@cases) {
        my ($body, $status, $id, $message) = @$case;
        my ($got, $answer) = $manager->post($body);
        is("$got $answer->{error}", "$status $id", substr $body, 0, 70) or diag(explain($answer));
        like($answer->{message}, $message, 'and why');
    }
    is_deeply([ @{ $manager->member($m[0]) }{qw(state steered)} ], [ 'up', [] ], 'nothing has changed');
    is(scalar @{ $manager->json->{events} }, 0, 'and nothing was done');
    over($s, 'ABL0430');
};

done_testing;
