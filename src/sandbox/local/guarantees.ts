/** What holds on this host, said in sentences, and the refusal of a host that holds less than was allowed. */
import { refuse } from '#lib/errors.ts'
import type { Guarantees } from '../sandbox.ts'
import type { Cgroups } from './cgroups.ts'
import type { Disks } from './disks.ts'

/** Guarantees that may be given up by name (FLOWFORGE_ALLOW_WEAKER); the others are what makes it a sandbox. */
export const WEAKENABLE = ['memoryLimit', 'processLimit', 'cpuLimit', 'diskLimit', 'inodeLimit'] as const
export type Weakenable = (typeof WEAKENABLE)[number]

const REMEDY =
  process.getuid?.() === 0
    ? 'make the cgroup tree writable (in a container: its own cgroup namespace, or --privileged)'
    : 'start FlowForge with `systemd-run --user --scope -p Delegate=yes …`, or as root'

const SENTENCES: Readonly<Record<Weakenable, string>> = {
  memoryLimit: `memoryLimit: a sandbox may use all memory of this host, because no memory cgroup is ours; ${REMEDY}.`,
  processLimit: `processLimit: only each command has a limit of processes, not the sandbox as a whole, because no pids cgroup is ours; ${REMEDY}.`,
  cpuLimit: `cpuLimit: a sandbox may use all processors, because no cpu cgroup is ours; ${REMEDY}.`,
  diskLimit:
    'diskLimit: disk use is looked at every few seconds only, because no file system can be mounted here; run as root, outside a container.',
  inodeLimit:
    'inodeLimit: the number of files is looked at every few seconds only; run as root, outside a container.',
}

export function bubblewrapGuarantees(
  cgroups: Pick<Cgroups, 'memory' | 'processes' | 'cpu'>,
  disks: Pick<Disks, 'kind'>,
): Guarantees {
  const holds = {
    memoryLimit: cgroups.memory,
    processLimit: cgroups.processes,
    cpuLimit: cgroups.cpu,
    diskLimit: disks.kind === 'image',
    inodeLimit: disks.kind === 'image',
  }
  return {
    technology: 'bubblewrap',
    isolatedFilesystem: true,
    noNetworkDevice: true,
    seccomp: true,
    ...holds,
    diskLimit: holds.diskLimit ? 'hard' : 'soft',
    ownUserPerSandbox: process.getuid?.() === 0,
    killsOrphans: true,
    missing: WEAKENABLE.filter((name) => !holds[name]).map((name) => SENTENCES[name]),
  }
}

export function weakerThanAllowed(guarantees: Guarantees, allowed: readonly string[]): readonly string[] {
  return guarantees.missing.filter((sentence) => !allowed.includes(sentence.slice(0, sentence.indexOf(':'))))
}

/** The names of the guarantees that do not hold here, as FLOWFORGE_ALLOW_WEAKER takes them. */
export function namesOfMissing(guarantees: Pick<Guarantees, 'missing'>): readonly string[] {
  return guarantees.missing.map((sentence) => sentence.slice(0, sentence.indexOf(':')))
}

/** Refuses a host that holds less than was allowed, and says by which setting one may accept it. */
export function refuseWeaker(guarantees: Guarantees, allowed: readonly string[]): void {
  const lacking = weakerThanAllowed(guarantees, allowed)
  if (lacking.length === 0) return
  const names = namesOfMissing({ missing: lacking }).join(',')
  throw refuse('sandbox_unavailable', {
    problem: `${lacking.join(' ')} To accept that, set FLOWFORGE_ALLOW_WEAKER=${names}.`,
  })
}
