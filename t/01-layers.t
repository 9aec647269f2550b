# The rules of the sources that no compiler checks: a file uses lower layers only, nothing goes in circles,
# files and functions stay readable, message ids are unique. Then: does each guard bite?
# SPDX-License-Identifier: Apache-2.0
use Abl::Test bound => 120;
use Cwd ();
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use Abl::Guard;

needs('nm');

my $root  = Cwd::abs_path(dirname(__FILE__) . '/..');
my $httpd = qx(@{[$ENV{APXS} || 'apxs']} -q INCLUDEDIR);
chomp $httpd;
my $objects = dirname(dirname(Abl::Server->module_path));

my @rules = (
    [ upward_includes   => 'no include goes up' ],
    [ httpd_headers     => "httpd's headers stay in the top layer" ],
    [ include_cycles    => 'no includes in a circle' ],
    [ upward_calls      => 'no call goes up' ],
    [ call_cycles       => 'no calls in a circle' ],
    [ long_files        => 'no file over 900 lines', 900, 'mod_appbalance.c' => 300 ],
    [ long_functions    => 'no function over 80 lines', 80 ],
    [ message_ids       => 'message ids are unique' ],
    [ nameless_messages => 'messages have ids' ],
);

my $tree = Abl::Guard->new(root => $root, objects => $objects, httpd => $httpd);
for my $rule (@rules) {
    my ($check, $name, @args) = @$rule;
    my @faults = $tree->$check(@args);
    ok(!@faults, $name) or diag(join "\n", @faults);
}

my @exported = map { /\A[0-9a-f]+ \w (\S+)$/ ? $1 : () } qx(nm -D --defined-only @{[Abl::Server->module_path]});
is_deeply([ grep { !/\A__(?:asan|odr_asan|ubsan)/ } @exported ], ['appbalance_module'], 'only the module record leaves the module');

# ---- the guards themselves, on a small tree that is right, and on the same tree with one fault

my %good = (
    'mod_appbalance.h'   => "#define A_METHOD 1\n",
    'mod_appbalance.c'   => "#include \"httpd.h\"\n#include \"httpd/top.h\"\nint hooks(void)\n{\n    return top_run();\n}\n",
    'src/base/low.h'     => "int low_one(void);\n",
    'src/base/low.c'     => "#include \"base/low.h\"\n\nint low_one(void)\n{\n    return 1;\n}\n",
    'src/engine/mid.h'   => "#include \"base/low.h\"\nint mid_one(int);\n",
    'src/engine/mid.c'   => "#include \"engine/mid.h\"\nint mid_one(int n)\n{\n    return n + low_one();\n}\n",
    'src/engine/later.h' => "int later(void);\n",
    'src/engine/later.c' => "#include \"engine/later.h\"\n#include \"engine/mid.h\"\nint later(void)\n{\n    return mid_one(1);\n}\n",
    'src/httpd/top.h'    => "#include \"httpd.h\"\nint top_run(void);\n",
    'src/httpd/top.c'    => <<'END',
#include "httpd/top.h"
#include "engine/later.h"
/* "ABL0001: in a comment is no message" */
int top_run(void)
{
    ap_log_error(APLOG_ERR, "ABL0001: it failed");
    ap_log_error(APLOG_TRACE1, "just so");
    return later();
}
END
    'include/httpd.h' => "void ap_log_error(int level, const char *text);\n#define APLOG_ERR 1\n#define APLOG_TRACE1 2\n",
);

