# A member that counts: it can serve any number of requests at once, so it sees when it gets more than it should.
#
#   my $m = Abl::Counter->start(name => 'a');       BalancerMember @{[$m->url]} concurrency=1
#   GET /anything?ms=20&id=7                        answers 200 after 20 ms of service
#   $m->stats                                       { peak => 1, served => 120, busy => 2.41, elapsed => 2.5, ... }
#
# A request is in service from its last byte until just before its answer is written; one whose client is gone stays in service
# until its time is up, as it would at a Perl server. Between two looks at the clock it reads first and answers later: no request
# that came too early is overlooked, and none is too early that was sent after an answer.
# One process, one loop, no journal: some thousand requests a second. For members that misbehave there is Abl::Member.
# SPDX-License-Identifier: Apache-2.0
package Abl::Counter;
use strict;
use warnings;
use HTTP::Tiny;
use IO::Socket::IP;
use JSON::PP ();
use Socket qw(SOMAXCONN);
use Abl::Proc;
use Abl::Util qw(patience);

my $json = JSON::PP->new->ascii;
my $most = 100_000;    # ids that it remembers

# name, and ms: how long a request takes that does not say
sub start {
    my ($class, %o) = @_;
    my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => SOMAXCONN, ReuseAddr => 1) or die "listen: $@\n";
    my $self     = bless { name => $o{name} || 'counter', port => $listener->sockport, owner => $$ }, $class;
    my $parent   = $$;
    $self->{proc} = Abl::Proc->start(
        grace => 1,
        code  => sub {
            my $loop = bless { listener => $listener, name => $self->{name}, ms => $o{ms} || 0, conns => {} }, 'Abl::Counter::Loop';
            $loop->run($parent);
        },
    );
    return $self;
}

sub port { return $_[0]{port} }
sub name { return $_[0]{name} }
sub url  { return "http://127.0.0.1:$_[0]{port}" }
sub stop { my ($self) = @_; return $self->{proc} ? $self->{proc}->stop('KILL') : 1 }

sub _ask {
    my ($self, $path) = @_;
    my $r = HTTP::Tiny->new(timeout => 10 * patience())->get($self->url . $path);
    die "member $self->{name} does not answer: $r->{status} $r->{content}\n" unless $r->{success};
    return $json->decode($r->{content});
}

# now: requests in service; peak: most of them ever; served: answered; gone: of these, clients that did not wait; order: the ids
# in the order in which their service began; busy: seconds in which at least one was in service, of elapsed
sub stats { my ($self) = @_; return $self->_ask('/-/stats') }

# The same, and everything begins anew.
sub reset { my ($self) = @_; return $self->_ask('/-/reset') }

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} && $self->{owner} == $$;
    local ($@, $!, $?);
    $self->stop;
}

# ---- the process

package Abl::Counter::Loop;
use Errno qw(EAGAIN EINTR);
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

sub run {
    my ($self, $parent) = @_;
    $SIG{PIPE} = 'IGNORE';
    $self->{listener}->blocking(0);
    $self->begin_counting;
    $self->round while getppid == $parent;
    return;
}

sub begin_counting {
    my ($self) = @_;
    @$self{qw(peak served gone busy since order)} = (0, 0, 0, 0, time, []);
    $self->{now} ||= 0;
    $self->{peak} = $self->{now};
    $self->{busy_since} = time if $self->{now};
    return;
}

sub round {
    my ($self) = @_;
    my ($read, $now, $timeout) = ('', time, 1);
    vec($read, fileno $self->{listener}, 1) = 1;
    for my $c (values %{ $self->{conns} }) {
        vec($read, $c->{fd}, 1) = 1 unless $c->{over};
        next unless $c->{due};
        my $left = $c->{due} - $now;
        $timeout = $left > 0 ? $left : 0 if $left < $timeout;
    }
    return if select($read, undef, undef, $timeout) < 0;
    $self->accept if vec $read, fileno $self->{listener}, 1;
    for my $c (values %{ $self->{conns} }) { $self->receive($c) if $c->{new} || vec $read, $c->{fd}, 1 }
    $now = time;
    for my $c (values %{ $self->{conns} }) { $self->answer($c) if $c->{due} && $c->{due} <= $now }
    return;
}

sub accept {
    my ($self) = @_;
    while (my $sock = $self->{listener}->accept) {
        $sock->blocking(0);
        setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
        $self->{conns}{ fileno $sock } = { sock => $sock, fd => fileno $sock, in => '', new => 1 };
    }
    return;
}

sub receive {
    my ($self, $c) = @_;
    delete $c->{new};
    my $n = sysread $c->{sock}, $c->{in}, 65536, length $c->{in};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    if (!$n) {
        return $self->drop($c) unless $c->{due};
        $c->{over} = 1;
        return;
    }
    return $c->{due} ? undef : $self->parse($c);
}

sub drop { my ($self, $c) = @_; delete $self->{conns}{ $c->{fd} }; return close $c->{sock} }

# Starts the service of a request that is there with all its body. Bodies have a length here.
sub parse {
    my ($self, $c) = @_;
    my $end = index $c->{in}, "\r\n\r\n";
    return if $end < 0;
    my $head = substr $c->{in}, 0, $end + 4;
    my ($length) = $head =~ /^content-length:\s*(\d+)/im;
    return if length $c->{in} < $end + 4 + ($length || 0);
    substr $c->{in}, 0, $end + 4 + ($length || 0), '';
    my ($target) = $head =~ /\A\S+ (\S+)/;
    $c->{close} = $head =~ m{\A[^\r]* HTTP/1\.0\r|^connection:[^\r]*\bclose\b}im;
    return $self->report($c, $1) if $target =~ m{\A/-/(\w+)};
    $c->{in_service} = 1;
    $self->{busy_since} = time unless $self->{now};
    $self->{peak} = $self->{now} if ++$self->{now} > $self->{peak};
    push @{ $self->{order} }, $1 if $target =~ /[?&]id=([\w-]+)/ && @{ $self->{order} } < $most;
    $c->{due} = time + ($target =~ /[?&]ms=([0-9.]+)/ ? $1 : $self->{ms}) / 1000;
    return;
}

sub answer {
    my ($self, $c) = @_;
    delete @$c{qw(due in_service)};
    $self->{served}++;
    $self->{gone}++ if $c->{over};
    $self->{busy} += time - $self->{busy_since} unless --$self->{now};
    return $self->drop($c) if $c->{over};
    return $self->reply($c, "served by $self->{name}\n", 'text/plain');
}

sub report {
    my ($self, $c, $what) = @_;
    my %stats = map { $_ => $self->{$_} } qw(now peak served gone order busy);
    $stats{elapsed} = time - $self->{since};
    $stats{busy} += time - $self->{busy_since} if $self->{now};
    $self->begin_counting if $what eq 'reset';
    return $self->reply($c, $json->encode(\%stats), 'application/json');
}

# Answers are small enough for any socket's buffer, apart from long lists of ids.
sub reply {
    my ($self, $c, $body, $type) = @_;
    my $bytes = "HTTP/1.1 200 OK\r\nX-Member: $self->{name}\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\n"
        . ($c->{close} ? "Connection: close\r\n" : '') . "\r\n$body";
    $c->{sock}->blocking(1) if length $bytes > 16384;
    my $n = syswrite $c->{sock}, $bytes;
    $c->{sock}->blocking(0);
    return $self->drop($c) if $c->{close} || !defined $n || $n < length $bytes;
    return length $c->{in} ? $self->parse($c) : undef;
}

1;
