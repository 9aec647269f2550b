# What the benchmarks share: a folder for all of it, the servers that take part, the medians, and the report, of which
# each benchmark owns one section.
#
#   use Abl::Bench qw(:all);
#   my $proxy = start(nginx => sub { my ($folder, $port) = @_; ... return @command });     $proxy->{port}, $proxy->{proc}
#   write_section(queue => "## One queue\n...");
#
# SPDX-License-Identifier: Apache-2.0
package Abl::Bench;
use strict;
use warnings;
use Cwd ();
use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp ();
use POSIX ();
use Abl::Proc;
use Abl::Server;
use Abl::Util qw(free_port accepts wait_until slurp spew tool);

our @EXPORT_OK = qw(top folder must_have start nginx_command httpd_command balancer_conf median quantile chosen machine versions
    today write_section);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

my $top = Cwd::abs_path(dirname(__FILE__) . '/../../..');
my $dir;

sub top { return $top }

# Of this run; httpd's and nginx's children are another user when we are root.
sub folder {
    return $dir if $dir;
    $dir = File::Temp->newdir('abl-bench-XXXXXX', TMPDIR => 1);
    chmod 0755, $dir or die "$dir: $!\n";
    return $dir;
}

sub must_have { for (@_) { tool($_) or die "$_ is missing; run make deps FOR=bench\n" } return }

# ---- who takes part

# Each gets a folder and a port; the code returns its command.
sub start {
    my ($name, $code) = @_;
    my $port = free_port();
    my $own  = folder() . '/' . $name =~ tr/ /-/r;
    mkdir $own or die "$own: $!\n";
    my $proc = Abl::Proc->start(cmd => [ $code->($own, $port) ], out => "$own/output");
    wait_until { accepts($port) || !$proc->alive } 10;
    die "$name did not start:\n", slurp("$own/output") unless $proc->alive && accepts($port);
    return { port => $port, proc => $proc };
}

sub nginx_command {
    my ($folder, $workers, $http) = @_;
    my $user = $> == 0 ? 'user www-data;' : '';
    my $temp = join '', map {"${_}_temp_path $folder/$_;\n"} qw(client_body proxy fastcgi uwsgi scgi);
    spew("$folder/nginx.conf", <<"END");
daemon off;
$user
worker_processes $workers;
pid $folder/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
$temp
access_log off;
keepalive_requests 1000000000;
sendfile on;
tcp_nopush on;
$http
}
END
    return (tool('nginx'), '-p', $folder, '-c', "$folder/nginx.conf");
}

# An event MPM of so many children; modules are those beside the few it cannot do without.
sub httpd_command {
    my ($folder, $port, $children, $modules, $conf) = @_;
    my $httpd  = Abl::Server->httpd;
    my $path   = qx(@{[$ENV{APXS} || 'apxs']} -q LIBEXECDIR) =~ s{\s*\z}{}r;
    my $static = qx($httpd -l);
    my $lines  = join '', map { $static =~ /\bmod_\Q$_\E\.c\b/ ? '' : "LoadModule ${_}_module $path/mod_$_.so\n" }
        qw(mpm_event authz_core unixd), @$modules;
    $lines .= "User www-data\nGroup www-data\n" if $> == 0;
    spew("$folder/httpd.conf", <<"END");
$lines
ServerRoot "$folder"
DefaultRuntimeDir "$folder"
PidFile "$folder/pid"
ErrorLog "$folder/error.log"
LogLevel warn
ServerName localhost
Listen 127.0.0.1:$port
MaxKeepAliveRequests 0
StartServers $children
ServerLimit $children
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers @{[64 * $children]}
MinSpareThreads 1
MaxSpareThreads @{[64 * $children]}
$conf
END
    return ($httpd, '-f', "$folder/httpd.conf", '-DFOREGROUND');
}

# Our module, with a balancer of these lines for everything.
sub balancer_conf {
    my ($lines) = @_;
    return 'LoadModule appbalance_module "' . Abl::Server->module_path . "\"\n<Balancer bench>\n$lines</Balancer>\nBalancerPass / bench\n";
}

# ---- what to run

# Those that BENCH_ONLY names, and those that must be there.
sub chosen {
    my ($all, @always) = @_;
    my %always = map { $_ => 1 } @always;
    return grep { !$ENV{BENCH_ONLY} || $ENV{BENCH_ONLY} =~ /\b\Q$_\E\b/ || $always{$_} || (/^(\w+) / && $ENV{BENCH_ONLY} =~ /\b$1\b/) } @$all;
}

# ---- numbers

sub median { return quantile(0.5, sort { $a <=> $b } @_) }

# Of sorted numbers.
sub quantile {
    my ($q, @sorted) = @_;
    my $at    = $q * $#sorted;
    my $below = int $at;
    return $sorted[$below] if $below == $#sorted;
    return $sorted[$below] + ($at - $below) * ($sorted[ $below + 1 ] - $sorted[$below]);
}

# ---- the report

sub today { return POSIX::strftime('%Y-%m-%d', gmtime) }

sub machine {
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
    my $count = () = slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    return sprintf '%s, %d cores, %.0f GB, Linux %s', $cpu || 'unknown CPU', $count, $memory / 1024 / 1024, (POSIX::uname())[2];
}

# Of ourselves, and of those named: httpd, nginx, HAProxy, wrk, Plack.
sub versions {
    my (@names) = @_;
    my ($ours) = slurp("$top/mod_appbalance.h") =~ /ABL_VERSION "([^"]+)"/;
    my $commit = qx(git -C '$top' describe --always --dirty 2>/dev/null) =~ s/\s+\z//r;
    my %asked  = (
        httpd   => sub { qx(@{[Abl::Server->httpd]} -v) =~ m{Apache/(\S+)} },
        nginx   => sub { qx(nginx -v 2>&1) =~ m{nginx/(\S+)} },
        HAProxy => sub { qx(haproxy -v) =~ /version (\S+)/ },
        wrk     => sub { qx(wrk -v 2>&1) =~ m{\Awrk (?:debian/)?(\S+)} },
        Plack   => sub { require Plack; $Plack::VERSION },
    );
    return ("mod_appbalance $ours" . ($commit ? " ($commit)" : ''), map { my ($v) = $asked{$_}->(); "$_ " . ($v || '?') } @names);
}

# Replaces what docs/benchmarks.md has between the marks of this name, and nothing else. The marks are there already: their
# order is the document's.
sub write_section {
    my ($name, $text) = @_;
    my $file     = "$top/docs/benchmarks.md";
    my $document = slurp($file);
    my ($begin, $end) = ("<!-- begin $name -->\n", "<!-- end $name -->\n");
    $document =~ s/\Q$begin\E.*?\Q$end\E/$begin\n$text\n$end/s or die "$file has no section called $name\n";
    spew($file, $document);
    print "\nWritten to docs/benchmarks.md\n";
    return;
}

1;
