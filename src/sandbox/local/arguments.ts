/** Renders what a guest sees to bubblewrap's options: a pure function, so that its output can be read in a test. */

export type GuestView = {
  /** /bin, /lib and so on: links into /usr on most hosts, directories on some. */
  readonly hostRoots: readonly HostRoot[]
  /** Files and directories of the host's /etc that hold no secret; those that are absent are left out. */
  readonly hostEtc: readonly string[]
  /** Our own files: guest path to host path. They may lie over files of the host. */
  readonly ownFiles: Readonly<Record<string, string>>
  readonly programs: string
  readonly sockets: string
  readonly workspace: string
  readonly state: string
  readonly cache: string
  readonly inbox: string
  readonly outbox: string
  readonly toolchains: readonly string[]
  /** Shown writable at /exchange/layer while a layer is saved. */
  readonly layer?: string
  readonly environment: Readonly<Record<string, string>>
  readonly cwd: string
  readonly memoryBytes: number
  /** The launcher has made the network namespace already (see network.ts); by default bubblewrap makes it. */
  readonly networkIsMade?: boolean
}

export type HostRoot = { readonly path: string; readonly link?: string }

/** The numbers of the descriptors that bubblewrap is given. */
export const SECCOMP_FD = 3
export const OPTIONS_FD = 4
export const STATUS_FD = 5

const MIB = 1024 ** 2

export function bubblewrapArguments(view: GuestView): readonly string[] {
  return [
    ...NAMESPACES,
    ...(view.networkIsMade ? [] : ['--unshare-net']),
    // Without it a bubblewrap that is root in its own user namespace leaves the bounding set full.
    ...['--cap-drop', 'ALL'],
    ...['--die-with-parent', '--new-session', '--hostname', 'sandbox', '--clearenv'],
    ...['--ro-bind', '/usr', '/usr'],
    ...view.hostRoots.flatMap(({ path, link }) =>
      link === undefined ? ['--ro-bind', path, path] : ['--symlink', link, path],
    ),
    ...['--perms', '0755', '--dir', '/etc'],
    ...view.hostEtc.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--size', String(64 * MIB), '--perms', '1777', '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    // Memory file systems are charged to the sandbox's memory; without a cgroup this is their only limit.
    ...['--size', String(memoryShare(view, 4)), '--perms', '1777', '--tmpfs', '/tmp'],
    ...['--perms', '0755', '--dir', '/home'],
    ...['--size', String(memoryShare(view, 8)), '--perms', '0700', '--tmpfs', '/home/agent'],
    ...['--perms', '0755', '--dir', '/opt', '--ro-bind', view.programs, '/opt/ff'],
    // The directory, not the sockets: a socket bound by itself could not be replaced.
    ...['--perms', '0755', '--dir', '/run', '--ro-bind', view.sockets, '/run/ff'],
    ...[
      '--bind',
      view.workspace,
      '/workspace',
      '--bind',
      view.state,
      '/state',
      '--bind',
      view.cache,
      '/cache',
    ],
    ...['--perms', '0755', '--dir', '/exchange'],
    ...['--ro-bind', view.inbox, '/exchange/in', '--bind', view.outbox, '/exchange/out'],
    ...Object.entries(view.ownFiles).flatMap(([guest, host]) => ['--ro-bind', host, guest]),
    ...(view.layer === undefined ? [] : ['--bind', view.layer, '/exchange/layer']),
    ...view.toolchains.flatMap((path) => ['--ro-bind', path, path]),
    ...['--chdir', view.cwd, '--remount-ro', '/'],
    ...['--seccomp', String(SECCOMP_FD), '--json-status-fd', String(STATUS_FD)],
    ...Object.entries(view.environment).flatMap(([name, value]) => ['--setenv', name, value]),
  ]
}

/** No --as-pid-1: bubblewrap's own init reaps orphans, and signals reach the program as it expects. */
const NAMESPACES = [
  ...['--unshare-user', '--uid', '1000', '--gid', '1000', '--unshare-ipc', '--unshare-pid'],
  ...['--unshare-uts', '--unshare-cgroup-try', '--disable-userns'],
]

function memoryShare({ memoryBytes }: GuestView, part: number): number {
  return Math.max(16 * MIB, Math.floor(memoryBytes / part))
}

/** The options travel through a descriptor: the argument list of bubblewrap is readable inside, as /proc/1/cmdline. */
export function encodeArguments(options: readonly string[]): Buffer {
  for (const option of options)
    if (option.includes('\0')) throw new Error('an option of the sandbox holds a NUL byte')
  return Buffer.from(options.map((option) => `${option}\0`).join(''))
}
