# Runs inside the sandbox before the command: opens the relay's ports and waits. Only when somebody comes does it become
# the relay, so a command that needs no network costs 8 ms and no node. The parent returns as soon as the ports are open.
#
#   perl listen.pl NODE RELAY
use strict;
use warnings;
use Socket;

my @relay = @ARGV;
# Descriptors up to this number stay open when this process becomes the relay.
$^F = 100;

sub open_port {
    my ($kind, $address, $port) = @_;
    socket my $socket, AF_INET, $kind, 0 or return;
    setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1;
    bind $socket, sockaddr_in($port, inet_aton($address)) or return;
    $kind == SOCK_DGRAM or listen $socket, 511 or return;
    return $socket;
}

# Ports below 1024 are there only where the launcher could open them.
my %sockets = (
    proxy => scalar open_port(SOCK_STREAM, '127.0.0.1', 3128),
    tls   => scalar open_port(SOCK_STREAM, '0.0.0.0',   443),
    http  => scalar open_port(SOCK_STREAM, '0.0.0.0',   80),
    names => scalar open_port(SOCK_DGRAM,  '127.0.0.1', 53),
);
my @open = grep { defined $sockets{$_} } sort keys %sockets;
exit 0 if fork // die "fork: $!";

setpgrp 0, 0;
open STDIN,  '<', '/dev/null';
open STDOUT, '>', '/dev/null';
open STDERR, '>', '/dev/null';
my $wanted = '';
vec($wanted, fileno $sockets{$_}, 1) = 1 for @open;
1 while select(my $found = $wanted, undef, undef, undef) <= 0;
exec { $relay[0] } @relay, map { "$_=" . fileno $sockets{$_} } @open;
