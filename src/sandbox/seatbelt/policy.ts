/**
 * What a guest may do under Seatbelt, in the words of @anthropic-ai/sandbox-runtime. Everything is denied first: reading
 * any file, writing any file, every connection. Then what a guest needs is opened, by real paths: Seatbelt looks at the
 * path after all links (/tmp is /private/tmp, /etc is /private/etc), so a path with a link in it would open nothing.
 *
 * On Linux the same policy renders to bubblewrap; that is how its parts are tested where there is no Mac.
 */
import { existsSync, globSync, realpathSync } from 'node:fs'
import type { SandboxRuntimeConfig } from '@anthropic-ai/sandbox-runtime'

export type SeatbeltPolicy = {
  readonly platform: 'darwin' | 'linux'
  /** Directories and files that the guest may read, besides the system's. Real paths. */
  readonly reads: readonly string[]
  /** Directories that the guest may also write to. Real paths. */
  readonly writes: readonly string[]
  /** The directory of the sandbox's unix sockets: the only ones that may be connected to. */
  readonly sockets: string
  /** The only port that may be connected to, at 127.0.0.1. */
  readonly port: number
}

/** Programs of Homebrew, on Apple silicon and on Intel. Not its `etc` and `var`: databases lie there. */
const HOMEBREW = ['/opt/homebrew', '/usr/local'].flatMap((root) =>
  ['bin', 'sbin', 'lib', 'libexec', 'opt', 'share', 'include', 'Cellar', 'Frameworks'].map(
    (name) => `${root}/${name}`,
  ),
)
const CERTIFICATES = ['/opt/homebrew', '/usr/local'].flatMap((root) => [
  `${root}/etc/openssl@3`,
  `${root}/etc/ca-certificates`,
])

/**
 * Not /System as a whole: /System/Volumes/Data is every home once more, by another name. Not /private/var: temporary
 * folders and databases of all users. git and clang of Apple are small programs that look for the developer tools.
 */
const MAC = [
  ...['/bin', '/sbin', '/usr/bin', '/usr/lib', '/usr/libexec', '/usr/sbin', '/usr/share', '/dev'],
  ...['/System/Library', '/System/Cryptexes', '/System/iOSSupport', '/System/Volumes/Preboot/Cryptexes'],
  ...['/Library/Apple', '/Library/Developer/CommandLineTools', '/Library/Frameworks', '/Library/Java'],
  ...['/Applications/Xcode.app/Contents', '/private/var/db/xcode_select_link', '/private/var/select'],
  ...['/private/var/db/dyld', '/private/var/db/timezone', '/private/etc/localtime', '/private/etc/ssl'],
  ...['passwd', 'group', 'hosts', 'services', 'protocols', 'paths', 'paths.d', 'shells'].map(
    (name) => `/private/etc/${name}`,
  ),
  ...HOMEBREW,
  ...CERTIFICATES,
] as const

const LINUX = [
  ...[
    '/usr',
    '/bin',
    '/sbin',
    '/lib',
    '/lib32',
    '/lib64',
    '/etc/ssl',
    '/etc/alternatives',
    '/etc/ld.so.cache',
  ],
  ...[
    '/etc/ld.so.conf',
    '/etc/ld.so.conf.d',
    '/etc/passwd',
    '/etc/group',
    '/etc/nsswitch.conf',
    '/etc/localtime',
  ],
] as const

export function seatbeltConfig(
  policy: SeatbeltPolicy,
  exists: (path: string) => boolean = existsSync,
): SandboxRuntimeConfig {
  const { platform, reads, writes, sockets, port } = policy
  const mac = platform === 'darwin'
  const system = (mac ? MAC : LINUX).filter(exists)
  return {
    network: {
      allowedDomains: [],
      deniedDomains: [],
      strictAllowlist: true,
      // Our own gate instead of the library's two proxies; with both named it starts none.
      httpProxyPort: port,
      socksProxyPort: port,
      // A guest that may listen may also connect to every port of this host: the API, databases, other gates.
      allowLocalBinding: false,
      allowUnixSockets: [sockets],
      // Linux cannot tell sockets by path; the library then leaves out its seccomp filter, too.
      allowAllUnixSockets: !mac,
    },
    filesystem: {
      denyRead: ['/'],
      allowRead: [...system, sockets, ...reads, ...writes],
      allowWrite: [...writes],
      // The library opens these to all its sandboxes at once: nothing shall pass from one to another.
      denyWrite: mac ? ['/tmp/claude', '/private/tmp/claude'] : [],
      allowGitConfig: true,
    },
  }
}

/** Programs of this library and of the paths' rules read these as patterns or as more than one word. */
export function isPlainPath(path: string): boolean {
  return /^\/[\w./@+~-]*$/u.test(path)
}

/** Real paths of what exists; patterns are looked up. */
export function realPaths(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => globSync(path)).map((path) => realpathSync(path))
}
