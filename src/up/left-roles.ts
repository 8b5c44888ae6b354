/**
 * Roles outlive a killed `up` for a moment: they save what runs and end. The next `up` waits for that, since they hold
 * its ports; one that does not end is ended.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import { isSameProcess, processMark } from './process-mark.ts'

/** As long as a worker takes to save its jobs (src/jobs/worker.ts), and a little more. */
const END_WITHIN_MS = 30_000

/** At once, so that no event of the new process is missed. On a full disk it runs without being noted. */
export function noteRole(home: string, role: string, pid: number): void {
  try {
    mkdirSync(folderIn(home), { recursive: true, mode: 0o755 })
    writeFileSync(join(folderIn(home), role), processMark(pid))
  } catch {
    // The next `up` then finds its port taken, and says so.
  }
}

export async function endLeftRoles(home: string, log: Log): Promise<void> {
  const names = await readdir(folderIn(home)).catch(() => [])
  await Promise.all(names.map((name) => endRole(join(folderIn(home), name), log)))
}

async function endRole(file: string, log: Log): Promise<void> {
  const mark = await readFile(file, 'utf8').catch(() => '')
  const pid = Number(mark.split(' ')[0])
  if (isSameProcess(mark)) {
    log.warn({ pid, file }, 'role.left-over')
    process.kill(pid, 'SIGTERM')
    const until = performance.now() + END_WITHIN_MS
    while (isSameProcess(mark) && performance.now() < until) await sleep(50)
    if (isSameProcess(mark)) process.kill(pid, 'SIGKILL')
    while (isSameProcess(mark)) await sleep(20)
  }
  await rm(file, { force: true })
}

function folderIn(home: string): string {
  return join(home, 'roles')
}
