# Tests in a browser: makes t/browser ready, and runs a file of it that prints TAP.
# SPDX-License-Identifier: Apache-2.0
package Abl::Page;
use strict;
use warnings;
use Cwd ();
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Temp ();
use Test::More ();
use Abl::Proc;
use Abl::Test ();
use Abl::Util qw(slurp wait_until);

my $dir = Cwd::abs_path(dirname(__FILE__) . '/../../browser');

# What package-lock.json names, where it is not there yet or the lock file is newer. Two tests may want it at once.
sub ready {
    Abl::Test::needs(qw(node npm chromium));
    open my $lock, '<', "$dir/package-lock.json" or die "$dir/package-lock.json: $!\n";
    flock $lock, LOCK_EX or die "$dir/package-lock.json: $!\n";
    my ($there, $wanted) = map { (stat $_)[9] || 0 } "$dir/node_modules/.package-lock.json", "$dir/package-lock.json";
    return if $there >= $wanted;
    my $said = qx(cd '$dir' && npm ci --no-audit --no-fund 2>&1);
    die "npm ci in $dir: $said\n" if $?;
    return;
}

# Returns the exit status; its TAP goes where ours would. Its browser ends with it, whatever becomes of the test.
sub run {
    my ($file, @args) = @_;
    ready();
    my $proc = Abl::Proc->start(cmd => [ 'node', "$dir/$file", @args ]);
    # how long it may take is the test's alarm
    1 until wait_until { !$proc->alive } 60;
    return $proc->status ? 1 : 0;
}

# The same within a subtest: each of its tests is one here.
sub within {
    my ($file, @args) = @_;
    ready();
    my $out  = File::Temp->new;
    my $proc = Abl::Proc->start(cmd => [ 'node', "$dir/$file", @args ], out => "$out");
    1 until wait_until { !$proc->alive } 60;
    my $said = slurp("$out");
    my $n    = 0;
    while ($said =~ /^(not )?ok \d+ - (.*)\n((?:#.*\n)*)/mg) {
        $n++;
        Test::More::ok(!$1, $2);
        Test::More::diag($3) if $1;
    }
    my ($planned) = $said =~ /^1\.\.(\d+)$/m;
    Test::More::ok($n && $n == ($planned // 0) && defined $proc->status, 'all of them') or Test::More::diag($said);
    return;
}

1;
