# docs/messages.md has each message of the sources, once, with its level, what it means and what to do; and no other.
# SPDX-License-Identifier: Apache-2.0
use Abl::Test;
use Cwd ();
use File::Basename qw(dirname);
use Abl::Guard;

my $root  = Cwd::abs_path(dirname(__FILE__) . '/..');
my $httpd = qx(@{[$ENV{APXS} || 'apxs']} -q INCLUDEDIR);
chomp $httpd;

my $tree   = Abl::Guard->new(root => $root, httpd => $httpd);
my $ids    = $tree->ids;
my $levels = $tree->levels;
my $text   = slurp("$root/docs/messages.md");

my @columns = ('id', 'level', 'message', 'what it means', 'what to do');

# [ids, the other cells] of each line of a table, and what is no such line although it looks like one.
sub entries {
    my ($page) = @_;
    my (@entries, @faults);
    for my $line (split /\n/, $page) {
        next unless $line =~ /\A\|/ && $line !~ /\A\|[-|]+\z/;
        my (undef, @cells) = map {s/\A\s+|\s+\z//gr} split /(?<!\\)\|/, $line, -1;
        pop @cells;
        next if "@cells" eq "@columns";
        my ($first, @rest) = @cells;
        push @faults, "no id in: $line" unless $first =~ /\AABL\d{4}(?:, ABL\d{4})*\z/;
        push @faults, "$first has " . @cells . ' cells' unless @cells == @columns;
        push @entries, [ [ $first =~ /ABL\d{4}/g ], @rest ];
    }
    return (\@entries, @faults);
}

# Are the ids of a heading sorted? A line of several counts by its first one.
sub unsorted {
    my ($page) = @_;
    my @faults;
    for my $part (split /^## /m, $page) {
        my @first = $part =~ /^\| (ABL\d{4})/mg;
        push @faults, map { $first[$_] lt $first[ $_ - 1 ] ? "$first[$_] stands behind $first[$_ - 1]" : () } 1 .. $#first;
    }
    return @faults;
}

# Everything that is wrong with a page about messages with these ids and levels.
sub faults {
    my ($page, $of_code, $level_of) = @_;
    my ($entries, @faults) = entries($page);
    my %has;
    for my $entry (@$entries) {
        my ($of_entry, $level, $message, $meaning, $remedy) = map { $_ // '' } @$entry;
        for my $id (@$of_entry) {
            my $logged = $level_of->{$id};
            push @faults, "$id has two entries" if $has{$id}++;
            push @faults, "$id is at no place of the sources" unless $of_code->{$id};
            push @faults, "$id is logged as $logged, not $level" if defined $logged && $level ne $logged;
            push @faults, "$id is not logged: $level" if !defined $logged && $level !~ /\A(?:configuration|answer)\z/;
            push @faults, "$id: the message is empty"        unless $message =~ /\w/;
            push @faults, "$id does not say what it means"   unless $meaning =~ /\w/;
            push @faults, "$id does not say what to do"      unless $remedy =~ /\w/;
        }
    }
    push @faults, map {"$_ has no entry ($of_code->{$_}[0])"} grep { !$has{$_} } sort keys %$of_code;
    return (@faults, unsorted($page));
}

my @faults = faults($text, $ids, $levels);
ok(!@faults, 'docs/messages.md has all of them') or diag(join "\n", @faults);
cmp_ok(scalar keys %$ids, '>', 200, 'which are many');
is_deeply([ $tree->message_ids ], [], 'each id is at one place of the sources');

# ---- is the text that of the sources?

# All strings of the sources, those of several lines and those around a number's format as one.
my $strings = join "\n", map { slurp("$root/$_") =~ s/"\s*(?:\w+\s*)?"//gr =~ s/\\"/"/gr =~ s/%%/%/gr } $tree->units;

# What of a line's message is fixed text: what stands between words in capitals, numbers and what is left out.
sub fixed { my ($message) = @_; return grep { length > 9 } map {s/\A[\s:;,]+|[\s:;,]+\z//gr} split /\b[A-Z][A-Z_]*\b|…|[()`]|\b\d+\b|; |: /, $message }

# Lines of whose fixed text nothing is in the sources: it was worded anew there.
sub reworded {
    my ($page) = @_;
    my ($entries) = entries($page);
    my @faults;
    for my $entry (@$entries) {
        my ($of_entry, undef, $message) = @$entry;
        my @fixed = fixed($message) or next;
        next if grep { index($strings, $_) >= 0 } @fixed;
        push @faults, "$of_entry->[0]: the sources have nothing of: $message";
    }
    return @faults;
}

my @reworded = reworded($text);
ok(!@reworded, 'messages are worded as in the sources') or diag(join "\n", @reworded);

# What is answered is in the manager's sources and nowhere else.
my @answers = grep { !defined $levels->{$_} && $ids->{$_}[0] =~ m{\Asrc/httpd/(?:order|manager)\.c:} } sort keys %$ids;
my ($entries) = entries($text);
is_deeply([ sort map { @{ $_->[0] } } grep { $_->[1] eq 'answer' } @$entries ], \@answers, 'answers are those of the manager');

for my $file ('README', map { substr $_, 1 + length $root } glob "$root/docs/*.md") {
    my %named = map { $_ => 1 } slurp("$root/$file") =~ /\b(ABL\d{4})\b/g;
    is_deeply([ grep { !$ids->{$_} } sort keys %named ], [], "$file: names only ids that exist");
}

# ---- does it bite?

sub bites {
    my ($pattern, $name, $page, $of_code, $level_of) = @_;
    my @found = faults($page, $of_code || $ids, $level_of || $levels);
    is(scalar @found, 1, $name) or diag(join "\n", @found);
    return like($found[0], $pattern, '... and says so');
}

my ($line) = $text =~ /^(\| ABL0070 .*\n)/m;
my ($several) = $text =~ /^\| (ABL0159, [^|]*)/m;
bites(qr{ABL9999 has no entry \(src/new\.c:1\)}, 'a new id in the sources', $text, { %$ids, ABL9999 => ['src/new.c:1'] }, { %$levels, ABL9999 => 'warn' });
bites(qr/ABL0070 is at no place/, 'an id that the sources do not have', $text, { map { $_ eq 'ABL0070' ? () : ($_ => $ids->{$_}) } keys %$ids });
bites(qr/ABL0070 has no entry/, 'a line that was taken out', $text =~ s/^\Q$line\E//mr);
bites(qr/ABL0194 has no entry/, 'an id that was taken out of a line with others', $text =~ s/\Q$several\E/$several =~ s{, ABL0194}{}r/er);
bites(qr/ABL0070 has two entries/, 'a line twice', $text =~ s/^\Q$line\E/$line$line/mr);
bites(qr/ABL0070 does not say what to do/, 'no remedy', $text =~ s/^\Q$line\E/$line =~ s{[^|]*\|$}{ |}r/emr);
bites(qr/ABL0070 does not say what it means/, 'no meaning', $text =~ s/^\Q$line\E/$line =~ s{[^|]*(\|[^|]*\|)$}{ $1}r/emr);
bites(qr/ABL0070 is logged as warn, not error/, 'another level', $text =~ s/^\| ABL0070 \| warn/| ABL0070 | error/mr);
bites(qr/ABL0401 is logged as notice, not answer/, 'another kind', $text =~ s/^\| ABL0401 \| notice/| ABL0401 | answer/mr);
bites(qr/ABL0123 is not logged: warn/, 'a level of what is not logged', $text =~ s/^\| ABL0123 \| configuration/| ABL0123 | warn/mr);
bites(qr/no id in: \| see below/, 'a line without an id', $text =~ s/^\Q$line\E/$line| see below | warn | a | b | c |\n/mr);
bites(qr/ABL0070 stands behind ABL0071/, 'the wrong order', $text =~ s/^\Q$line\E(.*\n)/$1$line/mr);
is_deeply([ reworded($text =~ s/^(\| ABL0071 \| notice \| )[^|]*/$1balancer B: MEMBER is there again, for ever /mr) ],
    ['ABL0071: the sources have nothing of: balancer B: MEMBER is there again, for ever'], 'another wording is found');

done_testing;
