/** Tries system calls from inside, by perl, which every Debian has: no compiler is needed. */
import { existsSync } from 'node:fs'
import { SYSCALL_NUMBERS } from '../seccomp/profile.ts'
import type { Sandbox } from '../sandbox.ts'

export type Probe = {
  readonly name: string
  readonly expected: 'allowed' | 'denied'
  /** `allowed`, or the error's name. */
  readonly answer: string
}

export function isPerlMissing(): boolean {
  return !existsSync('/usr/bin/perl')
}

type Call = readonly [name: string, call: string, ...args: (number | string)[]]

const NEWUSER = 0x10000000
const NEWNS = 0x20000
const SIGCHLD = 17
/** `BUFFER` is 256 writable bytes; strings are passed as they are. */
const DENIED: readonly Call[] = [
  ['mount', 'mount', 'tmpfs', '/tmp', 'tmpfs', 0, 0],
  ['umount', 'umount2', '/tmp', 0],
  ['pivot_root', 'pivot_root', '/tmp', '/tmp'],
  ['chroot', 'chroot', '/tmp'],
  ['unshare NEWUSER', 'unshare', NEWUSER],
  ['unshare NEWNS', 'unshare', NEWNS],
  ['clone NEWUSER', 'clone', NEWUSER | SIGCHLD, 0, 0, 0, 0],
  ['clone3 NEWUSER', 'clone3', 'BUFFER', 88],
  ['setns', 'setns', 0, 0],
  ['ptrace', 'ptrace', 0, 0, 0, 0],
  ['process_vm_readv', 'process_vm_readv', 1, 0, 0, 0, 0, 0],
  ['bpf', 'bpf', 0, 'BUFFER', 64],
  ['userfaultfd', 'userfaultfd', 1],
  ['keyctl', 'keyctl', 0, -3, 0],
  ['add_key', 'add_key', 'user', 'x', 'y', 1, -2],
  ['request_key', 'request_key', 'user', 'x', 0, 0],
  ['io_uring_setup', 'io_uring_setup', 4, 'BUFFER'],
  ['perf_event_open', 'perf_event_open', 'BUFFER', 0, -1, -1, 0],
  ['socket AF_PACKET', 'socket', 17, 3, 0],
  ['socket AF_VSOCK', 'socket', 40, 1, 0],
  ['socket AF_ALG', 'socket', 38, 5, 0],
  ['socket AF_NETLINK netfilter', 'socket', 16, 3, 12],
  ['socket raw ICMP', 'socket', 2, 3, 1],
  ['TIOCSTI', 'ioctl', 0, 0x5412, 'BUFFER'],
  ['TIOCSTI high bits', 'ioctl', 0, 0x1_0000_5412, 'BUFFER'],
  ['TIOCLINUX', 'ioctl', 0, 0x541c, 'BUFFER'],
  ['open_by_handle_at', 'open_by_handle_at', -1, 'BUFFER', 0],
  ['name_to_handle_at', 'name_to_handle_at', -100, '/tmp', 'BUFFER', 'BUFFER', 0],
  ['syslog', 'syslog', 10, 0, 0],
  ['quotactl', 'quotactl', 0, 0, 0, 0],
  ['kexec_load', 'kexec_load', 0, 0, 0, 0],
  ['init_module', 'init_module', 0, 0, ''],
  ['mknod device', 'mknodat', -100, '/tmp/device', 0o20666, 0x103],
  ['personality', 'personality', 0x40000],
  ['setuid root', 'setuid', 0],
  ['vmsplice', 'vmsplice', 0, 0, 0, 0],
  ['fsopen', 'fsopen', 'tmpfs', 0],
  ['open_tree', 'open_tree', -100, '/tmp', 1],
  ['move_mount', 'move_mount', -1, '', -100, '/tmp', 4],
  ['mount_setattr', 'mount_setattr', -100, '/', 0, 'BUFFER', 32],
  ['sethostname', 'sethostname', 'x', 1],
  ['reboot', 'reboot', 0, 0, 0, 0],
  ['swapon', 'swapon', '/tmp/x', 0],
  ['settimeofday', 'settimeofday', 'BUFFER', 0],
  ['pidfd_getfd', 'pidfd_getfd', 0, 0, 0],
  ['kcmp', 'kcmp', 1, 1, 0, 0, 0],
]
const ALLOWED: readonly Call[] = [
  ['socket AF_UNIX', 'socket', 1, 1, 0],
  ['socket AF_INET', 'socket', 2, 1, 0],
  ['socket AF_NETLINK route', 'socket', 16, 3, 0],
  ['memfd_create', 'memfd_create', 'x', 0],
  ['getpid', 'getpid'],
]

export async function probeCalls(sandbox: Sandbox): Promise<readonly Probe[]> {
  const numbers = SYSCALL_NUMBERS[process.arch === 'arm64' ? 'arm64' : 'x64']
  const lines = [...DENIED, ...ALLOWED].flatMap(([name, call, ...args]) => {
    const number = numbers[call]
    return number === undefined ? [] : [`try_call('${name}', ${[number, ...args.map(literal)].join(', ')});`]
  })
  const { stdout, stderr } = await sandbox.run({
    argv: ['/usr/bin/perl', '-e', `${PRELUDE}${lines.join('\n')}`],
  })
  const answers = new Map(
    stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split('\t') as [string, string]),
  )
  return [
    ...DENIED.map(([name]) => ({ name, expected: 'denied' as const })),
    ...ALLOWED.map(([name]) => ({ name, expected: 'allowed' as const })),
  ].map((probe) => ({ ...probe, answer: answers.get(probe.name) ?? `no answer: ${stderr.toString()}` }))
}

const PRELUDE = `
use Errno; use POSIX ();
my %names = map { Errno->can($_)->() => $_ } grep { Errno->can($_) } keys %!;
sub try_call {
  my ($name, @call) = @_; $! = 0;
  my $answer = syscall(shift(@call), @call);
  my $error = $! + 0;
  POSIX::_exit(0) if $name =~ /^clone/ && $answer == 0;
  printf "%s\\t%s\\n", $name, $answer < 0 ? ($names{$error} // $error) : 'allowed';
}
$| = 1;
`

/** Perl passes a string as a pointer only if it is writable, so each gets a variable of its own. */
function literal(arg: number | string): string {
  if (typeof arg === 'number') return String(arg)
  return arg === 'BUFFER' ? '(my $b = "\\0" x 256)' : `(my $s = "${arg}\\0")`
}
