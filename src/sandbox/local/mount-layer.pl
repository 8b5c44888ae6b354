# Mounts a layer copy-on-write, as root, in one process: first its parts with their owner shown as the sandbox's user
# (idmapped mounts, Linux 5.12), then overlays on top of them (Linux 5.19). Node cannot make system calls, and perl is
# on every Debian.
#
#   perl mount-layer.pl UNSHARE MOUNT FROM-UID TO-UID { SOURCE LOWER OPTIONS TARGET }…
use strict;
use warnings;

my ($unshare, $mount, $from, $to, @parts) = @ARGV;
my ($OPEN_TREE, $MOVE_MOUNT, $MOUNT_SETATTR) = (428, 429, 442);
my ($AT_FDCWD, $AT_EMPTY_PATH) = (-100, 0x1000);
my ($CLONE_NEWUSER, $OPEN_TREE_CLONE, $MOVE_MOUNT_F_EMPTY_PATH) = (0x10000000, 1, 4);
my ($RDONLY, $NOSUID, $NODEV, $IDMAP) = (1, 2, 4, 0x100000);

# A user namespace whose map says who is shown as whom. It lives as long as this process.
pipe(my $ready_reader, my $ready) or die "pipe: $!";
pipe(my $hold, my $hold_writer) or die "pipe: $!";
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    close $hold_writer;
    syscall($unshare + 0, $CLONE_NEWUSER) == 0 or exit 1;
    syswrite $ready, 'x';
    sysread $hold, my $nothing, 1;
    exit 0;
}
close $ready;
(sysread($ready_reader, my $byte, 1) // 0) == 1 or die 'no user namespace';
for my $map ('uid_map', 'gid_map') {
    open my $file, '>', "/proc/$pid/$map" or die "$map: $!";
    (syswrite($file, "$from $to 1\n") // 0) > 0 or die "$map: $!";
}
open my $namespace, '<', "/proc/$pid/ns/user" or die "user namespace: $!";

while (my ($source, $lower, $options, $target) = splice @parts, 0, 4) {
    my ($empty, $from_path, $to_path) = ("\0", "$source\0", "$lower\0");
    my $tree = syscall($OPEN_TREE, $AT_FDCWD, $from_path, $OPEN_TREE_CLONE);
    die "open_tree: $!" if $tree < 0;
    my $attributes = pack 'QQQQ', $IDMAP | $RDONLY | $NOSUID | $NODEV, 0, 0, fileno $namespace;
    syscall($MOUNT_SETATTR, $tree, $empty, $AT_EMPTY_PATH, $attributes, 32) == 0 or die "mount_setattr: $!";
    syscall($MOVE_MOUNT, $tree, $empty, $AT_FDCWD, $to_path, $MOVE_MOUNT_F_EMPTY_PATH) == 0 or die "move_mount: $!";
    my ($overlay, $where, $how) = ("overlay\0", "$target\0", "$options\0");
    syscall($mount + 0, $overlay, $where, $overlay, $NOSUID | $NODEV, $how) == 0 or die "overlay: $!";
}
close $hold_writer;
waitpid $pid, 0;
