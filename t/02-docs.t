# What is written about the directives and what the module has are the same.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();

my $root = Cwd::abs_path(dirname(__FILE__) . '/..');

# The module's own list: httpd -L prints "<Balancer (mod_appbalance.c)" and so on.
sub own_directives {
    my $conf = File::Temp->new(TEMPLATE => 'abl-conf-XXXXXX', TMPDIR => 1);
    my $mpm  = qx(@{[$ENV{APXS} || 'apxs']} -q LIBEXECDIR) =~ s{\s*\z}{/mod_mpm_event.so}r;
    print {$conf} "ServerName localhost\nErrorLog /dev/null\n";
    print {$conf} "LoadModule mpm_event_module $mpm\n" if -f $mpm;
    print {$conf} "LoadModule appbalance_module \"@{[Abl::Server->module_path]}\"\n";
    close $conf or die "$conf: $!\n";
    local $ENV{LD_PRELOAD} = $ENV{ABL_PRELOAD} if $ENV{ABL_PRELOAD};
    my $text = qx(@{[Abl::Server->httpd]} -f $conf -L 2>&1);
    my @names = $text =~ /^<?(\w+)>? \(mod_appbalance\.c\)/mg;
    die "httpd -L lists nothing of mod_appbalance:\n$text\n" unless @names;
    return @names;
}

# The names at the beginning of lines, of which conf/ and README have some commented out.
sub used { my ($file) = @_; return slurp("$root/$file") =~ /^\s*#?<?(Balancer\w*)\b/mg }

sub unique { my %seen; return sort grep { !$seen{$_}++ } @_ }

my @own = unique(own_directives());
cmp_ok(scalar @own, '>=', 10, 'the module has directives');

# Each has a heading of its own: ## BalancerPass, or ## `<Balancer NAME>`.
my @documented = slurp("$root/docs/directives.md") =~ /^##+ [`<]*(Balancer\w*)\b/mg;
is_deeply([ sort @documented ], \@own, 'docs/directives.md: one heading each');
is_deeply([ unique(used('conf/appbalance.conf')) ], \@own, 'conf/appbalance.conf: each has a line');

# Whatever is named elsewhere exists here, or is mod_proxy's.
my %is = map { $_ => 1 } @own, qw(BalancerGrowth BalancerInherit);
my @about_today = grep { !m{/design\.md\z} } map { substr $_, 1 + length $root } glob "$root/docs/*.md";
for my $file ('README', 'conf/seed.conf', @about_today) {
    my @unknown = grep { !$is{$_} } unique(slurp("$root/$file") =~ /\b(Balancer[A-Z]\w*)\b/g);
    is_deeply(\@unknown, [], "$file: names only directives that exist");
}
like(slurp("$root/README"), qr/^\s*BalancerPass\b/m, 'README shows a configuration');

done_testing;
