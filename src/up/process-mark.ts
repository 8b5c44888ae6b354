/** A process, named so that another one which was given its pid later is not taken for it: pid and time of its start. */
import { readFileSync } from 'node:fs'

export function processMark(pid: number): string {
  return `${pid} ${startTimeOf(pid)}`
}

/** Whether the process that this mark was made of still runs. */
export function isSameProcess(mark: string): boolean {
  const pid = Number(mark.split(' ')[0])
  return pid > 0 && mark === processMark(pid) && !mark.endsWith(GONE)
}

const GONE = ' gone'

/** In clock ticks since boot. A zombie has ended, whoever has not asked for it yet. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'gone' : (fields[19] ?? '')
  } catch {
    return isAlive(pid) ? 'alive' : 'gone'
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
