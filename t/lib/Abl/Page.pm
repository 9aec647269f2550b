# Tests in a browser: makes t/browser ready, and runs a file of it that prints TAP.
# SPDX-License-Identifier: Apache-2.0
package Abl::Page;
use strict;
use warnings;
use Cwd ();
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use Abl::Proc;
use Abl::Test ();
use Abl::Util qw(wait_until);

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

1;
