# A real httpd for one test: generated configuration in a temporary folder, free ports, and a verdict on
# its error log.
#
#   my $s = Abl::Server->start(
#       mpm => 'event', modules => [qw(deflate)], files => { 'static/a.txt' => 'hello' },
#       conf => "BalancerPass / app\n", vhosts => [ 'a.test' => "..." ]);
#
# children, threads (of each): how many; status => 1: the ledger can be looked at, see status_json().
# first => lines before the module's LoadModule. limits: shell commands before it, 'ulimit -n 5000'.
# In conf and vhosts @DIR@ is the temporary folder, @ROOT@ the document root, @PORT@ the port.
# SPDX-License-Identifier: Apache-2.0
package Abl::Server;
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use HTTP::Tiny;
use JSON::PP ();
use Test::More ();
use Abl::Client;
use Abl::Proc;
use Abl::Util qw(slurp spew free_port accepts wait_until patience);

my $checkout = Cwd::abs_path(dirname(__FILE__) . '/../../..');

my @base_modules = qw(authz_core mime log_config unixd);

# ---- what is installed

my %asked;

sub _apxs {
    my ($what) = @_;
    return $asked{$what} ||= do {
        my $apxs = $ENV{APXS} || 'apxs';
        my $text = qx($apxs -q $what 2>/dev/null);
        die "$apxs -q $what says nothing; is apache2-dev installed?\n" unless defined $text && $text =~ /\S/;
        $text =~ s/\s+\z//;
        $text;
    };
}

sub httpd { return $ENV{ABL_HTTPD} || _apxs('SBINDIR') . '/' . _apxs('progname') }

# Modules compiled into the binary must not be loaded again.
sub _is_static {
    my ($name) = @_;
    $asked{static} ||= do { my $text = qx(@{[httpd()]} -l); $text };
    return $asked{static} =~ /\bmod_\Q$name\E\.c\b/;
}

sub module_path { return $ENV{ABL_MODULE} || "$checkout/.libs/mod_appbalance.so" }

sub mpm { my ($self) = @_; return $self->{mpm} }

# The MPM a test gets when it does not ask for one.
sub default_mpm { return $ENV{ABL_MPM} || 'event' }

# ---- configuration

# Small pools start quickly; one child unless the test wants more, so that what a child keeps is found again.
sub _tuning {
    my ($mpm, $children, $threads) = @_;
    if ($mpm eq 'prefork') {
        my $n = $children > 12 ? $children : 12;
        return "StartServers 3\nMinSpareServers 2\nMaxSpareServers $n\nServerLimit $n\nMaxRequestWorkers $n\n";
    }
    $threads ||= 16;
    my $all     = $threads * $children;
    my $slots   = 2 * $children + 1;    # while it restarts gracefully, two generations live side by side
    return "StartServers $children\nServerLimit $slots\nThreadLimit $threads\nThreadsPerChild $threads\n"
        . "MaxRequestWorkers $all\nMinSpareThreads 1\nMaxSpareThreads $all\n"
        . ($mpm eq 'event' ? "AsyncRequestWorkerFactor 100\n" : '');    # parked requests count as connections
}

sub _load_lines {
    my ($mpm, $wanted) = @_;
    my $folder = _apxs('LIBEXECDIR');
    my (%seen, $lines);
    $lines = '';
    for my $name ("mpm_$mpm", @base_modules, @$wanted) {
        next if $seen{$name}++ || _is_static($name);
        $lines .= "LoadModule ${name}_module $folder/mod_$name.so\n";
    }
    return $lines;
}

my $mime_types = <<'END';
text/html html
text/plain txt
text/css css
application/javascript js
application/json json
image/png png
image/jpeg jpeg jpg
image/gif gif
END

