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

subtest 'two limits for one server' => sub {
    my $twice = sub { my ($one, $two, @lines) = @_; return "<Balancer app>\nBalancerMember $one\n@lines</Balancer>\n<Balancer two>\nBalancerMember $two\n</Balancer>\nBalancerPass / app" };
    for my $pair ([ 'http://127.0.0.1:8001 concurrency=1', 'http://127.0.0.1:8001' ], [ 'http://127.0.0.1:8001/a', 'http://127.0.0.1:8001/b concurrency=2' ],
        [ 'unix:/run/x|http://a concurrency=1', 'unix:/run/x|http://b concurrency=1' ]) {
        my ($code, $text) = Abl::Server->configtest($twice->(@$pair));
        is($code, 0, "accepted: @$pair") or diag($text);
        like($text, qr/ABL0193: \S+:\d+: <Balancer two>: BalancerMember .* is in <Balancer app> too.*concurrency=/, 'with a warning');
        is(() = $text =~ /ABL0193/g, 1, 'one');
    }
    my (undef, $text) = Abl::Server->configtest($twice->('http://127.0.0.1:8001', 'http://127.0.0.1:8001'));
    unlike($text, qr/ABL0193/, 'without a limit there is nothing to warn of');
    (undef, $text) = Abl::Server->configtest($twice->('http://127.0.0.1:8001 concurrency=1', 'http://127.0.0.1:8002 concurrency=1'));
    unlike($text, qr/ABL0193/, 'nor with two servers');
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
    my $what = qr/what does: BalancerMember, BalancerMethod, BalancerQueue, BalancerAffinity, BalancerTimeout/;
    wrong_inside($_, qr/\b@{[ m{(\w+)} ]} does not belong inside <Balancer app>/, $what)
        for 'BalancerPass / app', 'BalancerTryFiles on', 'ServerName x', 'ProxySet lbmethod=byrequests';
    wrong_inside("<Location /x>\n</Location>", qr/<Location>? does not belong inside/, $what);
};

subtest 'lines of the section outside it' => sub {
    my $inside = qr/belongs inside <Balancer NAME>/;
    wrong('!BalancerMember http://127.0.0.1:1', qr/BalancerMember/, $inside);
    wrong('!BalancerMethod leastbusy', qr/BalancerMethod/, $inside);
    wrong('!BalancerQueue length=1', qr/BalancerQueue/, $inside);
    wrong('!BalancerAffinity client', qr/BalancerAffinity/, $inside);
    wrong("<VirtualHost *:80>\n!BalancerMethod leastbusy\n</VirtualHost>", $inside);
    wrong("<Location /x>\n!BalancerMethod leastbusy\n</Location>", qr/BalancerMethod not allowed in <Location> context/);
    wrong("<Location /x>\n!BalancerMember http://127.0.0.1:1\n</Location>", qr/BalancerMember (?:not allowed in <Location> context|belongs inside <Balancer NAME>)/);
};

