# `make demo`, run as from a terminal: make, and all below it in one process group.
#
#   my $demo = Abl::Demo->start(app => 'catalyst');     port: else a free one
#   $demo->out;  $demo->get('/whoami');  kill INT => -$demo->proc->pid;  $demo->ends;  $demo->remains;
# SPDX-License-Identifier: Apache-2.0
package Abl::Demo;
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use HTTP::Tiny;
use Abl::Proc;
use Abl::Util qw(accepts free_port slurp wait_until);

my $root = Cwd::abs_path(dirname(__FILE__) . '/../../..');

sub start {
    my ($class, %o) = @_;
    my $tmp = File::Temp::tempdir('abl-demo-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $tmp or die "$tmp: $!\n";    # the servers are another user when root starts them
    my $self = bless {
        tmp  => $tmp, port => $o{port} || free_port(),
        http => HTTP::Tiny->new(timeout => 20, keep_alive => 0, max_redirect => 0),
    }, $class;
    $self->{proc} = Abl::Proc->start(
        cmd => [ 'make', '--no-print-directory', '-C', $root, 'demo', "DEMO_PORT=$self->{port}" ],
        # the demo runs the plain module, whatever the tests around it run
        env => { TMPDIR => $tmp, APP => $o{app}, MAKEFLAGS => undef, MAKELEVEL => undef, MFLAGS => undef },
        out => "$tmp/out",
        grace => 20,
    );
    wait_until { !$self->{proc}->alive || $self->out =~ /Ctrl-C stops/ } 90;
    return $self;
}

sub proc { return $_[0]{proc} }
sub port { return $_[0]{port} }
sub http { return $_[0]{http} }
sub url  { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}$path" }
sub get  { my ($self, $path, @rest) = @_; return $self->{http}->get($self->url($path), @rest) }

# What it has said.
sub out { my ($self) = @_; return -f "$self->{tmp}/out" ? slurp("$self->{tmp}/out") : '' }

sub ends { my ($self) = @_; return wait_until { !$self->{proc}->alive } 20 }

# Its application servers: processes whose folder is the demo's, or below it.
sub servers {
    my ($self) = @_;
    return map { m{(\d+)} } grep { (readlink "$_/cwd" // '') =~ m{\A\Q$self->{tmp}\E/} } glob '/proc/[0-9]*';
}

# Files, processes and ports of it.
sub remains {
    my ($self) = @_;
    my @left = (glob("$self->{tmp}/appbalance-demo-*"), map({"process $_"} $self->servers));
    for my $cmdline (glob '/proc/[0-9]*/cmdline') {
        my $text = eval { slurp($cmdline) } // next;
        push @left, "$cmdline: $text" if $text =~ /\Q$self->{tmp}\E/;
    }
    push @left, "port $self->{port}" if accepts($self->{port});
    return @left;
}

1;
