# What is at the edges of seeing and steering: readers that do not read, files of others, what is lost and told.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 180;
use Abl::Manager;
use IO::Socket::INET ();
use JSON::PP ();
use Socket qw(inet_aton sockaddr_in SOL_SOCKET SO_RCVBUF);

sub parked { my ($s) = @_; my $n = 0; $n += $_->{parked} for @{ $s->status_json->{seats} }; return $n }

sub streams { my ($s) = @_; return scalar(() = $s->access_log =~ m{as=stream}g) }

# It asks for the stream and takes next to nothing of it.
sub reader {
    my ($s) = @_;
    my $reader = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    setsockopt $reader, SOL_SOCKET, SO_RCVBUF, pack 'i', 2048 or die "SO_RCVBUF: $!";
    connect $reader, sockaddr_in($s->port, inet_aton('127.0.0.1')) or die "connect: $!";
    syswrite $reader, "GET /-/status?as=stream HTTP/1.1\r\nHost: a\r\n\r\n";
    return $reader;
}

subtest 'readers that do not read' => sub {
    plan(skip_all => 'there are no streams without the event MPM') if Abl::Server->default_mpm ne 'event';
    my $m = Abl::Member->start(name => 'a');
    my $s = Abl::Server->start(
        status => 1, threads => 8,
        conf   => "SendBufferSize 4096\nTimeout 3\nBalancerPass / app\n" . balancer('app', $m, map {"BalancerMember http://127.0.0.9:$_ status=disabled"} 1001 .. 1300),
    );
    my @readers = map { reader($s) } 1 .. 16;
    ok((wait_until { parked($s) == 16 } 10), 'more readers than there are workers');
    is($s->get('/x')->{status}, 200, 'have none of them');
    ok((wait_until { parked($s) == 0 } 20), 'who takes nothing for the Timeout is gone');
    is(streams($s), 16, 'and logged');
    my @more = map { reader($s) } 1 .. 32;
    ok((wait_until { parked($s) == 32 } 10), 'their places are free again') or diag(parked($s));
    $s->log_ok(allow => [qr/AH00484/]);
};

done_testing;
