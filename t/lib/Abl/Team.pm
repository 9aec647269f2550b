# A server whose application is looked after, for one test: t/app/worker.py, or another command, in one BalancerApp line.
#
#   my $t = Abl::Team->start(keys => 'instances=2', habits => 'start=0.2', place => 'port');
#   $t->instances;  $t->app;  $t->await_ready(2);  $t->unharmed($load, 'meanwhile');  $t->server->...
#
# place: port, socket, fd, or "fd port": a socket with a port. ports: how many. queue: its timeout. conf: more lines; section: more
# lines in <Balancer>. command: instead of the worker's; dir: a folder that is there, else a new one.
# SPDX-License-Identifier: Apache-2.0
package Abl::Team;
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use IO::Socket::INET;
use List::Util qw(sum0);
use Test::More ();
use Abl::Server;
use Abl::Util qw(slurp spew wait_until);

my $worker = Cwd::abs_path(dirname(__FILE__) . '/../../app') . '/worker.py';

sub worker { return $worker }

# The first of so many free ports in a row, below those that the kernel gives away.
sub free_ports {
    my ($n) = @_;
    for (1 .. 200) {
        my $first = 10_000 + int rand 20_000;
        my @taken = grep { !IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1) } $first .. $first + $n - 1;
        return $first unless @taken;
    }
    die "no free ports found\n";
}

sub start {
    my ($class, %o) = @_;
    my $self = bless { place => $o{place} || 'port', nports => $o{ports} || 8, n => 0, command => $o{command} }, $class;
    $self->{dir} = $o{dir} || File::Temp::tempdir('abl-team-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 01777, $self->{dir};    # the instances are another user when root starts httpd
    $self->{first} = free_ports($self->{nports});
    $self->{server} = Abl::Server->start(
        status => 1, files => { 'static/a.txt' => "file\n" }, children => $o{children} || 1, %{ $o{server} || {} },
        conf   => $self->section(%o) . "BalancerPass / app\nBalancerStatic /static\n" . ($o{conf} || ''),
    );
    return $self;
}

# The section that start() or a later configuration has.
sub section {
    my ($self, %o) = @_;
    my %place = (
        port => [ '%{port}', $self->ports ], socket => [ '%{socket}', '' ], fd => [ 'fd', 'listen=fd' ],
        'fd port' => [ 'fd', 'listen=fd ' . $self->ports ],
    );
    my ($where, $key) = @{ $place{ $self->{place} } };
    my $command = $self->{command} || "python3 $worker $where " . ($o{habits} || '');
    my $keys    = $o{keys} || '';
    s/\@DIR\@/$self->{dir}/g for $command, $keys;
    return <<"END";
<Balancer app>
    BalancerApp web "$command" $key dir=$self->{dir} $keys
    BalancerQueue timeout=@{[$o{queue} || '20s']}
@{[$o{section} || '']}
</Balancer>
END
}

sub ports  { my ($self) = @_; return "ports=$self->{first}-" . ($self->{first} + $self->{nports} - 1) }
sub server { return $_[0]{server} }
sub dir    { return $_[0]{dir} }

# What the status says of the application, which is there soon after httpd is, and of those of its instances that are in this
# state (all: 'any').
sub app {
    my ($self) = @_;
    return wait_until { (grep { !$_->{removed} } @{ $self->{server}->status_json->{applications} })[0] } 10;
}

sub instances {
    my ($self, $state) = @_;
    return grep { ($state || 'ready') eq 'any' || $_->{state} eq ($state || 'ready') } @{ $self->app->{instances} };
}

sub pids { my ($self, $state) = @_; return sort { $a <=> $b } map { $_->{pid} } $self->instances($state) }

sub await_ready {
    my ($self, $n, $seconds) = @_;
    return wait_until { my @all = $self->instances('any'); @all == $n && !grep { $_->{state} ne 'ready' } @all } $seconds || 20;
}

# Changes the configuration's text, in $_, and restarts gracefully. Then no child of before accepts a request any more.
sub reconfigure {
    my ($self, $change) = @_;
    my $s    = $self->{server};
    my $file = $s->dir . '/httpd.conf';
    my $n    = () = $s->log =~ /resuming normal operations/g;
    local $_ = slurp($file);
    my $before = $_;
    $change->();
    die "the configuration has not changed\n" if $_ eq $before;
    spew($file, $_);
    my @children = $s->children;
    $s->signal('USR1');
    return wait_until { (() = $s->log =~ /resuming normal operations/g) > $n && !grep { $s->is_listening($_) } @children } 10;
}

# What the workers have written to their diary (habit diary=@DIR@/diary): [pid, what, detail], of all or of one kind.
sub diary {
    my ($self, $what) = @_;
    my @lines = map { [ split / /, $_, 3 ] } split /\n/, eval { slurp("$self->{dir}/diary") } // '';
    return grep { !defined $what || $_->[1] eq $what } @lines;
}

# These serve so many requests from now on.
sub serves {
    my ($self, $n) = @_;
    my %before = map { $_->{pid} => $_->{requests} } $self->instances('any');
    return wait_until { sum0(map { $_->{requests} - ($before{ $_->{pid} } || 0) } $self->instances('any')) >= $n } 20;
}

# Nobody of this load was refused or cut off, and it was a load: at least so many requests.
sub unharmed {
    my ($self, $load, $what, $least) = @_;
    my $seen = $load->finish;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::is_deeply([ $seen->{broken}, [ keys %{ $seen->{answers} } ] ], [ 0, [200] ], "$what: no request has failed")
        or Test::More::diag(Test::More::explain($seen));
    return Test::More::cmp_ok($seen->{answers}{200} || 0, '>=', $least || 10, "$what: of many");
}

sub control { my ($self) = @_; return $self->{server}->status_json->{control} }

# Processes of this server's applications, wherever they are: what they have from their first parent tells, their environment, or,
# where that is overwritten by a title (Perl's $0), their folder.
sub processes {
    my ($self) = @_;
    my @found;
    for my $process (glob '/proc/[0-9]*') {
        my $text = eval { slurp("$process/environ") } // next;
        my $mine = $text =~ /(?:\A|\0)APPBALANCE_INSTANCE=/ && $text =~ m{(?:\A|\0)ABL_TEST_DIR=\Q$self->{dir}\E\0};
        push @found, $process =~ m{(\d+)\z} if $mine || (readlink("$process/cwd") // '') eq $self->{dir};
    }
    return @found;
}

1;
