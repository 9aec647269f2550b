# Every mistake in the configuration is an error at configtest: with the file, the line, what was found there
# and what would be right.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;

my $app = "<Balancer app>\n    BalancerMember http://127.0.0.1:8001\n</Balancer>\n";

# httpd names the place either before its message or we within ours.
sub place { my ($text) = @_; return $text =~ /Syntax error on line (\d+) of ([^\s:]+):/ ? ($2, $1) : $text =~ /ABL\d{4}: (\S+?):(\d+): / }

# The line that is wrong begins with "!". Each pattern must be in what httpd prints.
sub wrong {
    my ($conf, @patterns) = @_;
    my %o = ref $patterns[0] eq 'HASH' ? %{ shift @patterns } : ();
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($before, $line) = $conf =~ /\A(.*?)^!([^\n]*)/ms or die "no line is marked in: $conf";
    $conf =~ s/^!//m;
    my ($code, $text) = Abl::Server->configtest($conf, %o);
    return subtest "$line" . ($o{name} ? " ($o{name})" : '') => sub {
        isnt($code, 0, 'is refused') or return;
        my ($file, $number) = place($text);
        ok($number, 'names a place') or return diag($text);
        my ($start) = slurp($file) =~ /\A(.*?)\Q$conf\E/s or return fail("$file is not the file it stands in");
        is($number, 1 + (($start . $before) =~ tr/\n//), 'the line') or diag($text);
        like($text, $_, "says $_") for @patterns;
    };
}

# A mistake in a line of the section.
sub wrong_inside { my ($line, @patterns) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return wrong("<Balancer app>\n    BalancerMember http://127.0.0.1:8001\n!    $line\n</Balancer>", @patterns) }

# A mistake after a good section.
sub wrong_after { my ($lines, @patterns) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return wrong($app . ($lines =~ /^!/m ? $lines : "!$lines"), @patterns) }

subtest 'what is right passes' => sub {
    my ($code, $text) = Abl::Server->configtest($app . "BalancerPass / app\nBalancerStatic /static /favicon.ico");
    is($code, 0, 'accepted') or diag($text);
};

subtest 'unknown balancer' => sub {
    my @known = (qr/there is no <Balancer nope>/, qr/defined are: app$/m);
    wrong_after('BalancerPass / nope', qr/BalancerPass/, @known);
    wrong_after("<Location /x>\n!BalancerPass nope\n</Location>", qr/BalancerPass/, @known);
    wrong_after("<Location /x>\n!SetHandler balancer:nope\n</Location>", qr/SetHandler/, @known);
    wrong_after("<Location /x>\n!SetHandler \"balancer:nope\"\n</Location>", qr/SetHandler/, @known);
    wrong_after("<Directory />\n<Files x>\n!SetHandler balancer:nope\n</Files>\n</Directory>", qr/SetHandler/, @known);
    wrong_after('SetHandler balancer:', qr/SetHandler: there is no <Balancer >/);
    wrong_after("AddHandler balancer:nope .pl", { modules => ['mime'] }, qr/AddHandler/, @known);
    my $rewrite = { modules => ['rewrite'] };
    wrong_after("RewriteEngine on\n!RewriteRule ^/x - [H=balancer:nope]", $rewrite, qr/RewriteRule/, @known);
    wrong_after("RewriteEngine on\n!RewriteRule ^/x - [L,handler=balancer:nope,NC]", $rewrite, qr/RewriteRule/, @known);
    wrong_after("<VirtualHost *:\@PORT\@>\n!BalancerPass / nope\n</VirtualHost>" =~ s/\@PORT\@/80/r, qr/BalancerPass/, @known);
    wrong('!BalancerPass / app', qr/there is no <Balancer app>/, qr/there is no <Balancer> section at all/);
};

subtest 'the section' => sub {
    wrong($app . $app =~ s/\A/!/r, qr/<Balancer app> is already defined at \S+:\d+/, qr/names are unique/);
    wrong("$app<VirtualHost *:80>\n!$app</VirtualHost>", qr/<Balancer app> is already defined/, qr/a virtual host may use any of them/);
    wrong("!<Balancer app>\n</Balancer>", qr/<Balancer app> has no member/, qr{add a line such as BalancerMember http://});
    wrong("!<Balancer app\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr/without a closing '>'/);
    wrong("!<Balancer>\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr/takes one name, as in <Balancer my_cluster>/);
    wrong("!<Balancer a b>\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr/takes one name/);
    wrong("!<Balancer a/b>\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr{<Balancer a/b>}, qr/letters, digits, '_', '\.' and '-', at most 64/);
    wrong('!<Balancer ' . 'x' x 65 . ">\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr/at most 64/);
    for my $scope ('Location /x', 'Directory /', 'Files x') {
        my ($kind) = split / /, $scope;
        wrong("<$scope>\n!$app</$kind>", qr/<Balancer\S* not allowed in <$kind> context/);
    }
    my $what = qr/what does: BalancerMember, BalancerMethod, BalancerTimeout/;
    wrong_inside($_, qr/\b@{[ m{(\w+)} ]} does not belong inside <Balancer app>/, $what)
        for 'BalancerPass / app', 'BalancerTryFiles on', 'ServerName x', 'ProxySet lbmethod=byrequests';
    wrong_inside("<Location /x>\n</Location>", qr/<Location>? does not belong inside/, $what);
};

subtest 'lines of the section outside it' => sub {
    my $inside = qr/belongs inside <Balancer NAME>/;
    wrong('!BalancerMember http://127.0.0.1:1', qr/BalancerMember/, $inside);
    wrong('!BalancerMethod leastbusy', qr/BalancerMethod/, $inside);
    wrong("<VirtualHost *:80>\n!BalancerMethod leastbusy\n</VirtualHost>", $inside);
    wrong("<Location /x>\n!BalancerMethod leastbusy\n</Location>", qr/BalancerMethod not allowed in <Location> context/);
    wrong("<Location /x>\n!BalancerMember http://127.0.0.1:1\n</Location>", qr/BalancerMember (?:not allowed in <Location> context|belongs inside <Balancer NAME>)/);
};

# A member's address: what is wrong with it, and how it is written.
subtest 'addresses' => sub {
    my $forms = qr{write http://host\[:port\]\[/path\] or unix:/path/of/socket\|http://name\[/path\]};
    my @addresses = (
        [ '""',                         qr/the address is empty/, $forms ],
        [ '127.0.0.1:80',               qr/neither http:\/\/ nor unix:/, $forms ],
        [ '/var/run/app.sock',          qr/neither http:\/\/ nor unix:/, $forms ],
        [ 'http://',                    qr/has no host/, $forms ],
        [ 'http:///path',               qr/has no host/, $forms ],
        [ 'https://a:1',                qr/the scheme "https" is not supported/, $forms ],
        [ 'ajp://a',                    qr/the scheme "ajp" is not supported/, $forms ],
        [ 'balancer://a',               qr/the scheme "balancer" is not supported/, $forms ],
        [ 'http://a:0',                 qr/the port "0" is not a number from 1 to 65535/ ],
        [ 'http://a:65536',             qr/the port "65536" is not a number from 1 to 65535/ ],
        [ 'http://a:x',                 qr/the port "x" is not a number/ ],
        [ 'http://u:secret@a',          qr/has a user or password.* leave it out/ ],
        [ 'http://a/?q=1',              qr/has a query.*only a path may follow the host/ ],
        [ 'http://a/#f',                qr/has a fragment.*only a path may follow the host/ ],
        [ 'http://a!b/',                qr/"a!b" is not a host name: letters, digits/ ],
        [ '"http://a b/"',              qr/a space or control character after 8 characters/ ],
        [ 'http://::1:80',              qr{an IPv6 address needs brackets: http://\[::1\]:80} ],
        [ 'http://[::1',                qr/cannot be read/, $forms ],
        [ 'http://[xyz]:1',             qr/"\[xyz\]" is not an IPv6 address in brackets/ ],
        [ 'unix:app.sock|http://a',     qr/the socket path "app\.sock" is not absolute/, qr{write unix:/path} ],
        [ 'unix:/app.sock',             qr{"\|http://name" is missing after the socket path "/app\.sock"} ],
        [ 'unix:/app.sock|ftp://a',     qr/the scheme "ftp" is not supported/, $forms ],
        [ "unix:/@{['s' x 107]}|http://a", qr/the socket path has 108 characters; the system takes at most 107/ ],
    );
    for my $case (@addresses) {
        my ($url, @patterns) = @$case;
        wrong("<Balancer app>\n!BalancerMember $url\n</Balancer>", qr/^(?:ABL\d{4}: )?BalancerMember /m, @patterns);
    }
    wrong("<Balancer app>\n!BalancerMember\n</Balancer>", qr/the address is empty/, $forms);
    wrong_inside('BalancerMember http://127.0.0.1:8001/', qr{<Balancer app> has this member already});
    wrong_inside('BalancerMember HTTP://127.0.0.1:8001',  qr{<Balancer app> has this member already});
    my (undef, $text) = Abl::Server->configtest("<Balancer app>\nBalancerMember http://u:secret\@a\n</Balancer>");
    unlike($text, qr/secret/, 'a password is not repeated');
};

subtest 'keys of a member' => sub {
    my $weight = qr/a weight is a number from 1 to 1000 with at most two decimals/;
    my $time   = qr/a time is a whole number and ms, s, min or h, like 500ms or 30s/;
    my @keys = (
        [ 'weight',             qr/'weight' is not of the form key=value/ ],
        [ 'http://b:1',         qr/'http:\/\/b:1' is not of the form key=value/ ],
        [ '# comment',          qr/'#' is not of the form key=value/ ],
        [ 'wait=3',             qr/unknown key 'wait='; known are weight=, .*keepalive=, .*max-age=/ ],
        [ 'weight=',            qr/weight=: $weight/ ],
        [ 'weight=0',           qr/weight=0: $weight/ ],
        [ 'weight=1001',        qr/weight=1001: $weight/ ],
        [ 'weight=1.125',       qr/weight=1\.125: $weight/ ],
        [ 'loadfactor=x',       qr/loadfactor=x: $weight/ ],
        [ 'keepalive=maybe',    qr/keepalive=maybe: expected on or off/ ],
        [ 'disablereuse=1',     qr/disablereuse=1: expected on or off/ ],
        [ 'idle-max=0',         qr/idle-max=0: expected a whole number from 1 to 10000/ ],
        [ 'idle-max=-1',        qr/idle-max=-1: expected a whole number/ ],
        [ 'idle-timeout=5',     qr/idle-timeout=5: $time/ ],
        [ 'idle-timeout=0',     qr/idle-timeout=0: expected a time over 0/ ],
        [ 'max-age=1d',         qr/max-age=1d: $time/ ],
        [ 'max-age=169h',       qr/max-age=169h: a time is at most 7 days/ ],
        [ 'ttl=5s',             qr/ttl=5s: expected a whole number of seconds/ ],
        [ 'weight=1 weight=2',  qr/weight= sets what another key of this line has set already/ ],
        [ 'weight=1 loadfactor=1',             qr/loadfactor= sets what another key of this line has set/ ],
        [ 'enablereuse=on disablereuse=off',   qr/disablereuse= sets what another key of this line has set/ ],
        [ 'ttl=5 idle-timeout=5s',             qr/idle-timeout= sets what another key of this line has set/ ],
        [ 'keepalive=off idle-max=3',          qr/with keepalive=off no connection is kept, so .*idle-max=/ ],
        [ 'max-age=3s disablereuse=on',        qr/with keepalive=off no connection is kept, so .*max-age=/ ],
    );
    wrong("<Balancer app>\n!BalancerMember http://a:80 $_->[0]\n</Balancer>", qr{BalancerMember http://a:80: }, @$_[ 1 .. $#$_ ])
        for @keys;
};

# Keys of mod_proxy that mean something else here, or nothing: each says what to do instead.
subtest "mod_proxy's keys" => sub {
    my %foreign = (
        (map { $_ => qr/leave it out/ } qw(max min retry route redirect lbset ping flushpackets flushwait upgrade
            iobuffersize receivebuffersize responsefieldsize addressttl failontimeout failonstatus growth)),
        status          => qr/all members are in use/,
        acquire         => qr/does not wait for a connection slot/,
        smax            => qr/write idle-max=N/,
        timeout         => qr/write BalancerTimeout response=/,
        connectiontimeout => qr/write BalancerTimeout connect=/,
        secret          => qr/AJP/,
    );
    wrong("<Balancer app>\n!BalancerMember http://a:80 $_=1\n</Balancer>", qr/\b$_= is mod_proxy's and means nothing here: /, $foreign{$_})
        for sort keys %foreign;
    # known to its satellites; no message of their own, but refused all the same
    wrong("<Balancer app>\n!BalancerMember http://a:80 $_=1\n</Balancer>", qr/'?$_=/)
        for qw(hcmethod hcinterval hcuri hcpasses hcfails hcexpr hctemplate flusher stickysession);
};

subtest 'methods and times in the section' => sub {
    my $known = qr/(?:roundrobin, leastbusy|leastbusy, roundrobin)/;
    wrong_inside('BalancerMethod',                      qr/takes one name: $known/);
    wrong_inside('BalancerMethod roundrobin leastbusy', qr/takes one name: $known/);
    wrong_inside('BalancerMethod byrequests',           qr/BalancerMethod byrequests: there is no such method; known are $known/);
    wrong("<Balancer app>\nBalancerMember http://a:1\nBalancerMethod leastbusy\n!BalancerMethod roundrobin\n</Balancer>",
        qr/BalancerMethod roundrobin: the method is already leastbusy/);
};

# The same words in the section, in a server and in a scope.
subtest 'times' => sub {
    my @times = (
        [ '',                 qr/at least one of connect=, response=, gap=/ ],
        [ '30s',              qr/'30s' is not one of connect=, response=, gap=/ ],
        [ 'read=5s',          qr/'read' is not one of connect=, response=, gap=/ ],
        [ 'gap=5',            qr/gap=5: a time is a whole number and ms, s, min or h/ ],
        [ 'connect=0',        qr/connect=0: expected a time over 0/ ],
        [ 'response=1.5s',    qr/response=1\.5s: a time is a whole number/ ],
        [ 'gap=5s gap=6s',    qr/gap= is given twice/ ],
    );
    for my $case (@times) {
        my ($words, @patterns) = @$case;
        wrong_inside("BalancerTimeout $words", @patterns);
        wrong_after("BalancerTimeout $words", @patterns);
        wrong_after("<Location /x>\n!BalancerTimeout $words\n</Location>", @patterns);
    }
};

subtest 'prefixes' => sub {
    wrong_after("BalancerTrusted none 10.0.0.1", qr/BalancerTrusted 10\.0\.0\.1: none stands alone/);
    wrong_after("BalancerTrusted 10.0.0.1 none", qr/BalancerTrusted none: none stands alone/);
    wrong_after("BalancerErrorOverride on\n!BalancerErrorOverride off", qr/BalancerErrorOverride off: it is already on/);
    wrong_after("BalancerTimeout gap=5s\n!BalancerTimeout gap=6s", qr/gap= is given twice/);
    wrong_inside('BalancerMember http://127.0.0.1:8099 concurrency=1', qr/concurrency= is not there yet/);
    wrong_after("<Balancer APP>\nBalancerMember http://127.0.0.1:1\n</Balancer>", qr/<Balancer APP> is already defined/);
    wrong_after('BalancerPass app /',          qr/BalancerPass app: a prefix begins with '\/'/);
    wrong_after('BalancerPass http://x/ app',  qr/a prefix begins with '\/'/);
    wrong_after('BalancerStatic static',       qr/BalancerStatic static: a prefix begins with '\/'/);
    wrong_after("BalancerPass $_ app", qr/BalancerPass \Q$_\E: a prefix is a plain, decoded path/, qr/use <LocationMatch>/)
        for '/%20', '/a?b', '/a*', '/[ab]', '/a#b';
    wrong_after("BalancerPass $_ app", qr/BalancerPass \Q$_\E: .*so this prefix never matches/) for '/a//b', '/a/./b', '/a/../b';
    wrong_after("<Location /x>\n<Limit POST>\n!$_\n</Limit>\n</Location>", qr/not allowed|cannot occur within/) for 'BalancerPass app', 'BalancerStatic';
    wrong_after('BalancerPass /x',             qr/expected a prefix and a balancer's name, as in BalancerPass \/ my_cluster/);
    wrong_after('BalancerPass',                qr/BalancerPass takes 1-2 arguments/);
    wrong_after('BalancerPass / app more',     qr/BalancerPass takes 1-2 arguments/);
    wrong_after('BalancerStatic',              qr/expected one or more prefixes, as in BalancerStatic \/static/);
    my $already = qr/this prefix has a BalancerPass at \S+:\d+ already/;
    wrong_after("BalancerPass / app\n!BalancerPass / app",          qr/BalancerPass \/: $already/);
    wrong_after("BalancerPass /x app\n!BalancerPass /x/ app",       qr/BalancerPass \/x\/: $already/);
    wrong_after("BalancerPass /x app\n!BalancerStatic /x",          qr/BalancerStatic \/x: $already/);
    wrong_after("BalancerStatic /x\n!BalancerPass /x app",          qr/BalancerPass \/x: this prefix has a BalancerStatic at \S+:\d+ already/);
    wrong_after('BalancerStatic /a /b /a',                          qr/BalancerStatic \/a: this prefix has a BalancerStatic/);
    my $scope = qr/inside a <Location> or <Directory> it takes/;
    wrong_after("<Location /x>\n!BalancerPass /y app\n</Location>",  qr/BalancerPass \/y app: $scope the balancer's name only/);
    wrong_after("<Directory />\n!BalancerStatic /y\n</Directory>",   qr/BalancerStatic \/y: $scope nothing/);
    my $twice = qr/this scope has a BalancerPass at \S+:\d+ already/;
    wrong_after("<Location /x>\nBalancerPass app\n!BalancerPass app\n</Location>", $twice);
    wrong_after("<Location /x>\nBalancerPass app\n!BalancerStatic\n</Location>",   $twice);
};

subtest 'the other directives' => sub {
    wrong_after('BalancerTryFiles maybe',     qr/BalancerTryFiles must be On or Off/);
    wrong_after('BalancerPreserveHost',       qr/BalancerPreserveHost must be On or Off/);
    wrong_after('BalancerForwarded yes',      qr/BalancerForwarded yes: expected on .*rfc7239.*both or off/);
    wrong_after('BalancerTrusted 10.0.0.0/99', qr/BalancerTrusted 10\.0\.0\.0\/99: expected addresses or networks such as/);
    wrong_after('BalancerTrusted proxy.test', qr/BalancerTrusted proxy\.test: expected addresses or networks/);
    wrong_after('BalancerErrorOverride',      qr/BalancerErrorOverride.*: expected on or off/);
    wrong_after('BalancerErrorOverride maybe', qr/BalancerErrorOverride maybe: expected on or off/);
    wrong_after('BalancerErrorOverride off 404', qr/off takes no status codes/);
    wrong_after('BalancerErrorOverride on 200', qr/BalancerErrorOverride on 200: expected status codes from 400 to 599/);
    wrong_after('BalancerErrorOverride on 404x', qr/BalancerErrorOverride on 404x: expected status codes/);
};

subtest 'in a file that is included' => sub {
    my $included = spew(File::Temp::tempdir('abl-conf-XXXXXX', TMPDIR => 1, CLEANUP => 1) . '/more.conf', "\n\nBalancerPass / nope\n");
    my ($code, $text) = Abl::Server->configtest("${app}Include $included");
    isnt($code, 0, 'is refused');
    like($text, qr/\Q$included\E:3: BalancerPass: there is no <Balancer nope>/, 'names that file and its line');
};

subtest 'several mistakes are all named' => sub {
    my ($code, $text) = Abl::Server->configtest("${app}BalancerPass /a one\nBalancerPass /b two");
    isnt($code, 0, 'is refused');
    like($text, qr/there is no <Balancer $_>/, $_) for qw(one two);
};

# What only a request can show, because httpd reads .htaccess then.
subtest '.htaccess' => sub {
    my $s = Abl::Server->start(
        conf  => $app,
        files => {
            'a/.htaccess' => "\n$app",
            'b/.htaccess' => "BalancerMember http://127.0.0.1:1\n",
            'c/.htaccess' => "\n\nBalancerPass nope\n",
            'd/.htaccess' => "BalancerPass / app\n",
            map { ("$_/x.txt" => "x\n") } 'a' .. 'd',
        },
    );
    is($s->get("/$_/x.txt")->{status}, 500, "$_: refused") for 'a' .. 'd';
    my $log = $s->log;
    like($log, qr{a/\.htaccess: <Balancer\S* not allowed here}, 'a section');
    like($log, qr{b/\.htaccess: BalancerMember not allowed here}, 'a member');
    like($log, qr{c/\.htaccess: ABL\d{4}: BalancerPass nope: no such balancer}, 'an unknown balancer');
    like($log, qr{d/\.htaccess: ABL\d{4}: BalancerPass / app: inside a <Location> or <Directory> it takes}, 'a prefix');
    $s->log_ok(allow => [qr{/\.htaccess: }]);
};

# mod_proxy has a directive BalancerMember too.
subtest 'beside mod_proxy' => sub {
    my @proxy = qw(proxy proxy_http proxy_balancer slotmem_shm lbmethod_byrequests);
    my $theirs = "<Proxy balancer://theirs>\n    BalancerMember http://127.0.0.1:8002 loadfactor=2 retry=5\n</Proxy>\nProxyPass /theirs balancer://theirs\n";
    my ($code, $text) = Abl::Server->configtest("$theirs${app}BalancerPass / app", modules => \@proxy);
    is($code, 0, 'both are accepted') or diag($text);
    wrong("$theirs<Balancer app>\n!BalancerMember http://127.0.0.1:8001 retry=5\n</Balancer>", { modules => \@proxy, name => 'with mod_proxy' },
        qr/retry= is mod_proxy's and means nothing here/);
    wrong("$app!BalancerMember http://127.0.0.1:8001", { modules => \@proxy, name => 'with mod_proxy' }, qr/BalancerMember/);
    wrong('!BalancerMethod leastbusy', { modules => \@proxy, name => 'with mod_proxy' }, qr/belongs inside <Balancer NAME>/);

    my ($ours, $other) = map { Abl::Member->start(name => $_) } qw(ours theirs);
    my $libexec = qx(@{[$ENV{APXS} || 'apxs']} -q LIBEXECDIR);
    chomp $libexec;
    my $later = join '', map {"LoadModule ${_}_module $libexec/mod_$_.so\n"} @proxy;
    for my $order ([ 'mod_proxy first', \@proxy, '' ], [ 'mod_proxy last', [], $later ]) {
        my ($name, $modules, $load) = @$order;
        my $s = Abl::Server->start(
            modules => $modules,
            conf    => "$load<Proxy balancer://theirs>\n    BalancerMember " . $other->url . "\n</Proxy>\n"
                . "ProxyPass /theirs balancer://theirs\n" . balancer('app', $ours) . "BalancerPass / app\n",
        );
        is($s->get('/x')->{headers}{'x-member'},        'ours',   "$name: ours");
        is($s->get('/theirs/x')->{headers}{'x-member'}, 'theirs', "$name: theirs");
        $s->log_ok;
    }
};

done_testing;
