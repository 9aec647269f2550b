# Every file of conf/ is a configuration that httpd accepts: alone, and with all that is commented out.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();

my $root = Cwd::abs_path(dirname(__FILE__) . '/..');
my %tested;

sub accepted {
    my ($name, $conf, %o) = @_;
    my ($code, $text) = Abl::Server->configtest($conf, %o);
    is($code, 0, "$name: accepted") or diag($text);
    unlike($text, qr/warn|error/i, "$name: without a word");
    return;
}

subtest 'appbalance.load' => sub {
    my $text = slurp("$root/conf/appbalance.load");
    $tested{'appbalance.load'} = 1;
    my $module = Abl::Server->module_path;
    is($text =~ s{^(LoadModule appbalance_module )\S+/mod_appbalance\.so$}{$1"$module"}mg, 1, 'one LoadModule line');
    accepted('the module where it is now', $text, module => 0);
};

subtest 'appbalance.conf' => sub {
    my $text = slurp("$root/conf/appbalance.conf");
    $tested{'appbalance.conf'} = 1;
    accepted('as it is', $text);
    accepted('without the module', $text, module => 0);
    cmp_ok($text =~ s/^(\s*)#(<?\/?Balancer)/$1$2/mg, '>', 10, 'directives are commented out');
    accepted('with all directives', $text);
};

subtest 'seed.conf' => sub {
    $tested{'seed.conf'} = 1;
    my $dir = File::Temp::tempdir('abl-seed-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    mkdir "$dir/root" or die "$dir/root: $!\n";
    my $modules = qx(@{[$ENV{APXS} || 'apxs']} -q LIBEXECDIR);
    chomp $modules;
    my $conf = spew("$dir/httpd.conf", <<"END");
Define MODULES "$modules"
Define MYAPP "$dir"
Define LOGS "$dir"
Define LISTEN 127.0.0.1:8080
LoadModule appbalance_module "@{[Abl::Server->module_path]}"
Include "$root/conf/seed.conf"
END
    local $ENV{LD_PRELOAD} = $ENV{ABL_PRELOAD} if $ENV{ABL_PRELOAD};
    my $text = qx(@{[Abl::Server->httpd]} -t -f $conf 2>&1);
    is($?, 0, 'accepted') or diag($text);
    is($text, "Syntax OK\n", 'without a word');
};

my @files = map { (m{([^/]+)\z})[0] } grep {-f} glob "$root/conf/*";
is_deeply([ sort @files ], [ sort keys %tested ], 'no file is left out');

done_testing;
