# Runs in a new network namespace, as its owner, before bubblewrap does: brings the loopback device up and lets every
# user in it listen below port 1024, so that the relay can answer names (53) and take connections (80, 443).
#
#   perl low-ports.pl HOST-NETWORK-NAMESPACE PROGRAM ARGUMENTS…
use strict;
use warnings;
use Socket;

my ($host_network, @program) = @ARGV;
# bubblewrap will make no network namespace of its own after this, so being wrong here would open the host's network.
my $own = readlink '/proc/self/ns/net' or die "network namespace: $!";
die 'this is the network of the host' if $own eq $host_network;

my ($SIOCSIFFLAGS, $UP_LOOPBACK_RUNNING) = (0x8914, 0x49);
socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
ioctl $socket, $SIOCSIFFLAGS, pack('a16 s x22', 'lo', $UP_LOOPBACK_RUNNING) or die "lo: $!";
# Where /proc/sys is read-only, only programs that know proxies reach the gate.
if (open my $file, '>', '/proc/sys/net/ipv4/ip_unprivileged_port_start') { syswrite $file, "0\n" }
exec { $program[0] } @program or die "exec $program[0]: $!";
