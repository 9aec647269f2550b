# The seed in small: one folder of files that httpd serves itself, everything else to a member.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $m = Abl::Member->start(name => 'a');

my %site = (
    modules => [qw(dir autoindex negotiation alias)],    # as a distribution loads them
    files   => {
        'index.html'         => "not this one\n",
        'page.html'          => "nor this one\n",
        'static/index.html'  => "<p>index\n",
        'static/a.txt'       => "from the disk\n",
        'static/big.bin'     => pattern(300_000),
        'static2/b.txt'      => "by handler\n",
    },
);

my $s = Abl::Server->start(
    %site,
    conf => balancer('app', $m) . <<'END',
BalancerPass / app
BalancerStatic /static
<Location /static2>
    SetHandler default-handler
</Location>
DirectoryIndex index.html
END
);

subtest 'files come from the disk' => sub {
    is($s->get('/static/a.txt')->{content}, "from the disk\n", 'a file');
    is($s->get('/static/')->{content}, "<p>index\n", 'a directory index');
    is($s->get('/static/big.bin')->{content}, pattern(300_000), 'a big file');
    is($s->get('/static/none')->{status}, 404, 'an absent file is httpd\'s 404');
    is($s->get('/static2/b.txt')->{content}, "by handler\n", 'SetHandler default-handler');
    is($s->request('PUT', '/static/a.txt', { content => 'x' })->{status}, 405, 'files take no PUT');
    is($s->get('/static/big.bin', { headers => { Range => 'bytes=8-15' } })->{content}, "0000008\n", 'ranges');
    is(scalar $m->requests, 0, 'the member saw nothing of it');
};

subtest 'everything else comes from the member' => sub {
    for my $path (qw(/ /page.html /index.html /deep/er/page /staticfoo /static3/x)) {
        my $r = $s->get($path);
        is($r->{headers}{'x-member'}, 'a', $path);
        is($m->last_request->target, $path, "$path as the client wrote it");
    }
    is($s->get('/status/404')->{content}, "status 404 from a\n", 'a 404 of the application\'s own');
    my $r = $s->request('POST', '/form', { content => 'a=1&b=2' });
    is($r->{status}, 200, 'POST');
    is($m->last_request->{body}, 'a=1&b=2', 'with its body');
};

subtest 'files do not need the member' => sub {
    $m->stop;
    my $waits = $s->client;
    $waits->request('GET', '/');
    is($s->get('/static/a.txt')->{status}, 200, 'files all the same');
    is($waits->pending, '', 'while who wants the member waits for it');
    $waits->abort;
};

$s->log_ok(allow => [trouble]);
done_testing;
