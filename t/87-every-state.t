# Every state that a request, or a connection the module looks after, can wait in, and the end of one side in each of them: the
# client's, the member's, the child's. Nothing is left of it, the child lives, and the next request is served.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 240;
use IO::Select;
use Time::HiRes qw(time);

plan skip_all => 'only the event MPM can let a request wait without a thread' if Abl::Server->default_mpm ne 'event';

my $m       = Abl::Member->start(name => 'a');
my $full    = Abl::Member->full;
my $backlog = Abl::Member->full(on => 'unix');
my @upgrade = (Connection => 'Upgrade', Upgrade => 'websocket');
my $partial = b64url("HTTP/1.1 200 OK\r\nContent-Le");

my ($s, $pid, $nothing);    # the server, its child, and all that can be seen of it when nothing is going on
my $id    = 0;              # of the request that a case is about
my $quiet = 'parked=0 adopted=0 queued=0 busy=0 ok';

# Small buffers in the kernel: who does not read is soon full.
sub start {
    my ($conf) = @_;
    return Abl::Server->start(
        status => 1, files => { 'static/big.bin' => pattern(1_000_000) },
        conf   => balancer('one', [ $m, 'concurrency=1' ], 'BalancerQueue length=10 timeout=30s')
            . balancer('files', [ $m, 'concurrency=1' ], 'BalancerBuffer request=4K response=4K')
            . balancer('free', [ $m, 'keepalive=off' ])
            . balancer('held', [ $m, 'keepalive=off' ], 'BalancerBuffer response=64K file=0')
            . balancer('kept', $m)
            . balancer('refused', Abl::Member->refused)
            . balancer('full', $full)
            . balancer('backlog', $backlog)
            . join('', map {"BalancerPass /$_ $_\n"} qw(one files free held kept refused full backlog))
            . "BalancerStatic /static\nBalancerInline 0\nSendBufferSize 4096\nReceiveBufferSize 16384\nKeepAliveTimeout 60\n$conf",
    );
}

# ---- what can be seen of a state

# What the module says of it, over all children and balancers.
sub figures {
    my $status = $s->status_json;
    my %sum = (parked => 0, adopted => 0, queued => 0, busy => 0);
    for my $seat (@{ $status->{seats} }) { $sum{$_} += $seat->{$_} for qw(parked adopted) }
    for my $balancer (@{ $status->{balancers} }) {
        $sum{queued} += $balancer->{queue}{length};
        $sum{busy}   += $_->{busy} for @{ $balancer->{members} };
    }
    return join ' ', map({"$_=$sum{$_}"} qw(parked adopted queued busy)), $status->{check};
}

