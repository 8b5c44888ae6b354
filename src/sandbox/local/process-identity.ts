/** Names a process so that its number, used again by another one, is not mistaken for it. */
import { readFileSync } from 'node:fs'
import { sleep } from '#lib/clock.ts'

const GONE_WITHIN_MS = 5000

export type ProcessIdentity = { readonly pid: number; readonly startedAt: string }

export function identityOf(pid: number): ProcessIdentity | undefined {
  const [, startedAt] = readStat(pid) ?? []
  return startedAt === undefined ? undefined : { pid, startedAt }
}

export function isRunning(process: ProcessIdentity): boolean {
  const [state, startedAt] = readStat(process.pid) ?? []
  return startedAt === process.startedAt && state !== 'Z'
}

/** Ends a process and waits until it is gone; a zombie is gone but for its parent's asking. */
export async function endProcess(ended: ProcessIdentity): Promise<void> {
  for (let waited = 0; isRunning(ended); waited++) {
    if (waited > GONE_WITHIN_MS) throw new Error(`process ${ended.pid} does not end after SIGKILL`)
    try {
      process.kill(ended.pid, 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
    await sleep(1)
  }
}

/** State and start in clock ticks. The name before them, in parentheses, may hold anything. */
function readStat(
  pid: number,
): readonly [state: string | undefined, startedAt: string | undefined] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return [fields[0], fields[19]]
  } catch {
    return undefined
  }
}

/** Names of temporary files begin with it, so that those of dead processes can be told from the others. */
export function ownPrefix(): string {
  return `${process.pid}-${identityOf(process.pid)?.startedAt ?? 0}`
}

export function isLeftBehind(name: string): boolean {
  const [pid, startedAt = ''] = name.split('-')
  return !isRunning({ pid: Number(pid), startedAt })
}
