# make demo: what it promises works, and nothing is left when it ends, whichever way.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 180;
use Abl::Demo;
use Cwd ();
use File::Basename qw(dirname);
use IO::Socket::INET;

needs('make');

my $root = Cwd::abs_path(dirname(__FILE__) . '/..');

sub leaves_nothing {
    my ($demo, @pids) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($demo->ends, 'it ends') or diag($demo->out);
    is_deeply([ $demo->remains ], [], 'no file, no process, no port is left');
    return is_deeply([ grep { kill 0, $_ } @pids ], [], 'no application server is left');
}

# Whoever has answered so many requests, in a row.
sub turns { my ($demo, $n) = @_; return map { $demo->get('/whoami')->{headers}{'x-member'} } 1 .. $n }

sub are_two { my %seen = map { $_ => 1 } @_; return keys %seen == 2 }

subtest 'what it shows works, and Ctrl-C ends it' => sub {
    my $demo = Abl::Demo->start;
    my ($port, $out) = ($demo->port, $demo->out);
    like($out, qr{mod_appbalance demo at http://127\.0\.0\.1:$port/}, 'says where it is') or return diag($out);
    my ($path, $shown) = $out =~ m{ten lines do it, (\S+):\n\n(.*?)\n\n}s or return fail("no configuration in: $out");
    $shown =~ s/^    //mg;
    is(slurp($path), "$shown\n", 'the configuration is the one shown');
    is(scalar(split /\n/, $shown), 10, 'of ten lines');

    is($demo->get('/static/hello.txt')->{content}, slurp("$root/conf/demo/static/hello.txt"), 'a file');
    is($demo->get('/static/nothing')->{headers}{'x-member'}, undef, 'no file: httpd says so itself');
    like($demo->get('/balancer-manager', { headers => { Accept => 'text/html' } })->{content}, qr{<script src="\?as=js"}, 'the page');
    like($demo->get('/balancer-manager')->{content}, qr/"allowed":true/, 'on which things may be done');
    like($demo->get('/')->{content}, qr{<a href="/whoami">}, 'the first page has links');
    # one may be passed over until it is known what a request costs it (memory=)
    my @turns;
    ok((wait_until { @turns = turns($demo, 4); are_two(@turns[ 0, 1 ]) && "@turns[0, 1]" eq "@turns[2, 3]" } 10), 'the servers take turns') or diag("@turns");
    my $r = $demo->http->post_form($demo->url('/form'), { name => 'Ann & <Bob>' });
    like($r->{content}, qr/Hello, Ann &amp; &lt;Bob&gt;!/, 'a form');
    $r = $demo->get('/redirect');
    is("$r->{status} $r->{headers}{location}", "302 http://127.0.0.1:$port/whoami", 'a redirect');
    $r = $demo->get('/counter', { headers => { Cookie => 'visits=41' } });
    like($r->{headers}{'set-cookie'}, qr/\Avisits=42;/, 'a cookie');
    is($demo->get('/nothing')->{status}, 404, 'a 404 of the application');

    my $slow = Abl::Client->connect(port => $port);
    $slow->request('GET', '/slow?seconds=1');
    is($demo->get('/static/hello.txt')->{status}, 200, 'a file while a page is slow');
    is_deeply([ map { $demo->get('/whoami')->{status} } 1 .. 2 ], [ 200, 200 ], 'the other server answers too');
    is($slow->fill(0), 0, 'and the page was slow indeed');
    like($slow->response->body, qr/slept for 1 s/, 'the slow page comes');

    is_deeply([ sort { $a <=> $b } $demo->servers ], [ sort { $a <=> $b } @turns[ 0, 1 ] ], 'the servers are the ones that are running');
    chomp(my $pid = $demo->get('/pid')->{content});
    kill KILL => $pid;
    is_deeply([ map { $demo->get('/whoami')->{status} } 1 .. 4 ], [ (200) x 4 ], 'one killed: all are answered');
    my $new = sub { my %old = map { $_ => 1 } @_; return wait_until { my @now = turns($demo, 2); are_two(@now) && !grep { $old{$_} } @now } 20 };
    ok($new->($pid), 'and there is another one');
    my ($restart) = $out =~ /^ *touch (\S+)/m;
    @turns = turns($demo, 2);
    spew($restart, '');
    ok($new->(@turns), 'the file that it names renews both');
    @turns = $demo->servers;

    kill INT => -$demo->proc->pid;
    leaves_nothing($demo, @turns);
};

# TERM comes to make alone, a closed terminal hangs up on all.
for my $case ([ TERM => 1 ], [ HUP => -1 ]) {
    my ($signal, $whom) = @$case;
    subtest "$signal ends it too" => sub {
        my $demo = Abl::Demo->start;
        is($demo->get('/whoami')->{status}, 200, 'it runs') or return diag($demo->out);
        my @pids = $demo->servers;
        kill $signal => $whom * $demo->proc->pid;
        leaves_nothing($demo, @pids);
    };
}

subtest 'a port that is taken' => sub {
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $@\n";
    my $port  = $taken->sockport;
    my $demo  = Abl::Demo->start(port => $port);
    ok($demo->ends, 'it ends');
    like($demo->out, qr/Port $port on 127\.0\.0\.1 is taken\. Choose another one: make demo DEMO_PORT=/, 'and says what to do');
    close $taken;
    is_deeply([ $demo->remains ], [], 'nothing is left');
};

done_testing;
