# A real DNS server (Knot) on loopback, for the zone internal., whose records a test changes at run time.
#
#   my $dns = Abl::Dns->start('app A 127.0.0.2', '_http._tcp.app SRV 0 5 8080 one');
#   BalancerResolver @{[$dns->address]}
#   $dns->set('app A 127.0.0.3');      all records, anew; answered from now on
#   $dns->kill; $dns->again;           kill -9; and back at the same port with the same records
#
# Every record holds for a second, unless a number is written before its type.
# SPDX-License-Identifier: Apache-2.0
package Abl::Dns;
use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;
use Abl::Proc;
use Abl::Util qw(slurp spew free_port wait_until tool);

sub start {
    my ($class, @records) = @_;
    my $dir  = File::Temp::tempdir('abl-dns-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { dir => $dir, port => free_port(), serial => 0 }, $class;
    spew("$dir/knot.conf", <<"END");
server:
    rundir: "$dir"
    listen: 127.0.0.1\@$self->{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "$dir"
log:
  - target: stderr
    any: info
zone:
  - domain: internal.
    file: "$dir/zone"
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
END
    $self->_write(@records);
    return $self->again;
}

sub address { return "127.0.0.1:$_[0]{port}" }

sub _write {
    my ($self, @records) = @_;
    $self->{serial}++;
    my @lines = map { my ($name, @rest) = split; unshift @rest, 1 unless $rest[0] =~ /\A\d+\z/; "$name " . join ' ', @rest } @records;
    spew("$self->{dir}/zone", join "\n", '$ORIGIN internal.', '$TTL 1', "\@ SOA ns admin $self->{serial} 60 60 60 1", '@ NS ns', 'ns A 127.0.0.1', @lines, '');
    return;
}

sub set {
    my ($self, @records) = @_;
    $self->_write(@records);
    my $said = qx(@{[tool('knotc')]} -c $self->{dir}/knot.conf -s $self->{dir}/knot.sock -b zone-reload internal. 2>&1);
    die "the DNS server says: $said\n" if $?;
    return $self;
}

sub is_alive { my ($self) = @_; return $self->{proc} && $self->{proc}->alive }

sub kill { my ($self) = @_; return $self->{proc}->stop('KILL') }

sub again {
    my ($self) = @_;
    my $log = "$self->{dir}/log";
    $self->{proc} = Abl::Proc->start(cmd => [ tool('knotd'), '-c', "$self->{dir}/knot.conf" ], out => $log);
    wait_until { $self->_answers || !$self->{proc}->alive } 10;
    die "the DNS server did not start:\n" . slurp($log) unless $self->{proc}->alive && $self->_answers;
    return $self;
}

# Has it the zone? Whoever asks for its SOA gets an answer without an error.
sub _answers {
    my ($self) = @_;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'udp') or return 0;
    send $sock, pack('n6', 7, 0, 1, 0, 0, 0) . "\x08internal\0" . pack('n2', 6, 1), 0 or return 0;
    my $ready = '';
    vec($ready, fileno $sock, 1) = 1;
    return 0 unless select $ready, undef, undef, 0.2;
    return 0 unless defined recv $sock, my $answer, 512, 0;
    my (undef, $flags, undef, $n) = unpack 'n4', $answer;
    return !($flags & 15) && $n > 0;
}

# What is asked there is never answered.
sub blackhole {
    my ($class) = @_;
    my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp') or die "bind: $@\n";
    return bless { port => $sock->sockport, keep => $sock }, $class;
}

1;
