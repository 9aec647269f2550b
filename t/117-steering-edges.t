# What is at the edges of seeing and steering: readers that do not read, files of others, what is lost and told.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 180;
use Abl::Manager;
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Socket qw(inet_aton sockaddr_in SOL_SOCKET SO_RCVBUF);

sub parked { my ($s) = @_; my $n = 0; $n += $_->{parked} for @{ $s->status_json->{seats} }; return $n }

sub streams { my ($s) = @_; return scalar(() = $s->access_log =~ m{as=stream}g) }

# It asks for the stream and takes next to nothing of it.
sub reader {
    my ($s) = @_;
    my $reader = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $reader, SOL_SOCKET, SO_RCVBUF, pack 'i', 2048 or die "SO_RCVBUF: $!";
    connect $reader, sockaddr_in($s->port, inet_aton('127.0.0.1')) or die "connect: $!";
    syswrite $reader, "GET /-/status?as=stream HTTP/1.1\r\nHost: a\r\n\r\n";
    return $reader;
}

subtest 'readers that do not read' => sub {
    plan(skip_all => 'there are no streams without the event MPM') if Abl::Server->default_mpm ne 'event';
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(
        status => 1, threads => 8,
        conf   => "SendBufferSize 4096\nTimeout 3\nBalancerPass / app\n" . balancer('app', $m, map {"BalancerMember http://127.0.0.9:$_ status=disabled"} 1001 .. 1300),
    );
    my @readers = map { reader($s) } 1 .. 16;
    ok((wait_until { parked($s) == 16 } 10), 'more readers than there are workers');
    is($s->get('/x')->{status}, 200, 'have none of them');
    ok((wait_until { parked($s) == 0 } 20), 'who takes nothing for the Timeout is gone');
    is(streams($s), 16, 'and logged');
    my @more = map { reader($s) } 1 .. 32;
    ok((wait_until { parked($s) == 32 } 10), 'their places are free again') or diag(parked($s));
    $s->log_ok(allow => [qr/AH00484/]);
};

sub graceful {
    my ($s) = @_;
    my %old = map { $_ => 1 } $s->children;
    $s->signal('USR1');
    ok((wait_until { my @now = $s->children; @now && !grep { $old{$_} } @now } 15), 'a graceful restart');
    return;
}

sub conf { my (@parts) = @_; return Abl::Manager->conf . "BalancerPersist keep.json\nBalancerPass / app\n" . balancer('app', @parts) }

sub change { my ($s, $from, $to) = @_; return spew($s->dir . '/httpd.conf', slurp($s->dir . '/httpd.conf') =~ s/\Q$from\E/$to/r) }

subtest 'what is lost is told, and nobody is said to have changed what he has not' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(conf => conf(@m));
    my $manager = Abl::Manager->new($s);
    $manager->act('weight', member => $m[0]->url, value => 5, reason => 'old');
    $manager->act('drain', member => $m[1]->url, reason => 'disk');
    change($s, 'BalancerMember "' . $m[0]->url . '"', 'BalancerMember "' . $m[0]->url . '" weight=2');
    change($s, 'BalancerMember "' . $m[1]->url . '"', 'BalancerMember "' . $m[1]->url . '" status=spare');
    graceful($s);
    is($manager->member($m[0])->{why}, undef, 'a weight that is the configuration\'s');
    is($manager->member($m[1])->{why}, undef, 'a status that is');
    my %told = map { $_->{target} => $_->{result} } grep { $_->{action} eq 'dropped' } @{ $manager->json->{events} };
    is_deeply(\%told, { $m[0]->url => 'the configuration has changed, and wins: weight', $m[1]->url => 'the configuration has changed, and wins: status' }, 'both are told');
    $manager->act('drain', member => $m[1]->url);
    ok((wait_until { slurp($s->dir . '/keep.json') =~ /"drain": true/ } 5), 'kept');
    $s->halt;
    change($s, 'status=spare', 'status=backup');
    $s->again;
    ok($s->await_log(qr/ABL0425: balancer app: \S+: the configuration says something else now than when its status was changed/), 'and over a full stop');
    $s->log_ok(allow => [qw(ABL0401 ABL0425)]);
};

