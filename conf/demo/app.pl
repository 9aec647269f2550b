# The demo's application server, with nothing but Perl: one process, one request at a time, like the
# development server of a web framework. Not for anything else.
#   perl app.pl SOCKET      listens at this Unix socket
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep time);

my $count = 0;
my %page  = (
    '/'         => \&home,
    '/whoami'   => sub { return text("pid $$, its request number $count\n") },
    '/pid'      => sub { return text("$$\n") },
    '/form'     => \&form,
    '/slow'     => \&slow,
    '/redirect' => sub { my ($request) = @_; return (302, [ Location => "http://$request->{host}/whoami" ], "Found\n") },
    '/counter'  => \&counter,
);

my $path = shift or die "usage: $0 SOCKET\n";
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 128) or die "$path: $!\n";
$SIG{PIPE} = 'IGNORE';
while (1) {
    my $client  = $listener->accept or next;
    my $request = read_request($client);
    answer($client, $request) if $request;
    close $client;
}

# ---- HTTP, as much as is needed

sub read_request {
    my ($client) = @_;
    my ($in, $end) = ('', time + 10);
    more($client, \$in, $end) or return until $in =~ /\r\n\r\n/;
    my ($head, $body) = split /\r\n\r\n/, $in, 2;
    my ($line, @fields) = split /\r\n/, $head;
    my ($method, $path, $query) = $line =~ m{\A(\S+) ([^ ?]*)(?:\?(\S*))? HTTP/1\.[01]\z} or return;
    my %field = map { /\A([^:]+):\s*(.*?)\s*\z/ ? (lc $1 => $2) : () } @fields;
    while (length $body < ($field{'content-length'} || 0)) { more($client, \$body, $end) or return }
    return { method => $method, path => $path, query => pairs($query, '&'), field => \%field, body => $body, host => $field{host} || '' };
}

sub more {
    my ($client, $buffer, $end) = @_;
    return IO::Select->new($client)->can_read($end - time) && sysread $client, $$buffer, 65536, length $$buffer;
}

sub pairs {
    my ($text, $between) = @_;
    my %pairs;
    for my $pair (split /\Q$between\E\s*/, defined $text ? $text : '') {
        my ($name, $value) = map { tr/+/ /; s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split /=/, $pair, 2;
        $pairs{$name} = $value if defined $value;
    }
    return \%pairs;
}

sub answer {
    my ($client, $request) = @_;
    $count++;
    my $code = $page{ $request->{path} };
    my ($status, $fields, $body) = $code ? $code->($request) : (404, [], "No such page.\n");
    my %field = ('Content-Type' => 'text/plain; charset=utf-8', 'X-Member' => $$, @$fields);
    my $out = "HTTP/1.1 $status Demo\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n";
    $out .= "$_: $field{$_}\r\n" for sort keys %field;
    $out .= "\r\n" . ($request->{method} eq 'HEAD' ? '' : $body);
    while (length $out) { my $n = syswrite $client, $out or return; substr $out, 0, $n, '' }
    return;
}

# ---- pages

sub text { my ($body) = @_; return (200, [], $body) }

sub html {
    my ($body) = @_;
    return (200, [ 'Content-Type' => 'text/html; charset=utf-8' ],
        "<!DOCTYPE html>\n<title>mod_appbalance demo</title>\n<link rel=\"stylesheet\" href=\"/static/demo.css\">\n"
            . "<h1>mod_appbalance demo</h1>\n$body<p class=\"who\">answered by pid $$\n");
}

sub escaped {
    my ($text) = @_;
    my %as = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    return $text =~ s/([&<>"])/$as{$1}/gr;
}

sub home {
    return html(<<'END');
<ul>
<li><a href="/whoami">Who am I?</a> Ask again and again: the servers take turns.
<li><a href="/form">A form</a>
<li><a href="/slow?seconds=5">A slow page</a> keeps one of the servers busy for five seconds.
<li><a href="/redirect">A redirect</a>
<li><a href="/counter">A counter</a> in a cookie
<li><a href="/static/hello.txt">A file</a>, which httpd serves itself
</ul>
END
}

sub form {
    my ($request) = @_;
    my $name = pairs($request->{body}, '&')->{name};
    return html('<p>Hello, ' . escaped($name) . "!\n") if $request->{method} eq 'POST' && defined $name;
    return html("<form method=\"post\"><label>Your name <input name=\"name\"></label> <button>Send</button></form>\n");
}

sub slow {
    my ($request) = @_;
    my ($seconds) = ($request->{query}{seconds} || 5) =~ /\A(\d+(?:\.\d+)?)\z/;
    $seconds = 0  if !defined $seconds;
    $seconds = 30 if $seconds > 30;
    sleep $seconds;
    return text("$$ slept for $seconds s\n");
}

sub counter {
    my ($request) = @_;
    my ($visits) = (pairs($request->{field}{cookie}, ';')->{visits} || 0) =~ /\A(\d{1,9})\z/;
    $visits = ($visits || 0) + 1;
    return (200, [ 'Set-Cookie' => "visits=$visits; Path=/; HttpOnly" ], "visit $visits\n");
}
