# Real servers, looked after by BalancerApp in each of the ways an instance can be told where to listen: no request fails,
# whatever happens to them, and nothing of them is left when httpd has ended.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 300;
use Abl::App;
use Abl::Team;
use File::Temp ();

my $apps = Abl::App->folder;

# Where the generated application is: its user is another one when root starts httpd.
sub catalyst {
    my $folder = File::Temp::tempdir('abl-catalyst-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $folder or die "$folder: $!\n";
    chomp(my $made = qx($^X $apps/make-catalyst.pl $folder));
    ok(-x "$made/script/seed_server.pl", 'Catalyst has made an application') or return;
    mkdir "$made/tmp" or die "$made/tmp: $!\n";
    return $made;
}

# needs; what Abl::Team needs; page => [path, what it says], asked for under load as well; processes: of each instance.
my %kind = (
    catalyst => {
        needs   => [qw(Catalyst::Helper Catalyst::Devel Catalyst::Runtime)],
        dir     => \&catalyst,
        place   => 'port',
        command => "$^X script/seed_server.pl --host 127.0.0.1 --port %{port}",
        page    => [ '/hello', qr/\Ahello from \d+\n\z/ ],
        # the default of restart-file=
        touch   => 'tmp/restart.txt',
    },
    # The folder is its own, so that a restart file can be put there. It finds its socket in SERVER_STARTER_PORT; --listen is not
    # used then. It sets $0, which overwrites its environment.
    starman => {
        needs     => [qw(starman Net::Server::SS::PreFork Plack::Request)],
        place     => 'fd port',
        command   => "starman --workers 2 $apps/app.psgi",
        keys      => 'concurrency=2 ready-uri=/hello env:PLACK_ENV=deployment',
        page      => [ '/hello', qr/\Ahello from \d+\n\z/ ],
        processes => 3,
    },
    node => {
        needs   => ['node'],
        place   => 'socket',
        command => "node $apps/server.js %{socket}",
        keys    => 'concurrency=0 ready-uri=/hello',
        page    => [ '/hello', qr/\Ahello from node\n\z/ ],
    },
    python => {
        needs   => ['python3'],
        place   => 'port',
        command => 'python3 -m http.server --bind 127.0.0.1 %{port}',
        files   => { 'page.txt' => "hello from a file\n" },
        page    => [ '/page.txt', qr/\Ahello from a file\n\z/ ],
    },
);

# So that what is missing is a skip of its kind only, or a failure where nothing may be skipped.
sub is_there {
    my ($name) = @_;
    return 1 if $name =~ /::/ ? eval "require $name; 1" : Abl::Util::tool($name);
    die "$name is missing, and nothing may be skipped here\n" if $ENV{CI} || $ENV{ABL_ALL};
    return 0;
}

# Clients ask while this is done, and a while before and after; none of them sees anything but 200.
sub under_load {
    my ($t, $what, $path, $code) = @_;
    my $load = Abl::Load->start(port => $t->server->port, clients => 4, path => $path);
    $t->serves(20);
    $code->();
    $t->serves(20);
    return $t->unharmed($load, $what, 40);
}

# All of them are others, and at rest.
sub renewed {
    my ($t, @before) = @_;
    my %old = map { $_ => 1 } @before;
    return wait_until {
        my $app = $t->app;
        my @all = @{ $app->{instances} };
        return !$app->{rolling} && @all == 2 && !grep { $_->{state} ne 'ready' || $old{ $_->{pid} } } @all;
    } 60;
}

sub looked_after {
    my ($kind) = @_;
    my $dir = $kind->{dir} ? $kind->{dir}->() // return : undef;
    my $t = Abl::Team->start(
        command => $kind->{command}, place => $kind->{place}, dir => $dir,
        keys    => 'instances=2 log=@DIR@/said.log ' . ($kind->{touch} ? '' : 'restart-file=@DIR@/restart ') . ($kind->{keys} || ''),
    );
    spew($t->dir . "/$_", $kind->{files}{$_}) for keys %{ $kind->{files} || {} };
    my ($s, $path, $text) = ($t->server, @{ $kind->{page} });
    ok($t->await_ready(2, 60), 'two are ready') or return diag(explain($t->app), eval { slurp($t->dir . '/said.log') });
    like($s->get($path)->{content}, $text, 'a page');
    ok((wait_until { $s->get($path); 2 == grep { $_->{requests} > 2 } $t->instances } 10), 'both serve') or diag(explain($t->app));
    cmp_ok(scalar($t->processes), '>=', 2 * ($kind->{processes} || 1), 'these are found');

    my @before = ($t->control, $t->pids);
    under_load($t, 'a graceful restart', $path, sub {
        $s->signal('USR1');
        ok((wait_until { 2 == (() = $s->log =~ /resuming normal operations/g) } 10), 'httpd restarts');
    });
    is_deeply([ $t->control, $t->pids ], \@before, 'the instances are the same');

    my ($victim, $other) = $t->pids;
    # These servers write the head and the body of an answer apart, and some request is between the two.
    under_load($t, 'kill -9', $path, sub {
        kill KILL => $victim;
        ok((wait_until { my @now = $t->pids; @now == 2 && !grep { $_ == $victim } @now } 30), 'another one takes its place');
    });
    ok((grep { $_ == $other } $t->pids), 'the other one has stayed');

    my @old = $t->pids;
    under_load($t, 'a rolling restart', $path, sub {
        spew($t->dir . '/' . ($kind->{touch} || 'restart'), '');
        ok(renewed($t, @old), 'the restart file renews all') or diag(explain($t->app));
    });

    $s->log_ok(allow => [qr/ABL0035: .* unasked: signal 9/]);
    is_deeply([ $t->processes ], [], 'nothing is left') or diag(map { qx(ps -fp $_) } $t->processes);
    return;
}

for my $name (sort keys %kind) {
    subtest $name => sub {
        for my $needed (@{ $kind{$name}{needs} }) { plan(skip_all => "$needed is not installed") unless is_there($needed) }
        looked_after($kind{$name});
    };
}

done_testing;