subtest 'a member that is added and then comes into the configuration' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $line = 'BalancerMember "' . $m[1]->url . '"';
    my $s = Abl::Server->start(conf => conf(@m, 'BalancerPlaces 1'));
    my $manager = Abl::Manager->new($s);
    my @clients = map { $s->client } @m;
    $_->request('GET', '/gate/x') for @clients;
    $_->await_requests(1) for @m;
    change($s, $line, "#$line");
    $s->signal('USR1');
    ok((wait_until { my $seen = $manager->member($m[1]); $seen && $seen->{removed} } 10), 'it leaves the configuration, and is at work');
    my ($status) = $manager->act('add', member => $m[1]->url);
    is($status, 200, 'it is added');
    my %series;
    $series{$_}++ for map {/\A([^#].*) \S+\z/} split /\n/, $s->get('/m?as=metrics')->{content};
    is_deeply([ grep { $series{$_} > 1 } sort keys %series ], [], 'each series is there once');
    change($s, "#$line", $line);
    $s->signal('USR1');
    my $url = $m[1]->url;
    my $seen;
    ok((wait_until { $seen = [ grep { $_->{address} eq $url } @{ $manager->balancer->{members} } ]; !grep { $_->{added} || $_->{removed} } @$seen } 10), 'and comes back');
    is_deeply([ map { $_->{busy} } @$seen ], [1], 'once');
    is($manager->balancer->{places}{free}, 1, 'its place is free');
    my ($event) = @{ $manager->json->{events} };
    is("$event->{action} $event->{target} $event->{result}", "dropped $url the configuration has this member now, and what was added gives way", 'which is told');
    is($manager->json->{check}, 'ok', 'the ledger is sound');
    $_->release for @m;
    is($_->response->status, 200, 'nothing is lost') for @clients;
    $s->log_ok(allow => [qw(ABL0401)]);
};

subtest 'a folder that others write to' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => conf($m));
    my $manager = Abl::Manager->new($s);
    my $file = $s->dir . '/keep.json';
    ok((wait_until { -f $file } 5), 'it is kept');
    ok(POSIX::mkfifo("$file.new", 0666), 'a pipe stands where it is to be written');
    $manager->act('drain', member => $m->url);
    ok((wait_until { slurp($file) =~ /"drain": true/ } 5), 'nobody waits for who reads there');
    $s->halt;
    spew("$file.new", 'mine');
    chmod 0666, "$file.new";
    open my $mine, '<', "$file.new" or die "$file.new: $!";
    $s->again;
    ok((wait_until { !-e "$file.new" } 5), 'a file of somebody\'s');
    is(join('', <$mine>), 'mine', 'is not written to');
    is((stat $file)[2] & 0777, 0600, 'nor used');
    $s->halt;
    unlink $file;
    ok(POSIX::mkfifo($file, 0666), 'a pipe in place of the file');
    $s->again;
    ok($s->await_log(qr/ABL0426: BalancerPersist \S+ cannot be read: it is no file/), 'does not stop httpd from starting');
    $s->log_ok(allow => [qw(ABL0401 ABL0426)]);
};

subtest 'a file of which half is understood' => sub {
    my @m = map { Abl::Member->start(name => $_) } qw(a b);
    my $s = Abl::Server->start(conf => conf(@m));
    my $manager = Abl::Manager->new($s);
    my $file = $s->dir . '/keep.json';
    $manager->act('drain', member => $_->url) for @m;
    ok((wait_until { (() = slurp($file) =~ /"drain": true/g) == 2 } 5), 'kept');
    $s->halt;
    my $kept = JSON::PP::decode_json(slurp($file));
    $kept->{members}[1]{weight} = 0;
    spew($file, JSON::PP::encode_json($kept));
    $s->again;
    ok($s->await_log(qr/ABL0426: BalancerPersist \S+ cannot be read: member 2 of its list is not understood; what was changed by hand is forgotten/), 'it is told');
    is_deeply([ map { $_->{state} } @{ Abl::Manager->new($s)->balancer->{members} } ], [qw(up up)], 'and so it is');
    $s->log_ok(allow => [qw(ABL0401 ABL0426)]);
};

subtest 'a path that would be attributes of the cookie' => sub {
    my $s = Abl::Server->start(conf => Abl::Manager->conf . balancer('app', Abl::Member->start(name => 'a')));
    like($s->client->ask('GET', '/m/;Domain=test;x?as=json')->field('Set-Cookie'), qr{; Path=/m/%3BDomain=test%3Bx; HttpOnly; SameSite=Strict\z}, 'is none');
    $s->log_ok;
};

subtest 'an error document that a balancer gives' => sub {
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(conf => qq(LogFormat "%U %{BALANCER_NAME}e %{BALANCER_END}e %{BALANCER_TRIED}e" f\nCustomLog "\@DIR\@/f.log" f\n)
            . "ErrorDocument 503 /sorry\nBalancerPass /app dead\nBalancerPass /sorry app\n" . balancer('app', $m) . balancer('dead', 'BalancerMember http://127.0.0.9:1'));
    is($s->get('/app/x')->{status}, 503, 'nobody is there');
    ok((wait_until { -s $s->dir . '/f.log' } 5), 'a line');
    is(slurp($s->dir . '/f.log'), "/app/x dead no-member http://127.0.0.9:1\n", 'which is about the request, all of it');
    $s->log_ok(allow => [qw(ABL0002 ABL0070)]);
};

done_testing;