# A member's address: what is wrong with it, and how it is written.
subtest 'addresses' => sub {
    my $forms = qr{write http://host\[:port\]\[/path\], https://\.\.\., unix:/path/of/socket\|http://name\[/path\] or srv:_http\._tcp\.domain\[/path\]};
    my @addresses = (
        [ '""',                         qr/the address is empty/, $forms ],
        [ '127.0.0.1:80',               qr/neither http:\/\/ nor https:\/\/ nor unix: nor srv:/, $forms ],
        [ '/var/run/app.sock',          qr/neither http:\/\/ nor https:\/\/ nor unix: nor srv:/, $forms ],
        [ 'http://',                    qr/has no host/, $forms ],
        [ 'http:///path',               qr/has no host/, $forms ],
        [ 'wss://a:1',                  qr/the scheme "wss" is not supported/, $forms ],
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
        (map { [ "concurrency=$_", qr/concurrency=$_: expected a whole number from 1 to 100000; without concurrency= there is no limit/ ] } 0, -1, 100001, 'one', ''),
        [ 'concurrency=1 concurrency=1',       qr/concurrency= sets what another key of this line has set/ ],
        [ 'concurrency=4 idle-max=3',          qr/with concurrency= up to 4 no connection is kept unless keepalive=on is written, so .*idle-max=/ ],
        (map { [ "status=$_", qr/status=\Q$_\E: expected one of on, spare, backup, drain, disabled/ ] } 'up', '', '+', '+DH', 'DN', '+X'),
        (map { [ "status=$_", qr/status=\Q$_\E: leave it out: a member is on unless/ ] } '-D', '-', '-on'),
        (map { [ "status=$_", qr/status=\Q$_\E: write status=disabled/ ] } '+S', 's'),
        (map { [ "status=$_", qr/status=\Q$_\E: leave it out: a member that fails is left out, and used again, by itself/ ] } '+I', 'E'),
        [ 'status=+C',                         qr/status=\+C: leave it out: checks are set by BalancerHealthCheck/ ],
        [ 'status=on status=on',               qr/status= sets what another key of this line has set/ ],
        (map { [ "set=$_", qr/set=$_: expected a whole number from 0 to 99/ ] } -1, 100, 'x', ''),
        [ 'lbset=100',                         qr/lbset=100: expected a whole number from 0 to 99/ ],
        [ 'set=1 lbset=1',                     qr/lbset= sets what another key of this line has set/ ],
        (map { [ "route=$_", qr/route=\Q$_\E: a route has letters, digits, '_' and '-', at most 64 of them/ ] } '', 'a.b', 'a/b', 'x' x 65),
        [ 'keepalive=off idle-max=3',          qr/with keepalive=off no connection is kept, so .*idle-max=/ ],
        [ 'max-age=3s disablereuse=on',        qr/with keepalive=off no connection is kept, so .*max-age=/ ],
    );
    wrong("<Balancer app>\nBalancerMember http://a:80 route=x\n!BalancerMember http://b:80 route=x\n</Balancer>",
        qr{BalancerMember http://b:80: route=x: that is the route of http://a:80 already; each member of a balancer has its own});
    my $long = 'http://a:80/' . 'x' x 400;
    wrong_inside("BalancerMember $long", qr{BalancerMember \Q$long\E: the address has 412 characters; at most 400});
    wrong("<Balancer app>\n!BalancerMember http://a:80 $_->[0]\n</Balancer>", qr{BalancerMember http://a:80: }, @$_[ 1 .. $#$_ ])
        for @keys;
};

# Keys of mod_proxy that mean something else here, or nothing: each says what to do instead.
subtest "mod_proxy's keys" => sub {
    my %foreign = (
        (map { $_ => qr/leave it out/ } qw(min retry redirect ping flushpackets flushwait upgrade
            iobuffersize receivebuffersize responsefieldsize addressttl failontimeout failonstatus growth)),
        max             => qr/write concurrency=N/,
        acquire         => qr/write BalancerQueue timeout=/,
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

subtest 'methods' => sub {
    my @known = map {qr/: .*\b$_\b/} qw(roundrobin leastbusy traffic latency hash);
    my $forms = qr/header:NAME, cookie:NAME, uri, client or expr:EXPRESSION/;
    wrong_inside('BalancerMethod',                      qr/takes one name, and perhaps a key/, @known);
    wrong_inside('BalancerMethod hash expr:%{HTTP_HOST} x', qr/takes one name, and perhaps a key in one word or in quotes/, @known);
    wrong_inside('BalancerMethod byrequests',           qr/BalancerMethod byrequests: there is no such method; known are/, @known);
    wrong("<Balancer app>\nBalancerMember http://a:1\nBalancerMethod leastbusy\n!BalancerMethod roundrobin\n</Balancer>",
        qr/BalancerMethod roundrobin: the method is already leastbusy/);
    wrong_inside("BalancerMethod $_ uri", qr/BalancerMethod $_ uri: $_ takes no key; leave it out/) for qw(roundrobin leastbusy traffic latency);
    wrong_inside('BalancerMethod hash', qr/BalancerMethod hash: what is hashed must follow: $forms/);
    wrong_inside("BalancerMethod hash $_", qr/BalancerMethod \.\.\. \Q$_\E: expected what is hashed, one of $forms/)
        for qw(url header header=X urix client: ip cookies:x);
    wrong_inside("BalancerMethod hash $_", qr/BalancerMethod \.\.\. \Q$_\E: .*not the name of a header field, as in header:X-Tenant/)
        for 'header:', 'header:a:b', 'header:a;b';
    wrong_inside('BalancerMethod hash cookie:a=b', qr/\Qcookie:a=b\E: .*not the name of a cookie, as in cookie:session/);
    wrong_inside('BalancerMethod hash expr:', qr/expr:: it is empty; write one such as expr:%\{HTTP:X-Tenant\}/);
    wrong_inside('BalancerMethod hash "expr:%{HTTP_HOST"', qr/BalancerMethod \.\.\. expr:%\{HTTP_HOST: \S/);
    wrong_inside('BalancerMethod hash expr:%{nope:x}', qr/BalancerMethod \.\.\. expr:%\{nope:x\}: \S/);
};

subtest 'the queue' => sub {
    my $keys  = qr/length=, timeout=, per-client=/;
    my $count = qr/expected a whole number from 0 to 100000/;
    my @lines = (
        [ '',                   qr/BalancerQueue takes at least one of $keys/ ],
        [ '100',                qr/BalancerQueue: '100' is not one of $keys/ ],
        [ 'size=100',           qr/BalancerQueue: 'size' is not one of $keys/ ],
        [ 'length=-1',          qr/BalancerQueue length=-1: $count/ ],
        [ 'length=100001',      qr/BalancerQueue length=100001: $count/ ],
        [ 'per-client=x',       qr/BalancerQueue per-client=x: $count/ ],
        [ 'timeout=30',         qr/BalancerQueue timeout=30: a time is a whole number and ms, s, min or h/ ],
        [ 'timeout=0',          qr/BalancerQueue timeout=0: expected a time over 0/ ],
        [ 'length=1 length=1',  qr/BalancerQueue: length= is given twice/ ],
    );
    wrong_inside("BalancerQueue $_->[0]", $_->[1]) for @lines;
    wrong("<Balancer app>\nBalancerMember http://a:1\nBalancerQueue timeout=1s\n!BalancerQueue length=5 timeout=1s\n</Balancer>",
        qr/BalancerQueue: timeout= is given twice/);
};

subtest 'checks' => sub {
    my $one = qr/one of uri=PATH \(what is asked for\) and tcp/;
    wrong_inside('BalancerHealthCheck', qr/BalancerHealthCheck takes at least one of uri= or tcp/);
    wrong("!<Balancer app>\nBalancerMember http://a:80\nBalancerHealthCheck $_->[0]\n</Balancer>", { name => $_->[0] }, $_->[1]) for (
        [ 'interval=5s',              $one ],
        [ 'tcp uri=/',                $one ],
        [ 'tcp host=a',               qr/with tcp nothing is asked, so host=, expect= and body~ mean nothing/ ],
        [ 'tcp expect=200',           qr/with tcp nothing is asked/ ],
        [ 'tcp body~x',               qr/with tcp nothing is asked/ ],
    );
    wrong_inside("BalancerHealthCheck $_->[0]", $_->[1]) for (
        [ 'url=/',                    qr/'url' is not one of uri= or tcp, interval=/ ],
        [ 'http',                     qr/'http' is not one of uri= or tcp/ ],
        [ 'uri=/ uri=/x',             qr/uri= is given twice/ ],
        [ 'tcp TCP',                  qr/TCP is given twice/ ],
        [ 'uri=/ body~a body~b',      qr/body~ is given twice/ ],
        [ 'uri=/ mandatory mandatory', qr/mandatory is given twice/ ],
        [ 'uri=/ "body~a(b"',         qr/body~a\(b: .*expected an extended regular expression/ ],
        [ 'uri=/ body~',              qr/body~: .*expected an extended regular expression/ ],
        [ 'uri=/ body~' . 'x' x 1025, qr/of at most 1024 characters/ ],
        (map { [ "uri=$_", qr/uri=\Q$_\E: expected a path, perhaps with a query, such as \/health/ ] } '', 'health', '/a#b', '/' . 'x' x 2048),
        [ '"uri=/a b"',               qr/uri=\/a b: expected a path/ ],
        (map { [ "uri=/ host=$_", qr/host=\Q$_\E: expected a host name, such as app\.example\.org/ ] } '', 'a/b', 'a,b', 'x' x 256),
        (map { [ "uri=/ expect=$_", qr/expect=\Q$_\E: expected statuses from 200 to 599/ ] } '', '199', '600', '200-600', '300-200', '200,', ',200', '200-', 'ok', '2xx', '200 - 300' =~ s/ //gr . ';'),
        (map { [ "uri=/ interval=$_", qr/interval=$_: expected a time from 100ms to 1h/ ] } '99ms', '61min', '0'),
        [ 'uri=/ interval=5',         qr/interval=5: / ],
        (map { [ "uri=/ timeout=$_", qr/timeout=$_: expected a time from 10ms to 60s/ ] } '9ms', '61s', '0'),
        (map { ([ "uri=/ rise=$_", qr/rise=$_: expected a whole number from 1 to 100/ ], [ "uri=/ fall=$_", qr/fall=$_: expected a whole number from 1 to 100/ ]) } 0, 101, 'x', ''),
        (map { [ "uri=/ jitter=$_", qr/jitter=$_: expected a percentage from 0% to 50%/ ] } '51%', '10', '-1%', ''),
    );
    wrong("!<Balancer app>\nBalancerApp a \"/bin/true %{socket}\"\nBalancerHealthCheck tcp\n</Balancer>", qr/there is no BalancerMember to check; instances of a BalancerApp are asked by its ready-uri=/);
};

subtest 'buffers' => sub {
    my $keys  = qr/request=, response=, file=, max=, folder=/;
    my $sizes = qr/expected a size up to 1G, such as 256K or 1M/;
    my @lines = (
        [ '',                   qr/BalancerBuffer takes at least one of $keys/ ],
        [ '1M',                 qr/BalancerBuffer: '1M' is not one of $keys/ ],
        [ 'memory=1M',          qr/BalancerBuffer: 'memory' is not one of $keys/ ],
        [ 'request=1T',         qr/BalancerBuffer request=1T: $sizes/ ],
        [ 'response=2G',        qr/BalancerBuffer response=2G: $sizes/ ],
        [ 'file=-1',            qr/BalancerBuffer file=-1: \S/ ],
        [ 'max=lots',           qr/BalancerBuffer max=lots: \S/ ],
        [ 'folder=/nowhere/at/all', qr{BalancerBuffer folder=/nowhere/at/all: expected a folder that exists} ],
        [ 'max=1M max=2M',      qr/BalancerBuffer: max= is given twice/ ],
    );
    wrong_inside("BalancerBuffer $_->[0]", $_->[1]) for @lines;
};

subtest 'inline' => sub {
    wrong_after("BalancerInline $_", qr/BalancerInline \Q$_\E: expected off or a time up to 1s/) for qw(2s 5 on);
    wrong_after("<Location />\n!BalancerInline 5ms\n</Location>", qr/BalancerInline/);
};

subtest 'affinity' => sub {
    my $forms = qr/expected cookie=NAME \[param=NAME\], header=NAME or client; then perhaps strict/;
    my $name  = qr/expected a name of letters, digits, '-' and '_'/;
    my @lines = (
        [ '',                     qr/BalancerAffinity: $forms/ ],
        [ 'strict',               qr/BalancerAffinity: $forms/ ],
        [ 'param=x',              qr/BalancerAffinity: $forms/ ],
        [ 'ip',                   qr/BalancerAffinity ip: $forms/ ],
        [ 'cookie',               qr/BalancerAffinity cookie: $forms/ ],
        [ 'cookie=',              qr/BalancerAffinity cookie=: $name/ ],
        [ '"cookie=a b"',         qr/BalancerAffinity cookie=a b: $name/ ],
        [ 'cookie=a;b',           qr/BalancerAffinity cookie=a;b: $name/ ],
        [ 'cookie=a param=b/c',   qr/BalancerAffinity param=b\/c: $name/ ],
        [ 'header=X:',            qr/BalancerAffinity header=X:: $name/ ],
        [ 'cookie=a cookie=b',    qr/BalancerAffinity cookie=b: it is a already/ ],
        [ 'cookie=a header=b',    qr/BalancerAffinity header=b: only one of cookie=, header= and client/ ],
        [ 'client cookie=a',      qr/BalancerAffinity cookie=a: only one of cookie=, header= and client/ ],
        [ 'header=X param=b',     qr/BalancerAffinity param=b: it goes with cookie=NAME only/ ],
    );
    wrong_inside("BalancerAffinity $_->[0]", $_->[1]) for @lines;
    wrong("<Balancer app>\nBalancerMember http://a:1\nBalancerAffinity client\n!BalancerAffinity cookie=a\n</Balancer>",
        qr/BalancerAffinity cookie=a: this balancer has one already/);
};

# All of it right.
subtest 'what else is right passes' => sub {
    my $members = join '', map {"    BalancerMember http://127.0.0.1:80$_->[0] $_->[1]\n"} [ 11, 'concurrency=1 status=on set=0 route=a' ],
        [ 12, 'concurrency=4 keepalive=on idle-max=3 status=+R' ], [ 13, 'status=H lbset=99 route=x_-9' ], [ 14, 'status=+n' ],
        [ 15, 'status=disabled concurrency=100000' ], [ 16, 'status=SPARE' ], [ 17, 'status=backup' ], [ 18, 'status=drain' ];
    for my $lines (
        "BalancerMethod hash uri\nBalancerQueue length=0\nBalancerQueue timeout=1ms per-client=100000",
        "BalancerMethod hash client\nBalancerAffinity client",
        "BalancerMethod hash header:X-Tenant\nBalancerAffinity strict header=X-Tenant",
        "BalancerMethod hash Cookie:session\nBalancerAffinity cookie=session param=jsessionid strict",
        "BalancerMethod hash \"expr:%{HTTP_HOST} %{REQUEST_METHOD}\"\nBalancerAffinity client strict",
        "BalancerBuffer request=0 response=0 file=0\nBalancerBuffer max=10G folder=/tmp",
        'BalancerMethod hash expr:%{HTTP:X-Tenant}', 'BalancerMethod traffic', 'BalancerMethod latency',
    ) {
        my ($code, $text) = Abl::Server->configtest("<Balancer app>\n$members$lines\n</Balancer>\nBalancerPass / app");
        is($code, 0, $lines =~ s/\n/; /gr) or diag($text);
    }
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
