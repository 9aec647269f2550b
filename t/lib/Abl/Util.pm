# Small helpers every part of the harness needs: files, free ports, bounded waiting.
# SPDX-License-Identifier: Apache-2.0
package Abl::Util;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use MIME::Base64 ();
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(slurp spew free_port accepts wait_until stays patience tool b64url pattern);

# Every bound is multiplied by this; sanitizers and slow machines need more time, never other assertions.
sub patience { return $ENV{ABL_PATIENCE} || ($ENV{ABL_PRELOAD} ? 4 : 1) }

sub slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!\n";
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}

sub spew {
    my ($path, $bytes) = @_;
    open my $out, '>:raw', $path or die "$path: $!\n";
    print {$out} $bytes or die "$path: $!\n";
    close $out or die "$path: $!\n";
    return $path;
}

# Below the range the kernel takes ports for outgoing connections from, so that no client grabs it between
# our look and the server's bind. A server that still loses the race is started again on another one.
my %given;

sub free_port {
    for (1 .. 200) {
        my $port = 10_000 + int rand 20_000;
        next if $given{$port};
        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1)
            or next;
        close $probe;
        $given{$port} = 1;
        return $port;
    }
    die "no free port found\n";
}

sub accepts {
    my ($port, $host) = @_;
    my $probe = IO::Socket::INET->new(PeerAddr => $host || '127.0.0.1', PeerPort => $port, Timeout => 1) or return 0;
    close $probe;
    return 1;
}

# Asks again and again, at most `seconds` long. Returns what the code returned, false when time ran out.
sub wait_until(&;$) {
    my ($code, $seconds) = @_;
    my $end = time + ($seconds || 10) * patience();
    my $nap = 0.002;
    while (1) {
        my $got = $code->();
        return $got if $got;
        return $got if time > $end;
        sleep $nap;
        $nap *= 1.5 if $nap < 0.05;
    }
}

# For what must not happen: true when the code was true at every look for so many seconds.
sub stays(&;$) {
    my ($code, $seconds) = @_;
    my $end = time + ($seconds || 0.3);
    while (1) {
        my $got = $code->();
        return $got if !$got || time > $end;
        sleep 0.01;
    }
}

# The full path of a program, or undef.
sub tool {
    my ($name) = @_;
    for my $dir (split /:/, $ENV{PATH} || '') {
        return "$dir/$name" if -f "$dir/$name" && -x _;
    }
    return undef;
}

sub b64url {
    my ($bytes) = @_;
    my $text = MIME::Base64::encode_base64($bytes, '');
    $text =~ tr{+/}{-_};
    $text =~ s/=+\z//;
    return $text;
}

# `length` bytes that are the same each time, and not the same at every offset.
sub pattern {
    my ($length) = @_;
    my $block = join '', map { sprintf "%07x\n", $_ * 8 } 0 .. 8191;
    return substr $block x (int($length / length($block)) + 1), 0, $length;
}

1;
