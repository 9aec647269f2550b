# Mistakes in BalancerApp, as configtest tells them.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use File::Temp ();

my $dir = File::Temp::tempdir('abl-app-XXXXXX', TMPDIR => 1, CLEANUP => 1);
mkdir "$dir/folder" or die "$dir/folder: $!\n";

sub says {
    my ($line, @patterns) = @_;
    my ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerApp $line\n</Balancer>\nBalancerPass / app");
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return subtest $line => sub {
        isnt($code, 0, 'is refused');
        like($text, $_, "says $_") for @patterns;
    };
}

sub accepted {
    my ($line) = @_;
    my ($code, $text) = Abl::Server->configtest("<Balancer app>\nBalancerApp $line\n</Balancer>\nBalancerPass / app");
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($code, 0, "accepted: $line") || diag($text);
}

my $ok = 'web "/bin/sleep %{port}" ports=20001-20004';
accepted($_) for $ok, "$ok instances=2-3 surge=1 concurrency=0 weight=2 keepalive=on", 'web "/bin/sleep %{socket}"', 'web "/bin/sleep 1" listen=fd ready-uri=/',
    'web "/bin/sleep 1" ports=20001-20002 env:PORT=%{port}', 'web "/bin/sleep %%{port} 100%% %" listen=fd', "$ok env:FORMAT=%%{x}",
    "$ok env:A=b env:a=b limit:as=1G limit:data=1G",
    "$ok dir=$dir umask=022 nice=-5 limit:nofile=unlimited limit:core=0 limit:as=1G env:A=b env:B= memory=200M requests=500 age=1h stuck=30s check=1s",
    "$ok ready-uri=/health start-timeout=5s stop-timeout=1s drain-timeout=1s grow=100ms idle=1min failures=3 within=10s retry=5s starts=1 restart-file=x log=$dir/log";

says('', qr/ABL0206: BalancerApp : expected the application's name/);
says('we/b "/bin/sleep %{port}"', qr/ABL0206/);
says('web', qr/BalancerApp web: ABL0213: its command is missing/);
says('web ""', qr/ABL0213/);
says('web "/bin/sleep 1"', qr/ABL0208: .*told where to listen.*%\{port\} or %\{socket\}.*listen=fd/);
says('web "/bin/sleep %{port} %{socket}" ports=20001-20002', qr/ABL0208/);
says("$ok listen=fd", qr/ABL0208/);
says('web "/bin/sleep %%{port}" ports=20001-20002', qr/ABL0208/);
says('web "/bin/sleep %{prot}" listen=fd', qr/ABL0216: %\{prot\}: there are %\{port\} and %\{socket\} only; a plain %\{ is written %%\{/);
says('web "/bin/sleep 1" ports=20001-20002 env:PORT=%{prot}', qr/ABL0216: %\{prot\}: /);
says("$ok env:A=%%%{x", qr/ABL0216: %\{x: /);
says('web "/bin/sleep %{port}"', qr/ABL0209: .*ports=39564-39579/);
says('web "/bin/sleep %{socket}" ports=20001-20002', qr/ABL0210/);
says('web "/bin/sleep %{port}" ports=20001-20002 instances=2', qr/ABL0211: 2 instances and 1 more .* need 3 ports; there are 2/);
says('web "/bin/sleep %{port}" ports=20002-20001', qr/ABL0204: ports=20002-20001: expected a range/);
says('web "/bin/sleep %{port}" ports=20001-20099', qr/ABL0204: .*at most 64/);
says('web "/bin/sleep %{port}" ports=0-3', qr/ABL0204/);
says('web "/bin/sleep %{port}" ports=65535-65536', qr/ABL0204/);
says("$ok $_", qr/ABL0204: \Q$_\E: /) for 'instances=0', 'instances=3-2', 'instances=65', 'surge=-1', 'starts=0', 'failures=33', 'concurrency=x', 'memory=0', 'memory=lots', 'requests=0',
    'age=5', 'stuck=0', 'umask=9', 'umask=1777', 'nice=21', 'listen=port', 'ready-uri=health', "dir=$dir/none", 'user=nobody-of-this-name', 'group=nobody-of-this-name', 'start-timeout=0';
says("$ok dir=/etc/passwd", qr/ABL0204: .*expected a folder that exists/);
says("$ok $_", qr/ABL0200: /) for 'env:=x', 'env:1A=x', 'env:A', 'env:A-B=x';
says("$ok $_", qr/ABL0201: .*nofile, core/) for 'limit:none=1', 'limit:nofile';
says("$ok limit:nofile=many", qr/ABL0201: .*expected a whole number/);
says("$ok what=ever", qr/ABL0202: unknown key 'what='; known are .*instances=.*weight=/);
says("$ok route=a", qr/ABL0202/);
says("$ok memory=1M memory=2M", qr/ABL0203: memory= is there twice/);
says("$ok $_->[0]", qr/BalancerApp web: ABL0203: \Q$_->[1]\E= is there twice/) for [ "dir=$dir Dir=$dir", 'Dir' ], [ 'ports=20001-20004', 'ports' ], [ 'age=1h age=2h', 'age' ],
    [ 'limit:nofile=10 limit:nofile=10', 'limit:nofile' ], [ 'env:X=1 env:X=2', 'env:X' ];
says("$ok weight=2 weight=3", qr/BalancerApp web: ABL0124: /);
says("$ok check=1s", qr/ABL0212/);
says("$ok word", qr/ABL0205: 'word' is not of the form key=value/);
says("$ok\nBalancerApp web \"/bin/sleep %{port}\" ports=20011-20014", qr/ABL0207: .*has an application of this name already/);
says("$ok\nBalancerApp api \"/bin/sleep %{port}\" ports=20004-20007", qr/ABL0127: BalancerApp http:.*:20004: <Balancer app> has this member already/);
says("$ok restart-file=$dir/folder", qr/ABL0214: .*restart-file=: \S+ is a folder/);
says('web "/no/such/program %{port}" ports=20001-20004', qr{ABL0214: .*/no/such/program});
says('web "no-such-program %{port}" ports=20001-20004', qr{ABL0214: .*no-such-program});

# The program, where it will be looked for when an instance begins.
for my $name ('mine', 'p20001', 'p20002') {
    spew("$dir/$name", "#!/bin/sh\n");
    chmod 0755, "$dir/$name" or die "$dir/$name: $!\n";
}
spew("$dir/data", '');
accepted($_) for "web mine listen=fd dir=$dir env:PATH=/bin:", "web mine listen=fd dir=$dir env:PATH=folder/..", "web ./mine listen=fd dir=$dir",
    "web p%{port} ports=20001-20002 dir=$dir env:PATH=.";
says("web mine listen=fd dir=$dir", qr{ABL0214: .*its program mine is not there, .*looked for along PATH=/usr/local/bin:/usr/bin:/bin});
says("web ./data listen=fd dir=$dir", qr{ABL0214: .*its program \./data is not there, or cannot be executed \(looked for in dir=\Q$dir\E});
says("web ./folder listen=fd dir=$dir", qr{ABL0214});
says("web ./p%{port} ports=20001-20003 dir=$dir", qr{ABL0214: .*its program \./p20003 is not there});

SKIP: {
    skip 'httpd is started by root here', 1 if $> == 0;
    says("$ok user=root", qr/ABL0214: .*user= can only be obeyed where httpd is started by root/);
}

done_testing;
