# Which balancer a request goes to, and which stays with httpd.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my %m = map { $_ => Abl::Member->start(name => $_) } qw(one two three);
my $balancers = join '', map { balancer($_, $m{$_}) } sort keys %m;

# Who answers: a member's name, or the status when no member did.
sub who {
    my ($s, $path, $host) = @_;
    my $r = $s->client($host ? (name => $host) : ())->ask('GET', $path);
    return $r->field('X-Member') || $r->status;
}

subtest 'the longest prefix wins, whatever the order' => sub {
    my @lines = ("BalancerPass / one\n", "BalancerPass /app two\n", "BalancerPass /app/deep three\n",
        "BalancerStatic /app/files\n", "BalancerPass /app/files/live one\n");
    for my $order ('as written', 'reversed') {
        my $s = Abl::Server->start(
            conf  => join('', $balancers, $order eq 'reversed' ? reverse @lines : @lines),
            files => { 'app/files/a.txt' => "file\n" },
        );
        is(who($s, '/'), 'one', "$order: /");
        is(who($s, '/other/app'), 'one', "$order: /other/app");
        is(who($s, '/app'), 'two', "$order: /app");
        is(who($s, '/app/x'), 'two', "$order: /app/x");
        is(who($s, '/app?x'), 'two', "$order: /app?x");
        is(who($s, '/application'), 'one', "$order: /application is not below /app");
        is(who($s, '/app/deep/x'), 'three', "$order: /app/deep/x");
        is(who($s, '/app/files/a.txt'), 200, "$order: static below it");
        is(who($s, '/app/files/live/x'), 'one', "$order: dynamic below that");
        $s->log_ok;
    }
};

subtest 'virtual hosts' => sub {
    my $s = Abl::Server->start(
        conf   => $balancers,
        vhosts => [
            'one.test'   => 'BalancerPass / one',
            'two.test'   => "BalancerPass / two\nBalancerStatic /files",
            'own.test'   => balancer('own', $m{three}) . 'BalancerPass / own',
            'plain.test' => '',
        ],
        files => { 'files/a.txt' => "file\n", 'files2/a.txt' => "file\n" },
    );
    is(who($s, '/', 'one.test'), 'one', 'a balancer of the main server');
    is(who($s, '/', 'two.test'), 'two', 'another');
    is(who($s, '/files/a.txt', 'two.test'), 200, 'static here');
    is(who($s, '/files/a.txt', 'one.test'), 'one', 'and not there');
    is(who($s, '/', 'own.test'), 'three', 'a balancer of its own');
    is(who($s, '/files2/a.txt', 'plain.test'), 200, 'a host without any');
    is(who($s, '/none', 'plain.test'), 404, 'stays httpd\'s');
    $s->log_ok;
};

subtest 'what the main server passes, its virtual hosts inherit' => sub {
    my $s = Abl::Server->start(
        conf   => $balancers . "BalancerPass / one\nBalancerPass /x two\n",
        vhosts => [ 'a.test' => '', 'b.test' => 'BalancerPass /x three' ],
    );
    is(who($s, '/', 'a.test'), 'one', '/');
    is(who($s, '/x', 'a.test'), 'two', '/x');
    is(who($s, '/', 'b.test'), 'one', 'an own prefix does not hide the others');
    is(who($s, '/x', 'b.test'), 'three', 'the same prefix is overridden');
    $s->log_ok;
};

subtest 'Location, SetHandler, rewrite' => sub {
    my $s = Abl::Server->start(
        modules => [qw(rewrite)],
        conf    => $balancers . <<'END',
BalancerPass / one
<Location /two>
    BalancerPass two
</Location>
<LocationMatch "\.cgi$">
    SetHandler balancer:three
</LocationMatch>
<Directory "@ROOT@/scripts">
    <FilesMatch "\.pl$">
        SetHandler balancer:two
    </FilesMatch>
</Directory>
BalancerStatic /scripts
<Location /two/disk>
    SetHandler default-handler
</Location>
RewriteEngine On
RewriteRule ^/rewritten/(.*) /$1 [H=balancer:three]
RewriteRule ^/kept/ - [H=balancer:two]
END
        files => {
            'scripts/a.pl'  => 'source', 'scripts/a.txt' => "file\n", 'two/disk/a.txt' => "file\n",
            'ht/.htaccess'  => "SetHandler balancer:three\n", 'ht/a.txt' => "file\n",
        },
    );
    is(who($s, '/two/x'), 'two', '<Location> with BalancerPass');
    is(who($s, '/x/y.cgi'), 'three', 'SetHandler balancer: wins over BalancerPass');
    is(who($s, '/two/disk/a.txt'), 200, 'SetHandler default-handler wins over BalancerPass');
    is(who($s, '/scripts/a.pl'), 'two', 'SetHandler balancer: in <Directory>');
    is(who($s, '/scripts/a.txt'), 200, 'and a file beside it');
    is(who($s, '/rewritten/x?q=1'), 'three', 'rewritten with H=');
    is(who($s, '/kept/x'), 'two', 'H= alone');
    is($m{two}->last_request->target, '/kept/x', 'leaves the path alone');
    $s->log_ok;
};

subtest '.htaccess' => sub {
    my $s = Abl::Server->start(
        conf  => $balancers,
        files => { 'ht/.htaccess' => "SetHandler balancer:three\n", 'ht/a.txt' => "file\n", 'b.txt' => "file\n" },
    );
    is(who($s, '/ht/a.txt'), 'three', 'SetHandler balancer:');
    is(who($s, '/b.txt'), 200, 'and not elsewhere');
    $s->log_ok;
};

subtest 'a file if there is one, else the application' => sub {
    my $s = Abl::Server->start(
        modules => ['dir'],
        conf    => $balancers . "BalancerPass / one\nBalancerTryFiles on\n"
            . "<Location /never>\nBalancerTryFiles off\n</Location>\n",
        files   => { 'a.txt' => "file\n", 'dir/b.txt' => "file\n", 'never/c.txt' => "file\n" },
    );
    is(who($s, '/a.txt'), 200, 'a file that exists');
    is(who($s, '/dir/b.txt?v=3'), 200, 'with a query');
    is(who($s, '/none.txt'), 'one', 'one that does not');
    is(who($s, '/a.txt/more'), 'one', 'a path behind a file');
    is(who($s, '/'), 'one', 'a directory is no file');
    is(who($s, '/dir'), 'one', 'nor is another');
    is(who($s, '/never/c.txt'), 'one', 'switched off for a location');
    my $r = $s->request('POST', '/none.txt', { content => 'x' });
    is($r->{headers}{'x-member'}, 'one', 'POST to what does not exist');
    $s->log_ok;
};

done_testing;