# The child's, of each kind how many.
sub descriptors {
    my %n;
    $n{ s/[\[:]*\d+\]?//gr }++ for map { readlink || () } glob "/proc/$pid/fd/*";
    return join ' ', map {"$n{$_} $_"} sort keys %n;
}

sub seen { return figures() . ', ' . descriptors() }

# What the kernel has of the connections between these ports, from the end of the first one.
sub kernel {
    my ($from, $to) = map { defined $_ ? sprintf(':%04X', $_) : ':' } @_;
    my @found;
    for (split /\n/, slurp('/proc/net/tcp')) {
        my (undef, $local, $remote, $state, $queues, undef, undef, undef, undef, $inode) = split ' ';
        next unless $inode && index($local, $from) >= 0 && index($remote, $to) >= 0;    # somebody's
        my ($unsent, $unread) = map {hex} split /:/, $queues;
        push @found, { port => hex $local =~ s/.*://r, state => hex $state, unsent => $unsent, unread => $unread, inode => $inode };
    }
    return @found;
}

sub of_client { my ($c) = @_; return (kernel($s->port, $c->socket->sockport))[0] || { state => 0, unsent => 0, unread => 0, inode => 0 } }

# What the child's event loops watch its end of this connection for.
sub watched {
    my ($c) = @_;
    my $inode = of_client($c)->{inode};
    my ($fd) = map { (readlink || '') eq "socket:[$inode]" ? m{(\d+)\z} : () } glob "/proc/$pid/fd/*" or return 0;
    my $events = 0;
    for (grep { (readlink || '') =~ /eventpoll/ } glob "/proc/$pid/fd/*") {
        s/fd/fdinfo/;
        $events |= hex $1 if slurp($_) =~ /^tfd:\s+$fd events:\s+([0-9a-f]+)/m;
    }
    return $events;
}

my $EPOLLOUT = 4;
my ($SYN_SENT, $FIN_WAIT2) = (2, 5);

# ---- awaiting a state

sub reached {
    my ($what, $code) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok((wait_until { $code->() } 5), $what) || diag(figures());
}

sub reads_all { my ($c) = @_; return reached('all is read', sub { my $k = of_client($c); $k->{inode} && !$k->{unread} }) }
sub counted { my (@words) = @_; return reached("@words", sub { my $f = figures(); !grep { $f !~ /\b$_\b/ } @words }) }
sub full { my ($c) = @_; return reached('the client is full', sub { of_client($c)->{unsent} > 0 }) }
sub spooled { return reached('some of it is in a file', sub { descriptors() =~ /deleted/ }) }

# What the member has sent so far is the module's.
sub all_taken {
    $m->sync;
    return reached(
        'all is taken off the member', sub {
            my ($module) = kernel(undef, $m->port);
            my ($member) = kernel($m->port, $module->{port});
            return $module->{unread} == 0 && $member->{unsent} == 0;
        }
    );
}

# As much as anybody takes.
sub stuff {
    my ($c) = @_;
    my $ready = IO::Select->new($c->socket);
    my $block = 'x' x 65536;
    1 while $ready->can_write(0.2) && syswrite $c->socket, $block;
    return;
}

sub target { my ($path) = @_; return $path . ($path =~ /\?/ ? '&' : '?') . "id=$id" }

# Asks, and waits until the member has it.
sub ask {
    my ($c, $path, @fields) = @_;
    my $before = $m->requests;
    $c->request('GET', target($path), \@fields);
    return ok($m->await_requests($before + 1), 'the member has it');
}

sub post {
    my ($c, $path, $bytes, @fields) = @_;
    $c->expect_answer_to('POST');
    return $c->send($c->head('POST', target($path), \@fields) . $bytes);
}

sub tunnel {
    my ($c, $path) = @_;
    $c->request('GET', target($path), \@upgrade);
    is($c->start_response->status, 101, 'a tunnel');
    return counted('parked=1');
}

sub release { $m->release for 1 .. 2 }

# ---- the client goes away

# Name, how to get there, and what stands in the access log. What getting there returns is done when the client has gone.
# parked, busy: what is left until then. only: a FIN would stand behind bytes that nobody takes.
my @client = (
    [ 'half a request line' => sub { my ($c) = @_; $c->send('GET ' . target('/one/echo') . ' HT'); reads_all($c) }, '' ],
    [ 'half a head' => sub { my ($c) = @_; $c->send('GET ' . target('/one/echo') . " HTTP/1.1\r\nHos"); reads_all($c) }, 400 ],
    [ 'a body, by length' => sub { my ($c) = @_; post($c, '/one/echo', 'x', 'Content-Length' => 10); counted('parked=1'); reads_all($c) }, 499 ],
    [   'a body, chunked' => sub {
            my ($c) = @_;
            post($c, '/one/echo', "5\r\nxx", 'Transfer-Encoding' => 'chunked');
            counted('parked=1');
            reads_all($c);
        }, 499
    ],
    [   'a body, in a file' => sub {
            my ($c) = @_;
            post($c, '/files/echo', 'x' x 99_999, 'Content-Length' => 100_000);
            counted('parked=1');
            reads_all($c);
            spooled();
        }, 499
    ],
    [   'a body, on its way' => sub {
            my ($c) = @_;
            post($c, '/free/echo', 'x', 'Content-Length' => 100_000);
            counted('parked=1', 'busy=1');
            reads_all($c);
        }, 499
    ],
    [ 'a body, short' => sub { my ($c) = @_; post($c, '/free/echo', 'x', 'Content-Length' => 10); counted('parked=1', 'busy=0'); reads_all($c) }, 499 ],
    [   'a body, invited' => sub {
            my ($c) = @_;
            post($c, '/one/echo', '', 'Content-Length' => 10, Expect => '100-continue');
            is($c->interim->status, 100, 'is invited');
            counted('parked=1');
        }, 499
    ],
    [   'a body, not invited yet' => sub {
            my ($c) = @_;
            post($c, '/free/gate?early=1', '', 'Content-Length' => 10, Expect => '100-continue');
            counted('parked=1', 'busy=1');
        }, 499
    ],
    [   'queued' => sub {
            my ($c) = @_;
            my $other = $s->client;
            ask($other, '/one/gate', Connection => 'close');
            $c->request('GET', target('/one/echo'));
            counted('queued=1');
            return sub { release(); is($other->response->status, 200, 'the other one is served'); $other->close };
        }, 499, parked => 1, busy => 1
    ],
    [   'connecting' => sub {
            my ($c) = @_;
            $c->request('GET', target('/full'));
            counted('parked=1');
            reached('a SYN is sent', sub { grep { $_->{state} == $SYN_SENT } kernel(undef, $full->port) });
        }, 499
    ],
    [ 'a full backlog' => sub { my ($c) = @_; $c->request('GET', target('/backlog')); counted('parked=1', 'busy=1') }, 499 ],
    [ 'before the head' => sub { my ($c) = @_; ask($c, '/one/gate'); counted('parked=1'); return \&release }, 499, busy => 1 ],
    [ 'before the head, no limit' => sub { my ($c) = @_; ask($c, '/free/hang'); counted('parked=1') }, 499 ],
    [ 'in the head' => sub { my ($c) = @_; ask($c, "/one/raw?b64=$partial&then=gate,close"); counted('parked=1'); return \&release }, 499 ],
    [   'in the body' => sub {
            my ($c) = @_;
            ask($c, '/one/short?then=gate,close');
            is($c->start_response->more, '0123456789', 'some of it');
            counted('parked=1');
            return \&release;
        }, 499
    ],
    [   'events' => sub {
            my ($c) = @_;
            ask($c, '/free/sse?n=5&ms=gate');
            like($c->start_response->more, qr/data: 1/, 'one');
            counted('parked=1');
        }, 499
    ],
    [   'the answer in memory' => sub {
            my ($c) = @_;
            $c->request('GET', target('/one/length/600000'));
            counted('parked=1', 'busy=0');
            full($c);
        }, 499
    ],
    [   'the answer in a file' => sub {
            my ($c) = @_;
            $c->request('GET', target('/files/length/600000'));
            counted('parked=1', 'busy=0');
            full($c);
            spooled();
        }, 499
    ],
    [   'the member is held back' => sub {
            my ($c) = @_;
            $c->request('GET', target('/held/length/3000000'));
            counted('parked=1', 'busy=1');
            full($c);
            reached('its bytes are not read', sub { grep { $_->{unread} } kernel(undef, $m->port) });
        }, 499
    ],
    [ 'flushing' => sub { my ($c) = @_; $c->request('GET', target('/static/big.bin')); full($c) }, 200 ],
    [   'flushing an answer' => sub {
            my ($c) = @_;
            $c->request('GET', target('/one/length/28000'));    # less than goes into the filters at once, more than the kernel takes
            counted('busy=0');
            full($c);
            reached('the last is on its way', sub { $c->fill(0.1, 4096); figures() =~ /parked=0/ });
            full($c);
            reached('and waited for', sub { watched($c) & $EPOLLOUT });
        }, 200
    ],
    [ 'idle' => sub { my ($c) = @_; is($c->ask('GET', target('/free/echo'))->status, 200, 'served'); counted('parked=0', 'adopted=1') }, 200 ],
    [   'a second request waits' => sub {
            my ($c) = @_;
            $c->send($c->head('GET', target('/one/gate')) . $c->head('GET', '/one/echo/second'));
            counted('parked=1', 'busy=1');
            reads_all($c);
            return sub { release(); is((grep { $_->target =~ /second/ } $m->requests), 0, 'and is never sent') };
        }, 499
    ],
    [   'lingering' => sub {
            my ($c) = @_;
            is($c->ask('GET', target('/free/echo'), [ Connection => 'close' ])->status, 200, 'served');
            reached('its end is told', sub { of_client($c)->{state} == $FIN_WAIT2 });
            counted('adopted=1');
        }, 200
    ],
    [ 'a tunnel' => sub { my ($c) = @_; tunnel($c, '/one/upgrade') }, 101 ],
    [ 'a tunnel, the client full' => sub { my ($c) = @_; tunnel($c, '/free/upgrade?fill=3000000'); full($c) }, 101 ],
    [ 'a tunnel, the member full' => sub { my ($c) = @_; tunnel($c, '/free/upgrade?then=deaf,hang'); stuff($c) }, 101, only => 'RST' ],
);

# All that can be left, once it is what it is when nothing is going on.
sub left_over {
    my $left;
    wait_until { $left = seen(); $left eq $nothing } 3;
    return $left;
}

sub logged { my ($r) = $s->access_log =~ /^(\d+) .*\bid=$id\b/m; return $r || '' }

sub goes_on {
    my ($expected) = @_;
    is(left_over(), $nothing, 'nothing is left');
    ok((wait_until { logged() eq $expected } 2), 'logged') or diag(logged());
    is(join(' ', $s->children), $pid, 'the child is the same');
    is($s->client->ask('GET', '/one/echo', [ Connection => 'close' ])->status, 200, 'the next request is served');
    return;
}

# Whatever is made when it is needed for the first time is there after this: what there is when nothing is going on.
sub settled {
    my ($first, $second) = map { $s->client } 1, 2;
    $id++;
    ask($first, '/one/gate');
    $second->request('GET', '/one/echo');
    counted('queued=1');
    $_->abort for $first, $second;
    counted('parked=0');
    release();
    reached('nothing is going on', sub { figures() eq $quiet });
    reached('nobody is connected', sub { kernel($s->port, undef) == 1 });    # the listener; whoever asked has gone, too
    return "$quiet, " . descriptors();
}

my %leave = (FIN => 'close', RST => 'abort');

# One that has been served before is looked after by the module already.
sub client {
    my ($served) = @_;
    $id++;
    my $c = $s->client(rcvbuf => 4096);
    return $c unless $served;
    $c->ask('GET', '/free/length/5');
    counted('adopted=1', 'parked=0');
    return $c;
}

sub client_goes {
    my ($how, $served, $get_there, $expected, %o) = @_;
    note("$how, " . ($served ? 'served before' : 'new'));
    my $c     = client($served);
    my $after = $get_there->($c);
    my $end   = $leave{$how};
    $c->$end;
    counted('parked=' . ($o{parked} || 0), $o{busy} ? 'busy=1' : ());
    $after->() if ref $after;
    return goes_on($expected);
}

# ---- the member goes away

sub got {
    my ($status) = @_;
    return sub { my ($c) = @_; is($c->response->status, $status, "the client gets $status") };
}

sub cut {
    my ($length) = @_;
    return sub {
        my ($c) = @_;
        my $r = $c->response;
        is($r->length, $length, 'the client gets what there was') if $length;
        ok(!$r->complete && $c->end, 'and sees that this is not all');
    };
}

sub tunnel_ends {
    my ($length) = @_;
    return sub {
        my ($c) = @_;
        my $got = 0;
        while ($c->fill(5)) { $got += length substr $c->{in}, 0, length $c->{in}, '' }
        is($c->end, 'fin', 'the client sees the end');
        is($got, $length, 'after all that there was');
    };
}

# Name, how to get there with a member that then waits for its release to close or to reset, what the client sees, and what stands
# in the access log. A RST may overtake what is not read yet.
my @member = (
    [ 'connecting' => sub { my ($c) = @_; $c->request('GET', target('/refused')) }, got(503), 503 ],
    [ 'before the head' => sub { my ($c, $how) = @_; ask($c, "/one/gate?then=$how"); counted('parked=1') }, got(502), 502 ],
    [ 'in the head' => sub { my ($c, $how) = @_; ask($c, "/one/raw?b64=$partial&then=gate,$how"); counted('parked=1') }, got(502), 502 ],
    [ 'in the body' => sub { my ($c, $how) = @_; ask($c, "/one/short/10?then=gate,$how"); counted('parked=1') }, cut(20), 200 ],
    [   'the client full' => sub {
            my ($c, $how) = @_;
            ask($c, "/one/short/600000?length=700000&then=gate,$how");
            counted('parked=1');
            full($c);
            all_taken();
        }, cut(), 200
    ],
    [   'held back' => sub {
            my ($c, $how) = @_;
            ask($c, "/held/short/300000?length=400000&then=gate,$how");
            counted('parked=1');
            full($c);
            $m->sync;
        }, cut(), 200
    ],
    [ 'a tunnel' => sub { my ($c, $how) = @_; tunnel($c, "/one/upgrade?then=gate,$how") }, tunnel_ends(0), 101 ],
    [   'a tunnel, the client full' => sub {
            my ($c, $how) = @_;
            tunnel($c, "/one/upgrade?fill=300000&then=gate,$how");
            full($c);
            all_taken();
        }, tunnel_ends(300_000), 101
    ],
    [   'idle' => sub {
            my ($c) = @_;
            is($c->ask('GET', target('/kept/echo'))->status, 200, 'served');
            $m->drop_idle;
        }, sub {
            my ($c) = @_;
            is($c->ask($_, '/kept/echo?close=1', [], $_ eq 'POST' ? 'x' : undef)->status, 200, "a $_ notices nothing") for qw(POST GET);
        }, 200
    ],
);

sub member_goes {
    my ($how, $served, $get_there, $sees, $expected) = @_;
    note("$how, " . ($served ? 'served before' : 'new'));
    my $c = client($served);
    $get_there->($c, $how);
    release();
    $sees->($c);
    $c->close;
    return goes_on($expected);
}

# ---- the child goes away

# States of above, and what becomes of them when the child ends gracefully. When it is told to stop, everybody sees the end.
my @child = (
    [ 'queued' => got(200) ],
    [ 'before the head' => got(200) ],
    [ 'flushing' => sub { my ($c) = @_; ok($c->response(keep => 0)->complete, 'the rest of it comes') } ],
    [ 'idle' => sub { my ($c) = @_; ok($c->await_end(5), 'is closed') } ],
    [ 'a tunnel' => sub { my ($c) = @_; $c->send('more'); ok((wait_until { $c->fill(0.1); $c->pending =~ /more/ } 5), 'stays') } ],
);
my %get_there = map { $_->[0] => $_->[1] } @client;

sub child_ends {
    my ($name, $sees) = @_;
    my $c     = client(1);
    my $after = $get_there{$name}->($c);
    my $old   = $pid;
    $s->signal('USR1');
    ok((wait_until { ($pid) = grep { $_ != $old } $s->children } 10), 'another child');
    $after->() if ref $after;
    $sees->($c);
    $c->close;
    ok((wait_until { !(() = glob "/proc/$old/fd/*") } 10), 'the old one ends');
    ok((wait_until { figures() eq $quiet }), 'nothing is left') or diag(figures());
    is($s->client->ask('GET', '/one/echo', [ Connection => 'close' ])->status, 200, 'the next request is served');
    return;
}

sub child_stops {
    my ($conf, $name) = @_;
    begin($conf);
    my $c    = client(1);
    $get_there{$name}->($c);
    my $from = time;
    $s->signal('TERM');
    ok($c->await_end(10), 'the client sees the end');
    ok((wait_until { !$s->{proc}->alive } 10), 'httpd ends');
    cmp_ok(time - $from, '<', 5 * patience, 'soon');
    release();
    return $s->log_ok(allow => ['ABL0193']);
}

# ---- all of them

sub begin {
    my ($conf) = @_;
    $s = start($conf);
    ($pid) = $s->children;
    $nothing = settled();
    return;
}

for my $lane ('BalancerLane on', 'BalancerLane off') {
    begin("$lane\n");
    for my $state (@client) {
        my ($name, $get_there, $expected, %o) = @$state;
        subtest "$lane, the client goes: $name" => sub {
            for my $how ($o{only} || sort keys %leave) { client_goes($how, $_, $get_there, $expected, %o) for 0, 1 }
        };
    }
    for my $state (@member) {
        my ($name, @row) = @$state;
        subtest "$lane, the member goes: $name" => sub {
            for my $how (qw(close rst)) { member_goes($how, $_, @row) for 0, 1 }
        };
    }
    for my $state (@child) {
        my @row = @$state;
        subtest "$lane, the child ends: $row[0]" => sub { child_ends(@row) };
    }
    $s->log_ok(allow => [ 'ABL0193', trouble ]);
    for my $state (@child) {
        my ($name) = @$state;
        subtest "$lane, the child stops: $name" => sub { child_stops("$lane\n", $name) };
    }
}

done_testing;
