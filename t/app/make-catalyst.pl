# Generates a real Catalyst application with Catalyst's own helper and gives it the pages of the tests.
#   perl make-catalyst.pl FOLDER [NAME]      creates FOLDER/NAME and prints its path; NAME: Seed
# SPDX-License-Identifier: Apache-2.0
use strict;
use warnings;
use Catalyst::Helper;
use Cwd ();

my $folder = shift or die "usage: $0 FOLDER [NAME]\n";
my $name   = shift || 'Seed';
chdir $folder or die "$folder: $!\n";
{
    open my $keep, '>&', \*STDOUT or die "dup: $!\n";    # the helper lists what it creates
    open STDOUT, '>', '/dev/null' or die "/dev/null: $!\n";
    my $helper = Catalyst::Helper->new({ '.newfiles' => 1, makefile => 0, scripts => 0, name => $name });
    $helper->mk_app($name) or die "Catalyst::Helper made no application\n";
    open STDOUT, '>&', $keep or die "dup: $!\n";
}
my $app = Cwd::abs_path($name);

# as its author would before going live
edit("$app/lib/$name.pm", sub { s/^\s*-Debug\n//m });
controller(Pages => <<'END');
# these pages write their answers themselves: there is no view to hand over to
sub end :Private { }

sub hello :Path('/hello') { my ($self, $c) = @_; $c->res->body("hello from $$\n") }

sub page :Path('/page') {
    my ($self, $c, @args) = @_;
    $c->res->content_type('text/html');
    $c->res->body('<p>page ' . join('/', @args) . ' q=' . ($c->req->params->{q} // '') . "\n");
}

sub form :Path('/form') {
    my ($self, $c) = @_;
    my $form = $c->req->body_parameters;
    $c->res->content_type('text/plain');
    $c->res->body(join '', $c->req->method, "\n", map {"$_=$form->{$_}\n"} sort keys %$form);
}

sub upload :Path('/upload') {
    my ($self, $c) = @_;
    my $upload = $c->req->upload('file');
    $c->res->content_type('text/plain');
    $c->res->body(join "\n", $upload->filename, $upload->size, sha1_hex($upload->slurp), '');
}

sub redirect :Path('/redirect') {
    my ($self, $c) = @_;
    $c->res->redirect($c->uri_for('/hello', { from => 'redirect' }));
}

# a session in the plainest form: a counter in a cookie
sub visits :Path('/visits') {
    my ($self, $c) = @_;
    my $cookie = $c->req->cookie('visits');
    my $n = ($cookie ? $cookie->value : 0) + 1;
    $c->res->cookies->{visits} = { value => $n, path => '/', httponly => 1 };
    $c->res->cookies->{name}   = { value => 'seed' };
    $c->res->body("visit $n\n");
}

sub where :Path('/where') {
    my ($self, $c) = @_;
    $c->res->content_type('text/plain');
    $c->res->body(join "\n", $c->req->base, $c->req->address, $c->req->uri, '');
}

sub failing :Path('/failing') { die "on purpose\n" }

sub streaming :Path('/streaming') {
    my ($self, $c) = @_;
    $c->res->content_type('text/plain');
    $c->res->write("line $_\n") for 1 .. 100;
}
END
print "$app\n";

sub edit {
    my ($path, $code) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $_ = do { local $/; <$in> };
    $code->() or die "$path is not what was expected\n";
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $_;
    close $out or die "$path: $!\n";
    return;
}

sub controller {
    my ($controller, $actions) = @_;
    my $path = "$app/lib/$name/Controller/$controller.pm";
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} "package ${name}::Controller::$controller;\nuse Moose;\nuse Digest::SHA qw(sha1_hex);\n"
        . "BEGIN { extends 'Catalyst::Controller' }\n\n$actions\n1;\n";
    close $out or die "$path: $!\n";
    return;
}
