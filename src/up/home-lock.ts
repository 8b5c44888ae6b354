/** One `up` for each FLOWFORGE_HOME: a file that names the process, taken over when that process is gone. */
import { readFileSync } from 'node:fs'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { refuse } from '#lib/errors.ts'

export async function takeHome(home: string): Promise<AsyncDisposable> {
  const file = join(home, 'up.pid')
  const mine = `${process.pid} ${startTimeOf(process.pid)}`
  const making = `${file}.${process.pid}`
  await writeFile(making, mine)
  try {
    for (;;) {
      try {
        // A link is made whole or not at all: nobody reads a half-written file.
        await link(making, file)
        break
      } catch (error) {
        if (!isExists(error)) throw refuse('home_unusable', { home, problem: String(error) }, error)
        const holder = await readFile(file, 'utf8').catch(() => '')
        const pid = Number(holder.split(' ')[0])
        if (pid > 0 && holder === `${pid} ${startTimeOf(pid)}` && pid !== process.pid)
          throw refuse('home_in_use', { home, pid: String(pid) })
        await rm(file, { force: true })
      }
    }
  } finally {
    await rm(making, { force: true })
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
}

function isExists(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}

/** When the process began, in clock ticks since boot: a pid that was given to another program differs in it. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
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
