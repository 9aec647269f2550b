# What each test file begins with: strictness, Test::More, an alarm, and the helpers.
# SPDX-License-Identifier: Apache-2.0
package Abl::Test;
use strict;
use warnings;
use Test::More ();
use Abl::Util ();
use Abl::Proc;
use Abl::Server;
use Abl::Member;
use Abl::Client;
use Abl::Counter;
use Abl::H2;
use Abl::Load;

# use Abl::Test;  or  use Abl::Test bound => 120;
sub import {
    my ($class, %o) = @_;
    my $into = caller;
    strict->import;
    warnings->import;
    # a member or a client that goes away is an answer to look at, not the test's death
    $SIG{PIPE} = 'IGNORE';
    $SIG{ALRM} = sub { die "the test took longer than its bound\n" };
    alarm(($o{bound} || 60) * Abl::Util::patience());
    Test::More->export_to_level(1, $class);
    no strict 'refs';
    *{"${into}::$_"} = \&{"Abl::Util::$_"} for qw(wait_until stays b64url pattern slurp spew patience);
    *{"${into}::$_"} = \&$_ for qw(needs balancer trouble);
    return;
}

# Names programs or Perl modules this test cannot do without. Where everything must run, a missing one is
# a failure and not a skip.
sub needs {
    my (@names) = @_;
    for my $name (@names) {
        my $there = $name =~ /::/ ? eval "require $name; 1" : Abl::Util::tool($name);
        next if $there;
        die "$name is missing, and nothing may be skipped here\n" if $ENV{CI} || $ENV{ABL_ALL};
        Test::More::plan(skip_all => "$name is not installed");
    }
    return;
}

# The section of a balancer: balancer('app', $member, [$member, 'weight=3'], 'BalancerMethod leastbusy').
sub balancer {
    my ($name, @parts) = @_;
    my $text = "<Balancer $name>\n";
    for my $part (@parts) {
        my ($member, $keys) = ref $part eq 'ARRAY' ? @$part : ($part, '');
        $text .= ref $member ? '    BalancerMember "' . $member->url . "\" $keys\n" : "    $member\n";
    }
    return "$text</Balancer>\n";
}

# For log_ok(allow => ...) of a test that provokes failures: the module's own, numbered complaints.
sub trouble { return qr/\[appbalance:(?:warn|error)\] .*\bABL\d{4}\b/ }

1;
