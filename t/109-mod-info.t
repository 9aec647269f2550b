# mod_info's page beside this module: its directives, as they stand in the configuration, its hooks and its methods.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;

my $m = Abl::Member->start(name => 'a');
my $s = Abl::Server->start(
    modules => ['info'],
    conf    => balancer('app', [ $m, 'concurrency=1 weight=2' ], 'BalancerMethod hash "expr:%{HTTP_HOST} <x>"', 'BalancerQueue length=7') . <<'END',
BalancerPass / app
BalancerTimeout response=9s
<Location /info>
    SetHandler server-info
    BalancerStatic
</Location>
<Location /part>
    BalancerPass app
    BalancerForwarded both
</Location>
END
    vhosts => [ 'b.test' => "BalancerPass /in-b app\nBalancerLinger off" ],
);

sub plain {
    my ($query) = @_;
    my $r = $s->get("/info$query");
    is($r->{status}, 200, "$query: there");
    like($r->{content}, qr{</html>\s*\z}, '... to its end');
    return $r->{content} =~ s/&nbsp;/ /gr =~ s/<[^>]+>//gr =~ s/&lt;/</gr =~ s/&gt;/>/gr =~ s/&quot;/"/gr;
}

my $text = plain('?mod_appbalance.c');
like($text, qr/Module Name: mod_appbalance\.c/, 'the module');
like($text, qr/<Balancer> - a name: begins the definition of a balancer$/m, 'a section has a line of help');
my @helped = $text =~ /^(?:Module Directives:)?<?(Balancer\w*)>? - \S/mg;
cmp_ok(scalar @helped, '>=', 25, 'as has each directive');
my ($conf) = $text =~ /Current Configuration:\s*(.*)/s;
$conf =~ s/^\s*\d*: ?//mg;
$conf =~ s{(</\w+>) *}{$1\n}g;    # a closing line and the next one are one for mod_info
my @lines = grep {/\S/} map {s/\A\s*(?:\d+:)?\s*|\s+\z//gr} split /\n/, $conf;
is_deeply(
    [ grep { !/\AIn file:/ } @lines ],
    [   '<Balancer app>', 'BalancerMember "' . $m->url . '" concurrency=1 weight=2', 'BalancerMethod hash "expr:%{HTTP_HOST} <x>"', 'BalancerQueue length=7', '</Balancer>',
        'BalancerPass / app', 'BalancerTimeout response=9s', '<Location /info>', 'BalancerStatic', '</Location>', '<Location /part>', 'BalancerPass app',
        'BalancerForwarded both', '</Location>', '<VirtualHost *:' . $s->port . '>', 'BalancerPass /in-b app', 'BalancerLinger off', '</VirtualHost>',
    ],
    'and its lines, as they are written'
) or diag(explain(\@lines));

like(plain('?list'), qr/mod_appbalance\.c/, 'in the list of modules');
like(plain('?hooks'), qr/Content Handlers.*mod_appbalance\.c/s, 'in that of hooks');
my ($methods) = plain('?providers') =~ /appbalance_method \(version \d+\):(.*?)(?:\(version|\z)/s;
like($methods, qr/\b\Q$_\E\b/, "method $_") for qw(roundrobin leastbusy traffic latency hash);
like(plain(''), qr/Module Name: mod_appbalance\.c.*<Balancer app>/s, 'the page of all');
is($s->get('/x')->{headers}{'x-member'}, 'a', 'and requests go to members');
$s->log_ok;

done_testing;
