/** Names a process so that its number, used again by another one, is not mistaken for it. */
import { readFileSync } from 'node:fs'

export type ProcessIdentity = { readonly pid: number; readonly startedAt: string }

export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name in parentheses and may hold anything; field 22 is the start in clock ticks.
    const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return startedAt === undefined ? undefined : { pid, startedAt }
  } catch {
    return undefined
  }
}

export function isRunning(process: ProcessIdentity): boolean {
  return identityOf(process.pid)?.startedAt === process.startedAt
}

/** Names of temporary files begin with it, so that those of dead processes can be told from the others. */
export function ownPrefix(): string {
  return `${process.pid}-${identityOf(process.pid)?.startedAt ?? 0}`
}

export function isLeftBehind(name: string): boolean {
  const [pid, startedAt = ''] = name.split('-')
  return !isRunning({ pid: Number(pid), startedAt })
}
