# Processes a test starts: known by pid, stopped by pid, whatever becomes of the test.
# SPDX-License-Identifier: Apache-2.0
package Abl::Proc;
use strict;
use warnings;
use POSIX ();
use Time::HiRes ();
use Abl::Util qw(wait_until patience);

my %running;    # pid => a copy of the object, for the END block

# An interrupted test must reach its END block.
for my $name (qw(INT TERM HUP)) {
    $SIG{$name} = sub { exit 1 }
        unless $SIG{$name};
}

# cmd => [...] or code => sub; dir, env => {}, out => file for both outputs, grace => seconds to stop in.
# Each gets a process group of its own: httpd's prefork signals its whole group when it stops, and what an
# application server leaves behind can be found.
sub start {
    my ($class, %o) = @_;
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;
    if (!$pid) {
        %running = ();
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM PIPE CHLD);
        alarm 0;
        POSIX::setpgid(0, 0);
        my $ok = eval { _child(%o); 1 };
        print STDERR $@ unless $ok;
        POSIX::_exit($ok ? 0 : 127);
    }
    POSIX::setpgid($pid, $pid);    # whoever comes first
    my $self = bless { pid => $pid, owner => $$, grace => $o{grace} || 5 }, $class;
    $running{$pid} = { %$self };
    return $self;
}

sub _child {
    my (%o) = @_;
    if ($o{out}) {
        open STDOUT, '>>', $o{out} or die "$o{out}: $!\n";
        open STDERR, '>&', \*STDOUT or die "dup: $!\n";
    }
    open STDIN, '<', '/dev/null' or die "/dev/null: $!\n";
    if ($o{dir}) { chdir $o{dir} or die "$o{dir}: $!\n" }
    for my $name (keys %{ $o{env} || {} }) {
        if (defined $o{env}{$name}) { $ENV{$name} = $o{env}{$name} }
        else                        { delete $ENV{$name} }
    }
    return $o{code}->() if $o{code};
    { no warnings 'exec'; exec { $o{cmd}[0] } @{ $o{cmd} } }
    die "exec $o{cmd}[0]: $!\n";
}

sub pid { return $_[0]{pid} }

# Still running? Remembers the exit status the moment it is known.
sub alive {
    my ($self) = @_;
    return 0 if defined $self->{status};
    local $?;    # may run while the test's own exit status is being decided
    my $got = waitpid $self->{pid}, POSIX::WNOHANG();
    return 1 if $got == 0;
    $self->{status} = $got > 0 ? $? : 0;
    delete $running{ $self->{pid} };
    return 0;
}

sub status { my ($self) = @_; $self->alive; return $self->{status} }

sub signal {
    my ($self, $name) = @_;
    return 0 unless $self->alive;
    return kill $name, $self->{pid};
}

# Asks politely, then kills. Returns false when it had to be killed.
sub stop {
    my ($self, $name) = @_;
    return 1 unless $self->{owner} == $$ && $self->alive;
    local ($!, $@);
    $self->signal($name || 'TERM');
    my $gentle = wait_until { !$self->alive } $self->{grace};
    kill 'KILL', -$self->{pid};    # a group may outlive its leader
    return 1 if $gentle;
    wait_until { !$self->alive } 10;
    return 0;
}

sub DESTROY {
    my ($self) = @_;
    return unless defined $self->{owner} && $self->{owner} == $$;
    $self->stop;
}

END {
    local $?;
    for my $proc (values %running) {
        next unless $proc->{owner} == $$;
        bless($proc, __PACKAGE__)->stop;
    }
}

1;
