# What compilers do not check about the sources: layers, cycles, sizes, message ids.
#
#   my $tree = Abl::Guard->new(root => '.', objects => '.', httpd => '/usr/include/apache2');
#   my @faults = $tree->upward_includes;         # each a line to print; none: all is well
#
# A tree in which a check would find nothing to look at is a fault of its own: new() and the checks die.
# SPDX-License-Identifier: Apache-2.0
package Abl::Guard;
use strict;
use warnings;
use Abl::Util qw(slurp tool);

# From the lowest to the highest; what lies outside src/ is named by file.
my @layers = ('mod_appbalance.h', qw(base wire balance ledger engine control httpd), 'mod_appbalance.c');
my %rank = map { $layers[$_] => $_ } 0 .. $#layers;

# root: the sources; objects: where they were built (files below <objects>/src/*/.libs); httpd: its headers
sub new {
    my ($class, %o) = @_;
    my $self = bless { objects => $o{root}, %o }, $class;
    for my $path (sort map { glob "$self->{root}/$_" } 'mod_appbalance.[ch]', 'src/*/*.[ch]') {
        my $file = substr $path, 1 + length $self->{root};
        $self->{text}{$file} = slurp($path);
    }
    die "no sources below $self->{root}\n" unless grep {m{\Asrc/.*\.c\z}} $self->files;
    die "no httpd.h in $self->{httpd}\n" unless -f "$self->{httpd}/httpd.h";
    return $self;
}

sub files { my ($self) = @_; return sort keys %{ $self->{text} } }
sub units { my ($self) = @_; return grep {/\.c\z/} $self->files }

sub layer {
    my ($file) = @_;
    my ($name) = $file =~ m{\Asrc/([^/]+)/} ? $1 : $file;
    die "$file: there is no layer $name\n" unless exists $rank{$name};
    return $rank{$name};
}

# ---- includes

# [line number, what stands between the quotes, our file it names or undef]
sub includes {
    my ($self, $file) = @_;
    my ($folder) = $file =~ m{\A(.*/)} ? $1 : '';
    my ($n, @found) = (0);
    for my $line (split /\n/, $self->{text}{$file}) {
        $n++;
        my ($name) = $line =~ /^\s*#\s*include\s*["<]([^">]+)[">]/ or next;
        my ($ours) = grep { $self->{text}{$_} } map { plain($_) } "$folder$name", "src/$name", $name;
        push @found, [ $n, $name, $ours ];
    }
    return @found;
}

# a/../b is b
sub plain {
    my ($path) = @_;
    1 while $path =~ s{(?:\A|/)\K(?!\.\./)[^/]+/\.\./}{};
    return $path;
}

sub _each_include {
    my ($self, $code) = @_;
    my ($seen, @faults) = (0);
    for my $file ($self->files) {
        for my $include ($self->includes($file)) {
            $seen++;
            my $fault = $code->($file, @$include);
            push @faults, "$file:$include->[0]: $fault" if $fault;
        }
    }
    die "no #include found in any file\n" unless $seen;
    return @faults;
}

sub upward_includes {
    my ($self) = @_;
    return $self->_each_include(sub {
        my ($file, $line, $name, $ours) = @_;
        return $ours && layer($ours) > layer($file) ? "includes $ours, which is of a higher layer" : undef;
    });
}

sub httpd_headers {
    my ($self) = @_;
    return $self->_each_include(sub {
        my ($file, $line, $name, $ours) = @_;
        return if $ours || $name =~ /\Aap[ru]_?\w*\.h\z/ || !-f "$self->{httpd}/$name";
        return $file eq 'mod_appbalance.c' || $file =~ m{\Asrc/httpd/} ? undef
            : "includes httpd's $name; only src/httpd/ and mod_appbalance.c may";
    });
}

sub include_cycles {
    my ($self) = @_;
    my %to;
    for my $file ($self->files) { $to{$file} = [ grep {defined} map { $_->[2] } $self->includes($file) ] }
    return map {"these include each other: $_"} cycles(\%to);
}

# ---- calls, from the symbols of the object files

