# make demo: what it promises works, and nothing is left when it ends, whichever way.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 180;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use HTTP::Tiny;
use IO::Socket::INET;

needs('make');

my $root = Cwd::abs_path(dirname(__FILE__) . '/..');
my $tmp  = File::Temp::tempdir('abl-demo-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $tmp or die "$tmp: $!\n";
my $http = HTTP::Tiny->new(timeout => 20, keep_alive => 0, max_redirect => 0);

# Runs as from a terminal: make, and all below it in one process group.
sub demo {
    my (%o) = @_;
    my $port = $o{port} || Abl::Util::free_port();
    my $out  = "$tmp/out-$port";
    unlink $out;
    my $proc = Abl::Proc->start(
        cmd => [ 'make', '--no-print-directory', '-C', $root, 'demo', "DEMO_PORT=$port" ],
        # the demo runs the plain module, whatever the tests around it run
        env => { TMPDIR => $tmp, MAKEFLAGS => undef, MAKELEVEL => undef, MFLAGS => undef },
        out => $out,
        grace => 20,
    );
    wait_until { !$proc->alive || (-f $out && slurp($out) =~ /Ctrl-C stops/) } 60;
    return ($proc, $port, slurp($out));
}

sub get { my ($port, $path) = @_; return $http->get("http://127.0.0.1:$port$path") }

sub ends { my ($proc) = @_; return wait_until { !$proc->alive } 20 }

# Processes that have anything to do with this demo's folder or port.
sub remains {
    my ($port) = @_;
    my @left = glob "$tmp/appbalance-demo-*";
    for my $cmdline (glob '/proc/[0-9]*/cmdline') {
        open my $in, '<', $cmdline or next;
        local $/;
        my $text = <$in> // '';
        push @left, "$cmdline: $text" if $text =~ /\Q$tmp\E/;
    }
    push @left, "port $port" if Abl::Util::accepts($port);
    return @left;
}

sub leaves_nothing {
    my ($proc, $port, $out) = @_;
    my @pids = $out =~ /pid (\d+)/g;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(ends($proc), 'it ends') or diag(slurp("$tmp/out-$port"));
    is_deeply([ remains($port) ], [], 'no file, no process, no port is left');
    return is_deeply([ grep { kill 0, $_ } @pids ], [], 'no application server is left');
}

subtest 'what it shows works, and Ctrl-C ends it' => sub {
    my ($proc, $port, $out) = demo();
    like($out, qr{mod_appbalance demo at http://127\.0\.0\.1:$port/}, 'says where it is') or return diag($out);
    my ($path, $shown) = $out =~ m{ten lines do it, (\S+):\n\n(.*?)\n\n}s or return fail("no configuration in: $out");
    $shown =~ s/^    //mg;
    is(slurp($path), "$shown\n", 'the configuration is the one shown');
    is(scalar(split /\n/, $shown), 10, 'of ten lines');

    is(get($port, '/static/hello.txt')->{content}, slurp("$root/conf/demo/static/hello.txt"), 'a file');
    is(get($port, '/static/nothing')->{headers}{'x-member'}, undef, 'no file: httpd says so itself');
    like(get($port, '/')->{content}, qr{<a href="/whoami">}, 'the first page has links');
    my @turns = map { get($port, '/whoami')->{headers}{'x-member'} } 1 .. 4;
    like("@turns", qr/\A(?:A B A B|B A B A)\z/, 'the servers take turns');
    my $r = $http->post_form("http://127.0.0.1:$port/form", { name => 'Ann & <Bob>' });
    like($r->{content}, qr/Hello, Ann &amp; &lt;Bob&gt;!/, 'a form');
    $r = get($port, '/redirect');
    is("$r->{status} $r->{headers}{location}", "302 http://127.0.0.1:$port/whoami", 'a redirect');
    $r = $http->get("http://127.0.0.1:$port/counter", { headers => { Cookie => 'visits=41' } });
    like($r->{headers}{'set-cookie'}, qr/\Avisits=42;/, 'a cookie');
    is(get($port, '/nothing')->{status}, 404, 'a 404 of the application');

    my $slow = Abl::Client->connect(port => $port);
    $slow->request('GET', '/slow?seconds=1');
    is(get($port, '/static/hello.txt')->{status}, 200, 'a file while a page is slow');
    is_deeply([ map { get($port, '/whoami')->{status} } 1 .. 2 ], [ 200, 200 ], 'the other server answers too');
    is($slow->fill(0), 0, 'and the page was slow indeed');
    like($slow->response->body, qr/slept for 1 s/, 'the slow page comes');

    my ($pid) = $out =~ /A \(pid (\d+)\)/;
    kill KILL => $pid;
    is_deeply([ map { get($port, '/whoami')->{headers}{'x-member'} } 1 .. 4 ], [ ('B') x 4 ], 'one killed: the other answers all');
    my $said = wait_until { slurp("$tmp/out-$port") =~ /server A \(pid $pid\) has ended/ };
    ok($said, 'and it says so');

    kill INT => -$proc->pid;
    leaves_nothing($proc, $port, $out);
};

# TERM comes to make alone, a closed terminal hangs up on all.
for my $case ([ TERM => 1 ], [ HUP => -1 ]) {
    my ($signal, $whom) = @$case;
    subtest "$signal ends it too" => sub {
        my ($proc, $port, $out) = demo();
        is(get($port, '/whoami')->{status}, 200, 'it runs') or return diag($out);
        kill $signal => $whom * $proc->pid;
        leaves_nothing($proc, $port, $out);
    };
}

subtest 'a port that is taken' => sub {
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $@\n";
    my ($proc, $port, $out) = demo(port => $taken->sockport);
    ok(ends($proc), 'it ends');
    like($out, qr/Port $port on 127\.0\.0\.1 is taken\. Choose another one: make demo DEMO_PORT=/, 'and says what to do');
    close $taken;
    is_deeply([ remains($port) ], [], 'nothing is left');
};

done_testing;
