# Starts the real application servers the tests run behind httpd, waits until they accept, and ends them.
#
#   my $app = Abl::App->psgi;              $app->url, $app->port, $app->stop
#   Abl::App->starman(workers => 2)   ->node('server.js')   ->python   ->tls(cert => ..., key => ...)
#
# A port that is not given is a free one.
# SPDX-License-Identifier: Apache-2.0
package Abl::App;
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use Abl::Proc;
use Abl::Util qw(free_port accepts wait_until slurp tool);

my $apps = Cwd::abs_path(dirname(__FILE__) . '/../../app');

sub folder { return $apps }

# Debian keeps the modules npm would install here; node does not look there by itself.
sub node_env {
    my @paths = grep { defined && length } $ENV{NODE_PATH}, '/usr/share/nodejs';
    return (NODE_PATH => join ':', @paths);
}

sub _start {
    my ($class, $name, $command, %o) = @_;
    my $dir  = File::Temp::tempdir('abl-app-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $port = $o{port} || free_port();
    my $self = bless { name => $name, port => $port, output => "$dir/output", owner => $$ }, $class;
    my $proc = $self->{proc} = Abl::Proc->start(
        cmd => [ $command->($port) ],
        dir => $o{dir} || $dir,
        env => { PLACK_ENV => 'deployment', PERL5LIB => $ENV{PERL5LIB}, %{ $o{env} || {} } },
        out => $self->{output},
    );
    wait_until { accepts($port) || !$proc->alive } 40;
    die "$name did not start:\n" . $self->output . "\n" unless $proc->alive && accepts($port);
    return $self;
}

sub port   { return $_[0]{port} }
sub name   { return $_[0]{name} }
sub url    { return ($_[0]{scheme} || 'http') . "://127.0.0.1:$_[0]{port}" }
sub output { my ($self) = @_; return -f $self->{output} ? slurp($self->{output}) : '' }
sub stop   { my ($self) = @_; return $self->{proc}->stop }

# Plack's own server: one process, one request at a time.
sub psgi {
    my ($class, %o) = @_;
    my $plackup = tool('plackup') or die "plackup is missing\n";
    return $class->_start(
        plackup => sub {
            return ($plackup, '-s', 'HTTP::Server::PSGI', '--no-default-middleware', '--host', '127.0.0.1',
                '--port', $_[0], $o{app} || "$apps/app.psgi");
        },
        %o,
    );
}

sub starman {
    my ($class, %o) = @_;
    my $starman = tool('starman') or die "starman is missing\n";
    return $class->_start(
        starman => sub {
            return ($starman, '--workers', $o{workers} || 3, '--listen', "127.0.0.1:$_[0]",
                $o{app} || "$apps/app.psgi");
        },
        %o,
    );
}

sub node {
    my ($class, $script, %o) = @_;
    my $node = tool('node') || tool('nodejs') or die "node is missing\n";
    return $class->_start(
        node => sub { return ($node, "$apps/$script", $_[0]) },
        %o, env => { node_env(), %{ $o{env} || {} } },
    );
}

sub python {
    my ($class, %o) = @_;
    my $python = tool('python3') or die "python3 is missing\n";
    return $class->_start(python => sub { return ($python, "$apps/server.py", $_[0]) }, %o);
}

# A TLS member, see t/app/tls.py: Abl::App->tls(cert => $file, key => $file, 'client-ca' => $file, proxy => 1).
sub tls {
    my ($class, %o) = @_;
    my $python = tool('python3') or die "python3 is missing\n";
    my @words = map {"$_=$o{$_}"} sort keys %o;
    my $self  = $class->_start(tls => sub { return ($python, "$apps/tls.py", $_[0], @words) });
    $self->{scheme} = $o{cert} ? 'https' : 'http';
    return $self;
}

1;
