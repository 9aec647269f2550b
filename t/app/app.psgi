# The PSGI application of the tests: pages, forms, uploads, redirects, cookies, errors, streams.
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use Digest::SHA qw(sha1_hex);
use Plack::Request;

my $block = join '', map { sprintf "%07x\n", $_ * 8 } 0 .. 8191;

my %page = (
    '/'      => sub { text(200, "hello from $$\n") },
    '/hello' => sub { text(200, "hello from $$\n") },
    '/form'  => sub {
        my ($req) = @_;
        my $form = $req->body_parameters;
        return text(200, join '', map {"$_=$form->{$_}\n"} sort keys %$form);
    },
    '/upload' => sub {
        my ($req) = @_;
        my $upload = $req->upload('file') or return text(400, "no file\n");
        open my $in, '<:raw', $upload->path or return text(500, "$!\n");
        my $digest = Digest::SHA->new(1)->addfile($in)->hexdigest;
        return text(200, join("\n", $upload->filename, $upload->size, $digest) . "\n");
    },
    '/body' => sub {
        my ($req) = @_;
        return text(200, join("\n", $req->method, length $req->content, sha1_hex($req->content)) . "\n");
    },
    '/where'    => sub { my ($req) = @_; return text(200, join("\n", $req->base, $req->address, $req->uri) . "\n") },
    '/redirect' => sub { my ($req) = @_; return [ 302, [ Location => $req->base . 'hello' ], [] ] },
    '/cookie'   => sub {
        my ($req) = @_;
        my $count = ($req->cookies->{count} || 0) + 1;
        my $r = text(200, "visit $count\n");
        push @{ $r->[1] }, 'Set-Cookie' => "count=$count; path=/", 'Set-Cookie' => 'other=1; HttpOnly';
        return $r;
    },
    '/error'  => sub { text(500, "it failed\n") },
    '/none'   => sub { [ 204, [], [] ] },
    '/stream' => sub {
        return sub {
            my ($respond) = @_;
            my $writer = $respond->([ 200, [ 'Content-Type' => 'text/plain' ] ]);
            $writer->write("part $_\n") for 1 .. 5;
            $writer->close;
        };
    },
);

sub text { my ($status, $body) = @_; return [ $status, [ 'Content-Type' => 'text/plain', 'Content-Length' => length $body ], [$body] ] }

sub {
    my ($env) = @_;
    my $req = Plack::Request->new($env);
    if ($req->path =~ m{\A/download/(\d+)\z}) {
        my $n = $1;
        my @body = ($block) x int($n / length $block);
        push @body, substr $block, 0, $n % length $block;
        return [ 200, [ 'Content-Type' => 'application/octet-stream', 'Content-Length' => $n ], \@body ];
    }
    my $code = $page{ $req->path } or return text(404, "no such page\n");
    return $code->($req);
};
