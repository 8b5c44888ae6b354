/**
 * Limits of memory, processes and CPU by cgroup, version 1 or 2, and the certain end of everything in it.
 *
 * A sandbox has one group, named by its id, below one group "flowforge" in each hierarchy.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import type { SandboxLimits } from '../sandbox.ts'

export type Cgroups = {
  readonly version: 'v1' | 'v2' | 'none'
  readonly memory: boolean
  readonly processes: boolean
  readonly cpu: boolean
  create(id: string, limits: SandboxLimits): Cgroup
  /** The group of a sandbox that somebody else created. */
  find(id: string): Cgroup
}

export type Cgroup = {
  add(pid: number): Promise<void>
  /** How many processes the kernel has ended for want of memory. */
  oomKills(): number
  /** Ends every process in the group, and waits until they are gone. */
  kill(): Promise<void>
  remove(): Promise<void>
}

export type Hierarchies =
  | { readonly version: 'none' }
  | { readonly version: 'v1'; readonly roots: Readonly<Partial<Record<'memory' | 'pids' | 'cpu', string>>> }
  | { readonly version: 'v2'; readonly root: string; readonly controllers: readonly string[] }

const CONTROLLERS = ['memory', 'pids', 'cpu'] as const
const CPU_PERIOD_US = 100_000
const GONE_WITHIN_MS = 5000

/** Looks for hierarchies that this process may write to. */
export function findHierarchies(
  mountinfo: string = readFileSync('/proc/self/mountinfo', 'utf8'),
): Hierarchies {
  const mounts = mountinfo.split('\n').map((line) => {
    const [left = '', right = ''] = line.split(' - ')
    const [type = '', , options = ''] = right.split(' ')
    return { path: left.split(' ')[4] ?? '', type, options: options.split(',') }
  })
  const v1 = CONTROLLERS.flatMap((controller) => {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller))
    return mount && isWritable(mount.path) ? [[controller, mount.path] as const] : []
  })
  if (v1.length > 0) return { version: 'v1', roots: Object.fromEntries(v1) }
  const v2 = mounts.find(({ type }) => type === 'cgroup2')
  return v2 ? delegatedTree(v2.path) : { version: 'none' }
}

export function createCgroups(hierarchies: Hierarchies): Cgroups {
  const has = (controller: (typeof CONTROLLERS)[number]): boolean =>
    hierarchies.version === 'v1'
      ? hierarchies.roots[controller] !== undefined
      : hierarchies.version === 'v2' && hierarchies.controllers.includes(controller)
  const directories = (id: string): Directories => {
    if (hierarchies.version === 'none') return {}
    if (hierarchies.version === 'v2') {
      const one = join(hierarchies.root, id)
      return Object.fromEntries(hierarchies.controllers.map((controller) => [controller, one]))
    }
    return Object.fromEntries(
      Object.entries(hierarchies.roots).map(([controller, root]) => [
        controller,
        join(root, 'flowforge', id),
      ]),
    )
  }
  return {
    version: hierarchies.version,
    memory: has('memory'),
    processes: has('pids'),
    cpu: has('cpu'),
    find: (id) => groupIn(directories(id)),
    create: (id, limits) => {
      const group = directories(id)
      for (const directory of new Set(Object.values(group))) mkdirSync(directory, { recursive: true })
      if (hierarchies.version === 'v1') limitV1(group, limits)
      if (hierarchies.version === 'v2') limitV2(group, limits)
      return groupIn(group)
    },
  }
}

type Directories = { readonly [K in (typeof CONTROLLERS)[number]]?: string }

function limitV1({ memory, pids, cpu }: Directories, limits: SandboxLimits): void {
  if (memory) {
    write(memory, 'memory.limit_in_bytes', limits.memoryBytes)
    // Memory and swap together; absent where swap is not accounted.
    if (existsSync(join(memory, 'memory.memsw.limit_in_bytes')))
      write(memory, 'memory.memsw.limit_in_bytes', limits.memoryBytes)
  }
  if (pids) write(pids, 'pids.max', limits.processes)
  if (cpu) write(cpu, 'cpu.cfs_quota_us', Math.round(limits.cpus * CPU_PERIOD_US))
}

