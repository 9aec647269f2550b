# A session with balancer-manager: what a script does that sees and steers.
#
#   my $manager = Abl::Manager->new($s);                  at /m, as conf() configures it
#   $manager->act('drain', member => $m[0]->url, reason => 'disk change');       ($status, { done => … })
#   $manager->member($m[0])->{state}
# SPDX-License-Identifier: Apache-2.0
package Abl::Manager;
use strict;
use warnings;
use HTTP::Tiny ();
use JSON::PP ();

# Lines for a configuration: only this machine gets in.
sub conf {
    my ($class, @more) = @_;
    return join "\n", '<Location /m>', 'SetHandler balancer-manager', 'Require local', @more, '</Location>', '';
}

sub new {
    my ($class, $server, %o) = @_;
    return bless { server => $server, path => '/m', headers => {}, http => HTTP::Tiny->new(timeout => 20), balancer => 'app', %o }, $class;
}

# The JSON form; begins the session, or goes on with it.
sub json {
    my ($self) = @_;
    my $r = $self->{http}->get($self->{server}->url($self->{path} . '?as=json'), { headers => $self->_headers });
    die "no JSON: $r->{status} $r->{content}\n" unless $r->{success};
    my ($cookie) = ($r->{headers}{'set-cookie'} // '') =~ /\A(balancer-session=\w+)/;
    $self->{cookie} = $cookie if $cookie;
    my $got = JSON::PP::decode_json($r->{content});
    $self->{token} = $got->{steering} && $got->{steering}{token};
    return $got;
}

sub _headers { my ($self) = @_; return { %{ $self->{headers} }, $self->{cookie} ? (Cookie => $self->{cookie}) : () } }

# POSTs these bytes; headers => more of them, undef takes one away. Returns the status and what the answer says, decoded.
sub post {
    my ($self, $body, %headers) = @_;
    $self->json unless $self->{token};
    my %all = (%{ $self->_headers }, 'Content-Type' => 'application/json', 'X-Balancer-Token' => $self->{token} // '', %headers);
    delete @all{ grep { !defined $all{$_} } keys %all };
    my $r = $self->{http}->post($self->{server}->url($self->{path}), { headers => \%all, content => $body });
    my $got = eval { JSON::PP::decode_json($r->{content}) };
    return ($r->{status}, $got || { raw => $r->{content} });
}

sub act {
    my ($self, $action, %o) = @_;
    return $self->post(JSON::PP::encode_json({ action => $action, balancer => $self->{balancer}, %o }));
}

sub balancer { my ($self) = @_; my ($b) = grep { $_->{name} eq $self->{balancer} } @{ $self->json->{balancers} }; return $b }

# By its address, or the object that has it.
sub member {
    my ($self, $member) = @_;
    my $url = ref $member ? $member->url : $member;
    my ($m) = grep { $_->{address} =~ m{\A\Q$url\E/?\z} } @{ $self->balancer->{members} };
    return $m;
}

1;