# [type, name] of each symbol of the object of a source file
sub symbols {
    my ($self, $unit) = @_;
    my ($folder, $base) = $unit =~ m{\A(.*/)?([^/]+)\.c\z};
    my $object = "$self->{objects}/" . ($folder || '') . ".libs/$base.o";
    die "$unit has no object file; run make first\n" unless -f $object;
    die "$unit is newer than its object file; run make first\n" if -M $object > -M "$self->{root}/$unit";
    my @lines = split /\n/, do { my $nm = tool('nm') or die "nm is missing\n"; qx($nm $object) };
    my @symbols = map { /\A[0-9a-f ]{16} (\w) (\S+)\z/ ? [ $1, $2 ] : () } @lines;
    die "nm says nothing about $object\n" unless @symbols;
    return @symbols;
}

# file => [[symbol, file that defines it], ...]
sub uses {
    my ($self) = @_;
    return $self->{uses} if $self->{uses};
    my (%defined_in, %wanted, %uses);
    for my $unit ($self->units) {
        for my $symbol ($self->symbols($unit)) {
            my ($type, $name) = @$symbol;
            # the module record points to everything, and httpd's own macros need it everywhere
            next if $name eq 'appbalance_module';
            if ($type eq 'U') { push @{ $wanted{$unit} }, $name }
            elsif ($type =~ /[A-Z]/) { $defined_in{$name} = $unit }
        }
    }
    for my $unit ($self->units) {
        $uses{$unit} = [ map { $defined_in{$_} ? [ $_, $defined_in{$_} ] : () } @{ $wanted{$unit} || [] } ];
    }
    die "no file uses another one's symbols\n" unless grep {@$_} values %uses;
    return $self->{uses} = \%uses;
}

sub upward_calls {
    my ($self) = @_;
    my @faults;
    for my $unit ($self->units) {
        for my $use (@{ $self->uses->{$unit} }) {
            my ($name, $in) = @$use;
            push @faults, "$unit uses $name of $in, which is of a higher layer" if layer($in) > layer($unit);
        }
    }
    return @faults;
}

sub call_cycles {
    my ($self) = @_;
    my $uses = $self->uses;
    my %to = map { my $unit = $_; $unit => [ map { $_->[1] } @{ $uses->{$unit} } ] } keys %$uses;
    return map {"these call each other: $_"} cycles(\%to);
}

# Strongly connected components of more than one node (Tarjan).
sub cycles {
    my ($to) = @_;
    my ($next, @stack, %index, %low, %on, @found, $visit) = (0);
    $visit = sub {
        my ($v) = @_;
        $index{$v} = $low{$v} = $next++;
        push @stack, $v;
        $on{$v} = 1;
        for my $w (@{ $to->{$v} || [] }) {
            if (!defined $index{$w}) { $visit->($w); $low{$v} = $low{$w} if $low{$w} < $low{$v} }
            elsif ($on{$w} && $index{$w} < $low{$v}) { $low{$v} = $index{$w} }
        }
        return if $low{$v} != $index{$v};
        my @part;
        do { push @part, pop @stack; delete $on{ $part[-1] } } until $part[-1] eq $v;
        push @found, join ', ', sort @part if @part > 1;
    };
    for my $v (sort keys %$to) { $visit->($v) unless defined $index{$v} }
    undef $visit;
    return @found;
}

# ---- sizes

