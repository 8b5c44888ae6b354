/** What Seatbelt holds and what it does not. */
import type { Guarantees } from '../sandbox.ts'

const ELSEWHERE = 'run FlowForge on Linux, in a virtual machine for example'

const MISSING = [
  `memoryLimit: a sandbox may use all memory of this Mac, because macOS limits no group of processes; ${ELSEWHERE}.`,
  `processLimit: a sandbox may start as many processes as its user may, because macOS counts them for the user as a whole; ${ELSEWHERE}.`,
  `cpuLimit: a sandbox may use all processors, because macOS has no quota for them; ${ELSEWHERE}.`,
  `diskLimit: disk use is looked at every few seconds only, because a sandbox has no file system of its own; ${ELSEWHERE}.`,
  `inodeLimit: the number of files is looked at every few seconds only; ${ELSEWHERE}.`,
  `seccomp: system calls are not filtered; Seatbelt refuses by what a call would do (files, connections, services); ${ELSEWHERE}.`,
] as const
const ORPHANS = `killsOrphans: a process that hides from its group, its parents and its environment may outlive its command; it stays inside Seatbelt, without its files and gates; ${ELSEWHERE}.`

/** On Linux, where its parts are tested, the library gives each command a PID namespace. */
export function seatbeltGuarantees(platform: 'darwin' | 'linux'): Guarantees {
  const killsOrphans = platform === 'linux'
  return {
    technology: 'seatbelt',
    isolatedFilesystem: true,
    // A Mac's devices can be listed, and no connection is answered but that to the sandbox's own gates.
    noNetworkDevice: true,
    seccomp: false,
    memoryLimit: false,
    processLimit: false,
    cpuLimit: false,
    diskLimit: 'soft',
    inodeLimit: false,
    ownUserPerSandbox: false,
    killsOrphans,
    missing: killsOrphans ? MISSING : [...MISSING, ORPHANS],
  }
}
