/** Ends the processes of a sandbox that has no cgroup (any more): by its host user, or by what it has mounted. */
import { readFileSync, readdirSync } from 'node:fs'
import { sleep } from '#lib/clock.ts'

const GONE_WITHIN_MS = 5000

export async function endProcessesOfUser(uid: number): Promise<void> {
  const line = new RegExp(`^Uid:\\t${uid}\\t`, 'm')
  await endWhere((pid) => line.test(readFileSync(`/proc/${pid}/status`, 'utf8')))
}

/** The guest's mounts name the sandbox's directory; only as the same plain user, since root itself has mounts there. */
export async function endProcessesWithMount(directory: string): Promise<void> {
  await endWhere((pid) => readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`${directory}/`))
}

async function endWhere(matches: (pid: number) => boolean): Promise<void> {
  for (let waited = 0; ; waited += 10) {
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map(Number)
      .filter((pid) => {
        try {
          return matches(pid)
        } catch {
          return false
        }
      })
    if (found.length === 0) return
    if (waited > GONE_WITHIN_MS) throw new Error(`processes ${found.join(', ')} do not end after SIGKILL`)
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
    await sleep(10)
  }
}