function limitV2({ memory, pids, cpu }: Directories, limits: SandboxLimits): void {
  if (memory) {
    write(memory, 'memory.max', limits.memoryBytes)
    if (existsSync(join(memory, 'memory.swap.max'))) write(memory, 'memory.swap.max', 0)
  }
  if (pids) write(pids, 'pids.max', limits.processes)
  if (cpu) write(cpu, 'cpu.max', `${Math.round(limits.cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`)
}

function groupIn(group: Directories): Cgroup {
  const directories = [...new Set(Object.values(group))]
  const members = (): readonly number[] => directories.flatMap(processesIn)
  return {
    // A move waits for the kernel's next RCU grace period, about 5 ms: all at once, and not in our thread.
    add: async (pid) => {
      await Promise.all(
        directories.map((directory) => writeFile(join(directory, 'cgroup.procs'), String(pid))),
      )
    },
    oomKills: () => (group.memory ? countOomKills(group.memory) : 0),
    kill: async () => {
      for (let waited = 0; ; waited += 5) {
        const alive = members()
        if (alive.length === 0) return
        if (waited > GONE_WITHIN_MS) throw new Error(`processes ${alive.join(', ')} do not end after SIGKILL`)
        const killers = directories.map((directory) => join(directory, 'cgroup.kill')).filter(existsSync)
        for (const killer of killers) writeFileSync(killer, '1')
        if (killers.length === 0) for (const pid of alive) sendKill(pid)
        await sleep(5)
      }
    },
    remove: async () => {
      for (const directory of directories) await removeGroup(directory)
    },
  }
}

function processesIn(directory: string): readonly number[] {
  try {
    const text = readFileSync(join(directory, 'cgroup.procs'), 'utf8')
    return text.split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Version 1 counts in memory.oom_control, version 2 in memory.events; both write "oom_kill N". */
function countOomKills(directory: string): number {
  for (const file of ['memory.events', 'memory.oom_control']) {
    try {
      return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(directory, file), 'utf8'))?.[1] ?? 0)
    } catch {
      // The other version has the other file.
    }
  }
  return 0
}

/** The kernel answers EBUSY for a moment after the last process has gone. */
async function removeGroup(directory: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      rmdirSync(directory)
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return
      if (code !== 'EBUSY' || tries >= 100) throw error
      await sleep(20)
    }
  }
}

/**
 * Version 2: processes may only live in leaves, so whatever lives in the group that we divide moves to a leaf first.
 * As root that is the top of what we see (in a container its own group); else the group this process was started in,
 * which works if it was delegated to us.
 */
function delegatedTree(mount: string): Hierarchies {
  try {
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'
    const top = process.getuid?.() === 0 ? mount : join(mount, own)
    const offered = readFileSync(join(top, 'cgroup.controllers'), 'utf8').trim().split(' ')
    const controllers = CONTROLLERS.filter((controller) => offered.includes(controller))
    if (controllers.length === 0) return { version: 'none' }
    const isHostRoot = !existsSync(join(top, 'cgroup.type'))
    if (!isHostRoot) moveProcesses(top, join(top, 'supervisor'))
    const handDown = controllers.map((controller) => `+${controller}`).join(' ')
    const tree = join(top, 'flowforge')
    writeFileSync(join(top, 'cgroup.subtree_control'), handDown)
    mkdirSync(tree, { recursive: true })
    writeFileSync(join(tree, 'cgroup.subtree_control'), handDown)
    return { version: 'v2', root: tree, controllers }
  } catch {
    return { version: 'none' }
  }
}

function moveProcesses(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const pid of processesIn(from)) writeFileSync(join(to, 'cgroup.procs'), String(pid))
}

function isWritable(directory: string): boolean {
  try {
    accessSync(join(directory, 'cgroup.procs'), constants.W_OK)
    const ours = join(directory, 'flowforge')
    mkdirSync(ours, { recursive: true })
    readdirSync(ours)
    return true
  } catch {
    return false
  }
}

function write(directory: string, file: string, value: number | string): void {
  writeFileSync(join(directory, file), String(value))
}
