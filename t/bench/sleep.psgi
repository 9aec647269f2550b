# The application of t/bench/queue: each request takes the time its query string says, and no CPU.
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;

sub {
    my ($env) = @_;
    my ($ms) = $env->{QUERY_STRING} =~ /\bms=([0-9.]+)/;
    select undef, undef, undef, $ms / 1000 if $ms;
    return [ 200, [ 'Content-Type' => 'text/plain', 'Content-Length' => 3 ], ["ok\n"] ];
};