sub _write_conf {
    my ($self, %o) = @_;
    my $dir = $self->{dir};
    spew("$dir/mime.types", $mime_types);
    my @modules = @{ $o{modules} || [] };
    push @modules, 'authz_host' if ($o{conf} // '') =~ /Require (?:ip|local|host)\b/ && !grep { $_ eq 'authz_host' } @modules;
    my $text = _load_lines($self->{mpm}, \@modules) . ($o{first} || '');
    if ($o{module}) {
        die module_path() . " is missing; run make first\n" unless -f module_path();
        $text .= 'LoadModule appbalance_module "' . module_path() . "\"\n";
        $text .= ($ENV{ABL_CONF} =~ s/%/\n/gr) . "\n" if defined $ENV{ABL_CONF};    # the whole suite, with directives more, % between them
    }
    $text .= <<"END";
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/httpd.pid"
ServerName localhost
UseCanonicalName Off
TypesConfig "$dir/mime.types"
ErrorLog "$dir/error.log"
LogLevel info @{[$o{module} ? 'appbalance:debug' : '']} @{[$o{log_level} || '']}
LogFormat "%>s %B %X \\"%r\\" %v %h" abl
CustomLog "$dir/access.log" abl
Timeout 20
KeepAliveTimeout 10
DocumentRoot "$dir/htdocs"
<Directory "$dir">
    Require all granted
    AllowOverride All
</Directory>
END
    $text .= "User www-data\nGroup www-data\n" if $> == 0;
    $text .= join '', map { "Listen 127.0.0.1:$_\n" } values %{ $self->{ports} };
    $text .= _tuning($self->{mpm}, $o{children} || 1, $o{threads});
    $text .= "<Location /-/status>\n    SetHandler balancer-status\n</Location>\n" if $o{status};
    $text .= ($o{conf} || '') . "\n";
    my @vhosts = @{ $o{vhosts} || [] };
    while (my ($name, $conf) = splice @vhosts, 0, 2) {
        $text .= "<VirtualHost *:\@PORT\@>\nServerName $name\n$conf\n</VirtualHost>\n";
    }
    $text =~ s/\@DIR\@/$dir/g;
    $text =~ s/\@ROOT\@/$dir\/htdocs/g;
    $text =~ s/\@PORT\@/$self->{ports}{main}/g;
    $text =~ s/\@PORT:(\w+)\@/$self->{ports}{$1} || die "no port called $1\n"/ge;
    return spew("$dir/httpd.conf", $text);
}

sub _new {
    my ($class, %o) = @_;
    my $dir = File::Temp::tempdir('abl-httpd-XXXXXX', TMPDIR => 1, CLEANUP => !$ENV{ABL_KEEP});
    chmod 0755, $dir or die "$dir: $!\n";    # httpd's children are another user when we are root
    my $self = bless { dir => $dir, owner => $$, mpm => $o{mpm} || default_mpm() }, $class;
    make_path("$dir/htdocs");
    $self->file($_, $o{files}{$_}) for keys %{ $o{files} || {} };
    return $self;
}

# Puts a file below the document root.
sub file {
    my ($self, $name, $bytes) = @_;
    my $path = "$self->{dir}/htdocs/$name";
    make_path(dirname($path));
    return spew($path, $bytes);
}

# ---- life

sub start {
    my ($class, %o) = @_;
    $o{module} = 1 unless defined $o{module};
    my $self = $class->_new(%o);
    for my $try (1 .. 5) {
        $self->{ports} = { map { $_ => free_port() } 'main', @{ $o{ports} || [] } };
        $self->_write_conf(%o);
        return $self if $self->_launch(%o);
        last unless $self->log =~ /Address already in use/;
        unlink "$self->{dir}/error.log", "$self->{dir}/console.log";
    }
    $self->{judged} = 1;
    die "httpd did not start:\n" . $self->log . "\n";
}

sub _launch {
    my ($self, %o) = @_;
    my %env = %{ $o{env} || {} };
    $env{LD_PRELOAD} = join ' ', $ENV{ABL_PRELOAD}, $env{LD_PRELOAD} || () if $ENV{ABL_PRELOAD};    # a sanitizer comes first
    my $proc = $self->{proc} = Abl::Proc->start(
        cmd   => [
            $o{limits} ? ('sh', '-c', "$o{limits} && exec \"\$0\" \"\$@\"") : (),
            httpd(), '-f', "$self->{dir}/httpd.conf", '-DFOREGROUND'
        ],
        env   => \%env,
        out   => "$self->{dir}/console.log",
        grace => 15,
    );
    # the port accepts before the modules are ready, so the log has to say so too
    wait_until { !$proc->alive || $self->_error_log =~ /resuming normal operations/ } 20;
    return $proc->alive
        && $self->_error_log =~ /resuming normal operations/
        && wait_until { accepts($self->port) || !$proc->alive } 10;
}

# A full stop, without a verdict; and a start, with what is in its folder now.
sub halt { my ($self) = @_; $self->_halt; return $self }

sub again {
    my ($self) = @_;
    $self->_halt if $self->{proc}->alive;
    my $began = () = $self->_error_log =~ /resuming normal operations/g;
    $self->{proc} = Abl::Proc->start(cmd => [ httpd(), '-f', "$self->{dir}/httpd.conf", '-DFOREGROUND' ], out => "$self->{dir}/console.log", grace => 15,
        env => { LD_PRELOAD => $ENV{ABL_PRELOAD} || '' });
    wait_until { (() = $self->_error_log =~ /resuming normal operations/g) > $began && accepts($self->port) } 20 or die "httpd did not start again:\n" . $self->log;
    return $self;
}

# Says whether a configuration is accepted: (exit code, everything httpd printed).
sub configtest {
    my ($class, $conf, %o) = @_;
    $o{module} = 1 unless defined $o{module};
    my $self = $class->_new(%o);
    $self->{judged} = 1;
    $self->{ports}  = { main => free_port() };
    my $file = $self->_write_conf(%o, conf => $conf);
    local $ENV{LD_PRELOAD} = $ENV{ABL_PRELOAD} if $ENV{ABL_PRELOAD};
    my $text = qx(@{[httpd()]} -t -f $file 2>&1);
    return ($? >> 8, $text);
}

sub pid { my ($self) = @_; return $self->{proc}->pid }
sub dir { my ($self) = @_; return $self->{dir} }
sub signal { my ($self, $name) = @_; return $self->{proc}->signal($name) }

# The pids of httpd's children that serve requests: not the control process, which outlives graceful restarts.
sub children {
    my ($self) = @_;
    my $parent = $self->pid;
    my @pids;
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $stat or next;    # gone meanwhile
        my $line = <$in>;
        next unless defined $line && $line =~ /\A(\d+) \(.*\) \S (\d+) /s;
        push @pids, $1 if $2 == $parent && $line !~ /\A\d+ \(appbalance\)/;
    }
    return @pids;
}

