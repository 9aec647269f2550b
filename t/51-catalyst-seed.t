# The seed itself, as conf/seed.conf has it: two development servers of a generated Catalyst application, which httpd starts,
# static files compressed and dated by httpd, under every MPM; and the same as `make demo APP=catalyst` shows it.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 200;
use Abl::App;
use Abl::Demo;
use Cwd ();
use Digest::SHA qw(sha1_hex);
use File::Basename qw(dirname);
use File::Temp ();
use HTTP::Tiny;

needs('Catalyst::Helper', 'Catalyst::Devel', 'Catalyst::Runtime');
# Two ports are enough to begin with, and a third one while a server is replaced.
my @ports = 39564 .. 39567;
my @taken = grep { Abl::Util::accepts($_) } @ports;
plan(skip_all => "the ports @taken are taken") if @taken > 1 && !$ENV{CI} && !$ENV{ABL_ALL};

my $folder = File::Temp::tempdir('abl-catalyst-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $folder or die "$folder: $!\n";    # the servers are another user when root starts httpd
chomp(my $seed = qx($^X @{[ Abl::App->folder ]}/make-catalyst.pl $folder MyApp));
ok(-x "$seed/script/myapp_server.pl", 'Catalyst has made an application');

# The part of the file that says what is served; the rest is httpd's own.
my ($conf) = slurp(Cwd::abs_path(dirname(__FILE__) . '/../conf/seed.conf')) =~ m{^(<Balancer .*^</Location>\n)}ms;
like($conf || '', qr/^    BalancerApp .*ports=39564-39567/ms, 'conf/seed.conf has its servers in it');
$conf .= qq(CustomLog "\@DIR\@/common.log" "%h %l %u %t \\"%r\\" %>s %b"\n);

my %files = (
    'static/app.js'   => "// javascript\n" x 2000,
    'static/logo.png' => "\x89PNG\r\n" . "not really\n" x 2000,
);

mkdir "$seed/root/static" unless -d "$seed/root/static";
spew("$seed/root/$_", $files{$_}) for keys %files;

# Are there servers of ours?
sub servers { return grep { (readlink "$_/cwd" // '') eq $seed } glob '/proc/[0-9]*' }

sub field { my ($r, $name) = @_; return $r->{headers}{$name} }

sub pages {
    my ($s, $http) = @_;
    is($http->get($s->url('/hello'))->{status}, 200, 'a page, for which the client has waited until a server was there');
    my %pids;
    my $both = wait_until { $pids{$1}++ if $http->get($s->url('/hello'))->{content} =~ /hello from (\d+)/; keys %pids == 2 } 20;
    ok($both, 'both servers answer');
    like($http->get($s->url('/'))->{content}, qr/Catalyst/, 'the welcome page');
    my $r = $http->get($s->url('/page/a/b%20c?q=%C3%A4+1'));
    is($r->{content}, "<p>page a/b c q=\xc3\xa4 1\n", 'arguments and parameters');
    like(field($r, 'content-type'), qr{^text/html}, 'its type');
    is($http->get($s->url('/streaming'))->{content}, join('', map {"line $_\n"} 1 .. 100), 'written in pieces');
    is($http->get($s->url('/nowhere'))->{status}, 404, 'status 404');
    like($http->get($s->url('/nowhere'))->{content}, qr/Page not found/, 'the application\'s own');
    is($http->get($s->url('/failing'))->{status}, 500, 'status 500');
    is($http->get($s->url('/hello'))->{status}, 200, 'and on it goes');
    return;
}

sub forms {
    my ($s, $http) = @_;
    is($http->post_form($s->url('/form'), [ name => 'Jo', text => "two\nlines & more" ])->{content},
        "POST\nname=Jo\ntext=two\nlines & more\n", 'a form');
    my $file = pattern(500_000);
    my $mark = 'xxBOUNDARYxx';
    my $body = "--$mark\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n"
        . "Content-Type: application/octet-stream\r\n\r\n$file\r\n--$mark--\r\n";
    my $r = $http->post($s->url('/upload'),
        { content => $body, headers => { 'Content-Type' => "multipart/form-data; boundary=$mark" } });
    is($r->{content}, "a.bin\n500000\n" . sha1_hex($file) . "\n", 'an upload');
    return;
}

sub redirects_and_cookies {
    my ($s, $http) = @_;
    my $r = $http->get($s->url('/redirect'));
    is($r->{status}, 302, 'a redirect');
    is(field($r, 'location'), $s->url('/hello?from=redirect'), 'to where the client is, not the member');
    is($http->get(field($r, 'location'))->{status}, 200, 'which works');
    my $visits = '';
    for my $n (1 .. 4) {
        $r = $http->get($s->url('/visits'), { headers => { Cookie => $visits } });
        is($r->{content}, "visit $n\n", "visit $n");
        my $set = field($r, 'set-cookie');
        is(ref $set, 'ARRAY', 'two cookies');
        ($visits) = map { /^(visits=\d+)/ } @{ $set || [] };
    }
    my ($base, $address) = split /\n/, $http->get($s->url('/where'))->{content};
    is($base, $s->url('/'), 'the application knows its address');
    is($address, '127.0.0.1', 'and its client\'s');
    return;
}

sub static_files {
    my ($s, $http) = @_;
    my %gzip = (headers => { 'Accept-Encoding' => 'gzip' });
    my $r = $http->get($s->url('/static/app.js'), \%gzip);
    is(field($r, 'content-encoding'), 'gzip', 'a script is compressed');
    cmp_ok(length $r->{content}, '<', 2000, 'indeed');
    like(field($r, 'vary') || '', qr/Accept-Encoding/i, 'and says what that depends on');
    ok(field($r, 'expires'), 'Expires');
    like(field($r, 'cache-control') || '', qr/max-age=3600/, 'max-age');
    $r = $http->get($s->url('/static/logo.png'), \%gzip);
    is(field($r, 'content-encoding'), undef, 'an image is not');
    is($r->{content}, $files{'static/logo.png'}, 'it comes as it is');
    is($http->get($s->url('/static/none.js'))->{status}, 404, 'an absent one is httpd\'s 404');
    $r = $http->get($s->url('/hello'), \%gzip);
    is(field($r, 'content-encoding'), undef, 'pages are left alone');
    return;
}

for my $mpm ($ENV{ABL_MPM} || qw(event worker prefork)) {
    subtest $mpm => sub {
        my $s = Abl::Server->start(
            mpm => $mpm, conf => $conf, first => "Define MYAPP $seed\n",
            modules => [qw(alias filter deflate expires env setenvif)],
        );
        my $http = HTTP::Tiny->new(max_redirect => 0, timeout => 20, keep_alive => 1);
        $_->($s, $http) for \&pages, \&forms, \&redirects_and_cookies, \&static_files;
        like(slurp($s->dir . '/common.log'), qr{"GET /hello HTTP/1\.1" 200 \d+}, 'the access log of the seed');
        # What they say, "on purpose" of /failing among it. And the seed's ports are among those that the kernel gives to clients:
        # one may be taken at any time, and another one is used then.
        $s->log_ok(allow => [qr/ABL0030: myapp|ABL0031: .* is in use by somebody else/]);
        is_deeply([ servers() ], [], 'no server is left');
    };
}

subtest 'make demo APP=catalyst' => sub {
    my $demo = Abl::Demo->start(app => 'catalyst');
    like($demo->out, qr{The seed at http://127\.0\.0\.1:@{[$demo->port]}/}, 'says where it is') or return;
    my $servers = sub { my @now = $demo->servers; return @now == 2 && \@now };
    my $two = wait_until { $servers->() } 20;
    ok($two, 'two servers are there');
    like($demo->get('/')->{content}, qr/Catalyst/, 'the welcome page');
    is($demo->get('/static/images/btn_88x31_built.png')->{status}, 200, 'an image');
    is($demo->get('/nothing')->{status}, 404, 'a 404');
    my ($kill) = $demo->out =~ /^ *(kill .*); curl/m;
    is(system($kill), 0, 'what it says about killing one');
    is($demo->get('/')->{status}, 200, "a page $_") for 1 .. 4;
    my $pids = sub { return map { $_ => 1 } @{ $servers->() || [] } };
    ok((wait_until { my %now = $pids->(); 2 == keys %now && 1 == grep { $now{$_} } @$two } 20), 'is answered, and it is replaced') or diag($demo->out);
    my ($touch) = $demo->out =~ /^ *(touch \S+)/m;
    @$two = $demo->servers;
    is(system($touch), 0, 'what it says about new ones');
    ok((wait_until { my %now = $pids->(); 2 == keys %now && !grep { $now{$_} } @$two } 20), 'makes them');
    kill INT => -$demo->proc->pid;
    ok($demo->ends, 'Ctrl-C ends it');
    is_deeply([ $demo->remains, grep { Abl::Util::accepts($_) } @ports ], \@taken, 'nothing is left');
};

done_testing;
