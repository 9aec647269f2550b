# The seed itself: two development servers of a generated Catalyst application on 39564 and 39565, static
# files compressed and dated by httpd, under every MPM.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 150;
use Abl::App;
use Digest::SHA qw(sha1_hex);
use File::Temp ();
use HTTP::Tiny;

needs('Catalyst::Helper', 'Catalyst::Devel', 'Catalyst::Runtime');
for my $port (39564, 39565) {
    plan(skip_all => "port $port is taken") if !$ENV{CI} && !$ENV{ABL_ALL} && Abl::Util::accepts($port);
}

my $folder = File::Temp::tempdir('abl-catalyst-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chomp(my $seed = qx($^X @{[ Abl::App->folder ]}/make-catalyst.pl $folder));
ok(-x "$seed/script/seed_server.pl", 'Catalyst has made an application');

my @apps = map { Abl::App->catalyst($seed, port => $_) } 39564, 39565;

my $conf = <<'END';
ExpiresActive On
<Balancer my_cluster>
    BalancerMember http://127.0.0.1:39564
    BalancerMember http://127.0.0.1:39565
</Balancer>
BalancerPass / my_cluster
BalancerStatic /static
<Location /static>
    SetOutputFilter DEFLATE
    SetEnvIfNoCase Request_URI \.(?:gif|jpe?g|png)$ no-gzip dont-vary
    SetHandler default-handler
    ExpiresDefault "access plus 1 hour"
</Location>
CustomLog "@DIR@/common.log" "%h %l %u %t \"%r\" %>s %b"
END

my %files = (
    'static/app.js'   => "// javascript\n" x 2000,
    'static/logo.png' => "\x89PNG\r\n" . "not really\n" x 2000,
);

sub field { my ($r, $name) = @_; return $r->{headers}{$name} }

sub pages {
    my ($s, $http) = @_;
    my %pids;
    for (1 .. 6) {
        my $r = $http->get($s->url('/hello'));
        is($r->{status}, 200, 'a page');
        $pids{$1}++ if $r->{content} =~ /(\d+)/;
    }
    is(scalar keys %pids, 2, 'both servers answer');
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
            mpm  => $mpm, conf => $conf, files => \%files,
            modules => [qw(alias filter deflate expires env setenvif)],
        );
        my $http = HTTP::Tiny->new(max_redirect => 0, timeout => 20, keep_alive => 1);
        $_->($s, $http) for \&pages, \&forms, \&redirects_and_cookies, \&static_files;
        like(slurp($s->dir . '/common.log'), qr{"GET /hello HTTP/1\.1" 200 \d+}, 'the access log of the seed');
        $s->log_ok;
    };
}

done_testing;