# A tree on disk, compiled; changes: file => its new text, undef to leave it out.
sub small_tree {
    my (%changes) = @_;
    my $dir = File::Temp::tempdir('abl-guard-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my %files = (%good, %changes);
    for my $file (grep { defined $files{$_} } keys %files) {
        make_path(dirname("$dir/$file"));
        spew("$dir/$file", $files{$file});
    }
    for my $unit (grep { defined $files{$_} && /\.c\z/ } keys %files) {
        my ($folder, $base) = "$dir/$unit" =~ m{\A(.*)/([^/]+)\.c\z};
        make_path("$folder/.libs");
        system('cc', "-I$dir", "-I$dir/src", "-I$dir/include", '-c', '-o', "$folder/.libs/$base.o", "$dir/$unit") == 0
            or die "$unit does not compile\n";
    }
    return $dir;
}

sub guard { my ($dir) = @_; return Abl::Guard->new(root => $dir, httpd => "$dir/include") }

subtest 'a good tree has no fault' => sub {
    my $small = guard(small_tree());
    for my $rule (@rules) {
        my ($check, undef, @args) = @$rule;
        is_deeply([ $small->$check(@args) ], [], $check);
    }
};

sub bites {
    my ($check, $pattern, $name, %changes) = @_;
    my ($args) = map { [ @{$_}[ 2 .. $#$_ ] ] } grep { $_->[0] eq $check } @rules;
    my @faults = guard(small_tree(%changes))->$check(@$args);
    is(scalar @faults, 1, "$check: $name") or diag(join "\n", @faults);
    return like($faults[0], $pattern, '... and says so');
}

my $low = $good{'src/base/low.c'};
bites('upward_includes', qr{src/base/low\.c:1: includes src/engine/later\.h}, 'an include that goes up',
    'src/base/low.c' => "#include \"engine/later.h\"\n$low");
bites('upward_includes', qr{includes src/engine/mid\.h}, 'an include that goes up, by a relative path',
    'src/base/low.c' => "#include \"../engine/mid.h\"\n$low");
bites('upward_includes', qr{mod_appbalance\.h:1: includes src/base/low\.h}, 'the public header is the lowest',
    'mod_appbalance.h' => "#include \"base/low.h\"\n");
bites('httpd_headers', qr{src/engine/mid\.c:1: includes httpd's httpd\.h}, "httpd's header in the engine",
    'src/engine/mid.c' => "#include <httpd.h>\n$good{'src/engine/mid.c'}");
bites('include_cycles', qr{src/engine/later\.h, src/engine/mid\.h}, 'two headers of one folder',
    'src/engine/mid.h'   => "#pragma once\n#include \"engine/later.h\"\n$good{'src/engine/mid.h'}",
    'src/engine/later.h' => "#pragma once\n#include \"engine/mid.h\"\n$good{'src/engine/later.h'}");
bites('upward_calls', qr{src/base/low\.c uses mid_one of src/engine/mid\.c}, 'a call past the includes',
    'src/base/low.c' => "int mid_one(int);\nint low_one(void)\n{\n    return 1;\n}\nint low_two(void)\n{\n    return mid_one(2);\n}\n");
bites('call_cycles', qr{src/engine/later\.c, src/engine/mid\.c}, 'two files of one folder',
    'src/engine/mid.c' => "int later(void);\n$good{'src/engine/mid.c'}int mid_two(void)\n{\n    return later();\n}\n");
bites('call_cycles', qr{src/engine/later\.c, src/engine/mid\.c}, "a circle through a table of functions",
    'src/engine/mid.c' => "int later(void);\nint (*const mid_table[])(void) = {later};\n$good{'src/engine/mid.c'}");
bites('long_files', qr{src/base/low\.c has 90\d lines}, 'a long file', 'src/base/low.c' => $low . "/* */\n" x 900);
bites('long_functions', qr{src/base/low\.c:3: low_one has 84 lines}, 'a long function',
    'src/base/low.c' => $low =~ s/(    return)/("    ;\n" x 80) . $1/er);
bites('long_functions', qr{src/base/low\.c: cannot find where low_two begins}, 'a function it cannot read',
    'src/base/low.c' => "${low}int low_two(void) {\n    return 2;\n}\n");
bites('message_ids', qr{ABL0001 is used by src/engine/mid\.c:\d+ src/httpd/top\.c:\d+}, 'an id used twice',
    'src/engine/mid.c' => "$good{'src/engine/mid.c'}const char *mid_text = \"ABL0001\";\n");
bites('nameless_messages', qr{src/httpd/top\.c:6: this message has no id}, 'a message without an id',
    'src/httpd/top.c' => $good{'src/httpd/top.c'} =~ s/"ABL0001: it/"it/r
        =~ s/"just so"/"just so"); ap_log_error(APLOG_ERR, "ABL0002: so"/r);

subtest 'a guard without its input fails' => sub {
    my $empty = File::Temp::tempdir('abl-guard-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    ok(!eval { guard($empty); 1 }, 'no sources');
    like($@, qr/no sources/, '... and says so');
    my $dir = small_tree();
    unlink "$dir/src/base/.libs/low.o" or die "$!\n";
    ok(!eval { guard($dir)->call_cycles; 1 }, 'no object');
    like($@, qr/low\.c has no object file/, '... and says so');
    utime time + 60, time + 60, "$dir/src/engine/mid.c";
    ok(!eval { guard($dir)->symbols('src/engine/mid.c'); 1 }, 'an old object');
    like($@, qr/newer than its object/, '... and says so');
    ok(!eval { guard(small_tree('src/new/x.h' => "\n", 'src/new/x.c' => "#include \"new/x.h\"\n"))->upward_includes; 1 },
        'a folder that is no layer');
    like($@, qr/there is no layer new/, '... and says so');
    my %quiet = ('src/httpd/top.c' => "#include \"httpd/top.h\"\nint later(void);\nint top_run(void)\n{\n    return later();\n}\n");
    for my $check (qw(message_ids nameless_messages)) {
        ok(!eval { guard(small_tree(%quiet))->$check; 1 }, "$check: no message at all");
    }
    ok(!eval { Abl::Guard->new(root => $dir, httpd => $empty); 1 }, "no httpd headers");
};

done_testing;
