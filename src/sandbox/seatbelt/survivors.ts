/**
 * Finds and ends what a guest has started, where the kernel has no namespace that ends with it: its process group, its
 * descendants, and whatever still carries its mark in the environment that it was started with.
 *
 * A process that left the group, lost its parents and cleared its environment is not found. It stays in Seatbelt for
 * ever, and what it was allowed to reach (files, sockets, gate) is gone with the sandbox.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sleep } from '#lib/clock.ts'

const run = promisify(execFile)
const GONE_WITHIN_MS = 5000
const MIB = 1024 ** 2
/** The mark of one command, or with the sandbox's id alone of all of its commands. */
export const MARK = 'FLOWFORGE_COMMAND'

export type Searched = {
  /** The guest's main process, which leads its group. */
  readonly leader?: number
  /** What was found before, while its parents lived. */
  readonly known?: readonly Found[]
  readonly mark: string
}

/** A number alone is used again by others. */
export type Found = { readonly pid: number; readonly startedAt: string }

type Row = Found & { readonly parent: number; readonly group: number; readonly text: string }

/** Ends them and waits until they are gone. */
export async function endSurvivors(searched: Searched): Promise<void> {
  for (let waited = 0; ; waited += 20) {
    const found = await findProcesses(searched)
    if (found.length === 0) return
    if (waited > GONE_WITHIN_MS)
      throw new Error(`processes ${found.map(({ pid }) => pid).join(', ')} do not end after SIGKILL`)
    for (const { pid } of found) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
    await sleep(20)
  }
}

export async function findProcesses({ leader, known = [], mark }: Searched): Promise<readonly Found[]> {
  const rows = await listProcesses()
  const marked = new RegExp(`(^| )${MARK}=${mark}([. ]|$)`)
  const isKnown = ({ pid, startedAt }: Row): boolean =>
    known.some((before) => before.pid === pid && before.startedAt === startedAt)
  const found = new Set(
    rows.filter((row) => row.group === leader || marked.test(row.text) || isKnown(row)).map(({ pid }) => pid),
  )
  for (let size = -1; size !== found.size;) {
    size = found.size
    for (const { pid, parent } of rows) if (found.has(parent)) found.add(pid)
  }
  return rows
    .filter(({ pid }) => found.has(pid) && pid !== process.pid)
    .map(({ pid, startedAt }) => ({ pid, startedAt }))
}

/** `ps` tells the environment of one's own processes; macOS hides it for the system's own programs. */
const COMMAND =
  process.platform === 'darwin' ? ['-A', '-E', '-ww', '-o'] : (['axeww', '-o'] as readonly string[])

async function listProcesses(): Promise<readonly Row[]> {
  const { stdout } = await run('/bin/ps', [...COMMAND, 'pid=,ppid=,pgid=,stat=,lstart=,command='], {
    maxBuffer: 64 * MIB,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  })
  return stdout.split('\n').flatMap((line): Row[] => {
    const [, pid, parent, group, state = '', startedAt = '', text = ''] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+((?:\S+\s+){4}\S+)\s(.*)$/.exec(line) ?? []
    // A zombie is gone but for its parent's asking.
    if (pid === undefined || state.startsWith('Z')) return []
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), startedAt, text }]
  })
}