# Is any thread of httpd's children running just now?
sub _is_at_work {
    my ($self) = @_;
    for my $pid ($self->children) {
        return 1 if grep { (eval { slurp($_) } // '') =~ /\A\d+ \(.*\) [^S]/s } glob "/proc/$pid/task/*/stat";
    }
    return 0;
}

# Does this child still accept connections? One that is told to end does so until it has heard of it.
sub is_listening {
    my ($self, $pid) = @_;
    my $port = sprintf '%04X', $self->port;
    for (split /\n/, slurp('/proc/net/tcp')) {
        my (undef, $address, undef, $state, @rest) = split;
        next unless $address =~ /:$port\z/ && $state eq '0A';    # it listens
        my $socket = "socket:[$rest[5]]";
        return 1 if grep { (readlink || '') eq $socket } glob "/proc/$pid/fd/*";
    }
    return 0;
}

# The most memory any child ever had resident, in kB; 0 when no child can be read.
sub peak_memory {
    my ($self) = @_;
    my $most = 0;
    for my $pid ($self->children) {
        open my $in, '<', "/proc/$pid/status" or next;
        while (<$in>) { $most = $1 if /\AVmHWM:\s+(\d+)/ && $1 > $most }
    }
    return $most;
}

# ---- talking to it

sub port { my ($self, $name) = @_; return $self->{ports}{ $name || 'main' } }

sub url { my ($self, $path) = @_; return 'http://127.0.0.1:' . $self->port . (defined $path ? $path : '/') }

# Simple requests, redirects not followed: $s->get('/x', { headers => {...} }).
sub http {
    my ($self) = @_;
    return $self->{http} ||= HTTP::Tiny->new(max_redirect => 0, timeout => 20 * patience(), keep_alive => 0);
}

sub get { my ($self, $path, @rest) = @_; return $self->http->get($self->url($path), @rest) }

sub request {
    my ($self, $method, $path, @rest) = @_;
    return $self->http->request($method, $self->url($path), @rest);
}

# A raw connection.
sub client { my ($self, %o) = @_; return Abl::Client->connect(port => $self->port, %o) }

# ---- the ledger, of a server started with status => 1

# All of it as the module reports it, see docs/directives.md. Needs a free thread.
sub status_json {
    my ($self) = @_;
    my $r = $self->get('/-/status');
    die "no status: $r->{status} $r->{content}\n" unless $r->{success};
    return JSON::PP::decode_json($r->{content});
}

# Of one balancer (the first one); of one of its members, by its address or the object that has it.
sub status_balancer {
    my ($self, $name) = @_;
    my ($balancer) = grep { !defined $name || $_->{name} eq $name } @{ $self->status_json->{balancers} };
    return $balancer;
}

sub status_member {
    my ($self, $member) = @_;
    my $url = ref $member ? $member->url : $member;
    my ($found) = grep { $_->{address} =~ m{\A\Q$url\E/?\z} } @{ $self->status_balancer->{members} };
    return $found;
}

# Waits until this many requests are queued.
sub await_queue {
    my ($self, $n, $seconds) = @_;
    return wait_until { $self->status_balancer->{queue}{length} == $n } $seconds || 5;
}

# What is wrong with a ledger that nobody uses any more: '' once all is well, which it must be after so many seconds.
sub unrest {
    my ($self, $seconds) = @_;
    my $wrong;
    wait_until {
        my $status = $self->status_json;
        my @wrong  = $status->{check} eq 'ok' ? () : "check: $status->{check}";
        for my $balancer (@{ $status->{balancers} }) {
            push @wrong, "$balancer->{name}: $balancer->{queue}{length} queued" if $balancer->{queue}{length};
            push @wrong, map {"$_->{address}: $_->{busy} busy"} grep { $_->{busy} } @{ $balancer->{members} };
        }
        $wrong = join '; ', @wrong;
        return !@wrong;
    } $seconds || 1;
    return $wrong;
}

# ---- logs

sub _error_log { my ($self) = @_; my $f = "$self->{dir}/error.log"; return -f $f ? slurp($f) : '' }

# Everything it complained about, the console included.
sub log {
    my ($self) = @_;
    my $console = "$self->{dir}/console.log";
    return (-f $console ? slurp($console) : '') . $self->_error_log;
}

sub access_log { my ($self) = @_; my $f = "$self->{dir}/access.log"; return -f $f ? slurp($f) : '' }

# The log line of a request is written after its answer: wait for one that matches.
sub await_access {
    my ($self, $pattern, $seconds) = @_;
    return wait_until { $self->access_log =~ $pattern } $seconds;
}

sub await_log {
    my ($self, $pattern, $seconds) = @_;
    return wait_until { $self->log =~ $pattern } $seconds;
}

# ---- the verdict

# The test kills children itself: that httpd says so is no crash.
sub expect_kills { my ($self) = @_; $self->{kills} = 1; return $self }

# Lines nobody expected. allow: patterns, or ids such as 'ABL0012'.
sub _complaints {
    my ($self, @allow) = @_;
    my @patterns = map { ref $_ ? $_ : qr/\b\Q$_\E\b/ } @allow;
    my @bad;
LINE:
    for my $line (split /\n/, $self->log) {
        next unless $line =~ /\S/;
        my $ordinary = $line =~ /\A\[[^\]]+\] \[\w*:(?:notice|info|debug|trace\d)\]/;
        my $crash    = $line =~ /Sanitizer|assert|runtime error|child pid \d+ exit signal/i;
        next if $self->{kills} && $line =~ /child pid \d+ exit signal Killed \(9\)/;
        next if $ordinary && !$crash;
        for my $pattern ($crash ? () : @patterns) { next LINE if $line =~ $pattern }
        push @bad, $line;
    }
    return @bad;
}

# Stops the server and fails for any line of level warn or worse, crash or sanitizer report that the test
# did not expect: $s->log_ok(allow => ['ABL0012', qr/.../]).
sub log_ok {
    my ($self, %o) = @_;
    $self->_halt;
    $self->{judged} = 1;
    my @bad = $self->_complaints(@{ $o{allow} || [] });
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok(!@bad, $o{name} || "the error log holds nothing unexpected ($self->{mpm})")
        or Test::More::diag(join "\n", splice @bad, 0, 20);
    return !@bad;
}

sub _halt {
    my ($self) = @_;
    return unless $self->{proc};
    # Told to stop at once, httpd's event MPM touches the sockets of connections that its workers are just closing, and
    # sometimes crashes of it. So gracefully first; or when no worker is at work.
    if ($self->{mpm} eq 'event' && !$self->{at_once}) {
        $self->{proc}->signal('WINCH');
        Abl::Util::wait_until(sub { !$self->{proc}->alive }, 3);
    } elsif ($self->{at_once}) {
        my $quiet = 0;
        Abl::Util::wait_until(sub { $quiet = $self->_is_at_work ? 0 : $quiet + 1; $quiet >= 3 }, 3);
    }
    my $clean = $self->{proc}->stop;
    my $status = $self->{proc}->status;
    return if $self->{halted}++ || !defined $status || ($clean && $status == 0);
    open my $log, '>>', "$self->{dir}/console.log" or return;
    print {$log} $clean ? "httpd ended with status $status\n" : "httpd had to be killed\n";
    return;
}

sub stop {
    my ($self, %o) = @_;
    return $self->log_ok(%o) unless $self->{judged};
    return $self->_halt;
}

# A test that forgot the verdict gets it all the same.
sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    local ($@, $!);
    $self->_halt;
    return if $self->{judged}++;
    my @bad = $self->_complaints;
    return unless @bad;
    Test::More::diag("unexpected in the error log:\n" . join "\n", splice @bad, 0, 20);
    my $builder = Test::More->builder;
    if   ($builder->{Done_Testing} || ${^GLOBAL_PHASE} eq 'DESTRUCT') { $? ||= 1 }
    else                                                              { Test::More::fail('the error log') }
    return;
}

1;