sub long_files {
    my ($self, $most, %exception) = @_;
    return map {
        my $lines = ($self->{text}{$_} =~ tr/\n//);
        my $limit = $exception{$_} || $most;
        $lines > $limit ? "$_ has $lines lines; at most $limit" : ();
    } $self->files;
}

# [name, first line, lines] of each function: its body begins and ends with a brace in the first column.
sub functions {
    my ($self, $file) = @_;
    my @lines = ('', split /\n/, $self->{text}{$file});
    my (@found, $begin);
    for my $n (1 .. $#lines) {
        if ($lines[$n] =~ /\A\{\s*\z/) {
            $begin = $n;
            $begin-- while $begin > 1 && $lines[ $begin - 1 ] =~ /\S/ && $lines[ $begin - 1 ] !~ m{\*/\s*\z|[;\}]\s*\z|\A#};
        }
        elsif ($lines[$n] =~ /\A\}\s*\z/ && $begin) {
            my ($name) = join(' ', @lines[ $begin .. $n ]) =~ /(\w+)\s*\(/;
            push @found, [ $name, $begin, $n - $begin + 1 ];
            undef $begin;
        }
    }
    return @found;
}

sub long_functions {
    my ($self, $most) = @_;
    my (@faults, %known);
    for my $file ($self->files) {
        for my $function ($self->functions($file)) {
            my ($name, $line, $lines) = @$function;
            $known{$name} = 1;
            push @faults, "$file:$line: $name has $lines lines; at most $most" if $lines > $most;
        }
    }
    # what the compiler calls a function must be one for us too, or the rule would overlook it
    for my $unit ($self->units) {
        for my $symbol ($self->symbols($unit)) {
            my ($type, $name) = @$symbol;
            $name =~ s/\..*//;
            push @faults, "$unit: cannot find where $name begins and ends" if $type =~ /[Tt]/ && !$known{$name}
                && $name !~ /\A(?:_sub_[DI]|_GLOBAL_|asan)/;
        }
    }
    return @faults;
}

# ---- message ids

sub without_comments {
    my ($text) = @_;
    $text =~ s{("(?:[^"\\\n]|\\.)*")|(/\*.*?\*/|//[^\n]*)}{defined $1 ? $1 : ' ' . "\n" x ($2 =~ tr/\n//)}gse;
    return $text;
}

# id => ["file:line", ...] of all messages.
sub ids {
    my ($self) = @_;
    my %seen;
    for my $file ($self->files) {
        my $n = 0;
        for my $line (split /\n/, without_comments($self->{text}{$file})) {
            $n++;
            push @{ $seen{$1} }, "$file:$n" while $line =~ /"(ABL\d+)[":]/g;
        }
    }
    die "no message has an id\n" unless %seen;
    return \%seen;
}

sub message_ids {
    my ($self) = @_;
    my $seen = $self->ids;
    my @faults;
    for my $id (sort keys %$seen) {
        push @faults, "$id: is not ABL and four digits" if $id !~ /\AABL\d{4}\z/;
        push @faults, "$id is used by @{$seen->{$id}}" if @{ $seen->{$id} } > 1;
    }
    return @faults;
}

# What httpd's log calls its levels; an instance's output is logged as a warning.
my %level = (EMERG => 'emerg', CRIT => 'crit', ERR => 'error', ERROR => 'error', WARNING => 'warn', OUTPUT => 'warn', NOTICE => 'notice', INFO => 'info', DEBUG => 'debug');

# id => "error", "error, info", of those that are logged; what refuses a configuration is "configuration".
sub levels {
    my ($self) = @_;
    my %levels;
    for my $file ($self->files) {
        my $text = without_comments($self->{text}{$file});
        while ($text =~ /\b(?:ap_log_[a-z]*error|abl_say)\s*\((.*?)\);\n/gs) {
            my $call  = $1;
            my @words = map { $level{$_} || () } $call =~ /\b(?:APLOG|ABL_SAY)_(\w+)/g;
            my $level = join ', ', @words;
            $level = 'configuration' if $call =~ /\bAPLOG_STARTUP\b/ && $level ne 'warn';
            $levels{$_} = $level for $call =~ /"(ABL\d{4}): /g;
        }
    }
    die "no message is logged\n" unless %levels;
    return \%levels;
}

# Messages an administrator sees have an id; trace messages have none.
sub nameless_messages {
    my ($self) = @_;
    my ($seen, @faults) = (0);
    for my $file ($self->files) {
        my $text = without_comments($self->{text}{$file});
        while ($text =~ /\b(ap_log_[a-z]*error|abl_say)\s*\(([^;{]*);/g) {
            my ($call, $rest, $line) = ($1, $2, 1 + (substr($text, 0, $-[0]) =~ tr/\n//));
            $seen++;
            next if $rest =~ /\A\s*abl_say_t\b/ || $rest =~ /, "%s", text\)\z/;    # a declaration; what passes messages on
            my $trace = $rest =~ /\bAPLOG_TRACE\d/;
            my $id    = $rest =~ /"ABL\d{4}: /;
            push @faults, "$file:$line: this message has no id" if !$trace && !$id;
            push @faults, "$file:$line: a trace message has no id" if $trace && $id;
        }
    }
    die "no message found\n" unless $seen;
    return @faults;
}

1;
