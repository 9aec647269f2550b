# A balancing method of somebody else's module: t/module/mod_lbmethod_sample.c, which `make modules` builds.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Cwd ();
use File::Basename qw(dirname);

my $folder = Cwd::abs_path(dirname(__FILE__) . '/..') . '/build/module/.libs';
for my $name (qw(sample old)) { -f "$folder/mod_lbmethod_$name.so" or die "mod_lbmethod_$name.so is missing; run make modules first\n" }

sub load { my ($name) = @_; return "LoadModule lbmethod_${name}_module \"$folder/mod_lbmethod_$name.so\"\n" }

my @m = map { Abl::Member->start(name => $_) } qw(a b c);

sub who { my ($s, $n) = @_; my $c = $s->client; return join '', map { $c->ask('GET', '/')->field('X-Member') || '-' } 1 .. $n }

# As in a real configuration: loaded before mod_appbalance, or after it.
for my $order ([ 'before' => (first => load('sample'), conf => '') ], [ 'after' => (first => '', conf => load('sample')) ]) {
    my ($name, %o) = @$order;
    subtest "loaded $name mod_appbalance" => sub {
        my $s = Abl::Server->start(first => $o{first}, conf => $o{conf} . balancer('app', @m, 'BalancerMethod last') . "BalancerPass / app\n");
        is(who($s, 5), 'ccccc', 'the last member gets everything');
        $s->log_ok;
        $s = Abl::Server->start(first => $o{first}, conf => $o{conf} . balancer('app', @m, Abl::Member->refused, 'BalancerMethod last') . "BalancerPass / app\n");
        is(who($s, 5), 'ccccc', 'what was tried is not offered again');
        $s->log_ok(allow => [trouble]);
    };
}

SKIP: {
    skip 'a prefork child has one request at a time', 1 if Abl::Server->default_mpm eq 'prefork';
    subtest 'what is full is not offered' => sub {
        $_->forget for @m;
        my $s = Abl::Server->start(conf => load('sample') . balancer('app', (map { [ $_, 'concurrency=1' ] } @m), 'BalancerMethod last') . "BalancerPass / app\n");
        my @held;
        for my $member (reverse @m) {
            push @held, $s->client;
            $held[-1]->request('GET', '/gate');
            ok($member->await_requests(1), $member->name . ' is next');
        }
        $_->release for @m;
        is(join('', map { $_->response->field('X-Member') } @held), 'cba', 'each answers');
        $s->log_ok;
    };
}

subtest 'written for another version' => sub {
    my $section = "<Balancer app>\n    BalancerMember http://127.0.0.1:8001\n    BalancerMethod last\n</Balancer>\n";
    my ($code, $text) = Abl::Server->configtest(load('old') . $section);
    isnt($code, 0, 'is refused');
    like($text, qr/ABL\d{4}: BalancerMethod last: there is no such method; known are (?!.*\blast\b)/, 'as if it were not there');
    ($code, $text) = Abl::Server->configtest(load('sample') . $section =~ s/last/first/r);
    like($text, qr/BalancerMethod first: there is no such method; known are .*\blast\b/, 'one that fits is listed');
    ($code, $text) = Abl::Server->configtest(load('sample') . $section =~ s/last/last uri/r);
    like($text, qr/BalancerMethod last uri: last takes no key/, 'and is asked whether it takes a key');
};

done_testing;
