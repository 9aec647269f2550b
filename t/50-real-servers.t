# Real application servers behind the module: Plack's single process, Starman, Node, Python.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Abl::App;
use Digest::SHA qw(sha1_hex);
use HTTP::Tiny;

my %server = (
    psgi    => [ sub { Abl::App->psgi },            'plackup',  'Plack::Request' ],
    starman => [ sub { Abl::App->starman },         'starman',  'Plack::Request' ],
    node    => [ sub { Abl::App->node('server.js') }, 'node' ],
    python  => [ sub { Abl::App->python },          'python3' ],
);

sub front {
    my (@apps) = @_;
    return Abl::Server->start(
        conf => balancer('app', map { 'BalancerMember ' . $_->url } @apps) . "BalancerPass / app\n");
}

# Runs the code with a server of this kind behind an httpd; skips where it is not installed.
sub behind {
    my ($kind, $code) = @_;
    my ($start, @needs) = @{ $server{$kind} };
    subtest $kind => sub {
        for my $name (@needs) {
            next if $name =~ /::/ ? eval "require $name; 1" : Abl::Util::tool($name);
            die "$name is missing, and nothing may be skipped here\n" if $ENV{CI} || $ENV{ABL_ALL};
            plan(skip_all => "$name is not installed");
        }
        my $app = $start->();
        my $s   = front($app);
        $code->($s, $app, HTTP::Tiny->new(max_redirect => 0, timeout => 20, keep_alive => 1));
        $s->log_ok;
    };
    return;
}

sub chunked_post {
    my ($s, $path, $body) = @_;
    my $c = $s->client;
    $c->expect_answer_to('POST')->send($c->head('POST', $path, [ 'Transfer-Encoding' => 'chunked' ]));
    $c->send($c->chunk($_)) for $body =~ /(.{1,5000})/gs;
    $c->send("0\r\n\r\n");
    return $c->response;
}

my $body = pattern(200_000);
my $sum  = sha1_hex($body);

for my $kind (qw(psgi starman)) {
    behind($kind, sub {
        my ($s, $app, $http) = @_;
        like($http->get($s->url("/hello"))->{content}, qr/^hello from \d+/, "page $_") for 1 .. 5;
        is($http->post_form($s->url('/form'), [ a => 1, b => 'x y' ])->{content}, "a=1\nb=x y\n", 'form');
        is($http->post($s->url('/body'), { content => $body })->{content}, "POST\n200000\n$sum\n", 'POST');
        # (HTTP::Server::PSGI documents that it does not know chunked requests)
        is(chunked_post($s, '/body', $body)->body, "POST\n200000\n$sum\n", 'POST in chunks') if $kind eq 'starman';
        my $r = $http->get($s->url('/download/3000000'));
        is(sha1_hex($r->{content}), sha1_hex(pattern(3_000_000)), 'a big download');
        is($http->get($s->url('/stream'))->{content}, join('', map {"part $_\n"} 1 .. 5), 'a stream');
        is($http->head($s->url('/hello'))->{status}, 200, 'HEAD');
        is($http->get($s->url('/none'))->{status}, 204, 'status 204');
        is($http->get($s->url('/redirect'))->{headers}{location}, $s->url('/hello'), 'redirect to where the client is');
        is_deeply($http->get($s->url('/cookie'))->{headers}{'set-cookie'}, [ 'count=1; path=/', 'other=1; HttpOnly' ],
            'cookies');
        is($http->get($s->url('/cookie'), { headers => { Cookie => 'count=6' } })->{content}, "visit 7\n", 'and back');
        is($http->get($s->url('/nowhere'))->{status}, 404, 'status 404');
        is($http->get($s->url('/error'))->{content}, "it failed\n", 'status 500');
    });
}

behind(node => sub {
    my ($s, $app, $http) = @_;
    is($http->get($s->url('/hello'))->{content}, "hello from node\n", "page $_") for 1 .. 5;
    like($http->post($s->url('/body'), { content => $body })->{content}, qr/"length":200000,"sha1":"$sum"/, 'POST');
    like(chunked_post($s, '/body', $body)->body, qr/"length":200000,"sha1":"$sum"/, 'POST in chunks');
    is($http->post($s->url('/mirror'), { content => $body })->{content}, $body, 'a body that comes back as it comes in');
    is(chunked_post($s, '/mirror', $body)->sha1, $sum, 'the same in chunks');
    is($http->get($s->url('/download/3000000'))->{content}, pattern(3_000_000), 'a big download');
    my $r = $s->client->ask('GET', '/trailers', [ TE => 'trailers' ]);
    is($r->body, 'hello', 'trailers: body');
    is($r->trailer('X-Sum'), '5', 'trailers: trailer');
    $r = $s->client->ask('GET', '/hints');
    is($r->body, "hinted\n", 'early hints: answer');
    is_deeply([ map { $_->status } $r->interims ], [103], 'early hints: before it');
    is($s->client->ask('GET', '/events')->body, join('', map {"data: $_\n\n"} 1 .. 5), 'events');
    is($http->get($s->url('/redirect'))->{headers}{location}, $s->url('/hello'), 'redirect');
    is(scalar @{ $http->get($s->url('/cookie'))->{headers}{'set-cookie'} }, 2, 'cookies');
    is($http->get($s->url('/nowhere'))->{status}, 404, 'status 404');
    is($http->get($s->url('/error'))->{status}, 500, 'status 500');
});

behind(python => sub {
    my ($s, $app, $http) = @_;
    is($http->get($s->url('/hello'))->{content}, "hello from python\n", "page $_") for 1 .. 5;
    is($http->post($s->url('/'), { content => $body })->{content}, "200000\n$sum\n", 'POST');
    is(chunked_post($s, '/', $body)->body, "200000\n$sum\n", 'POST in chunks');
    is($http->get($s->url('/chunked'))->{content}, "one\ntwo\nthree\n", 'chunked');
    is($http->get($s->url('/redirect'))->{headers}{location}, '/hello', 'redirect');
    is($http->get($s->url('/nowhere'))->{status}, 404, 'status 404');
    my $c = $s->client;
    my %ports = map { $c->ask('GET', '/connection')->body => 1 } 1 .. 5;
    is(scalar keys %ports, 1, 'one kept connection for five requests');
});

# One-at-a-time servers, two of them, and clients that come all at once: nobody is turned away.
subtest 'two single-process servers, ten clients' => sub {
    plan(skip_all => 'plackup is not installed') unless Abl::Util::tool('plackup');
    my @apps = map { Abl::App->psgi } 1 .. 2;
    my $s    = front(@apps);
    my @c    = map { $s->client } 1 .. 10;
    for my $round (1 .. 3) {
        $_->request('GET', '/hello') for @c;
        is((grep { $_->response->status == 200 } @c), 10, "round $round");
    }
    $s->log_ok;
};

done_testing;
