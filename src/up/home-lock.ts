/** One `up` for each FLOWFORGE_HOME: a file that names the process, taken over when that process is gone. */
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import { refuse } from '#lib/errors.ts'
import { isSameProcess, processMark } from './process-mark.ts'

/** Longer than another start needs from reading an old file to removing it. */
const SETTLE_MS = 100

export async function takeHome(home: string): Promise<AsyncDisposable> {
  const file = join(home, 'up.pid')
  const mine = processMark(process.pid)
  const making = `${file}.${process.pid}`
  await mkdir(home, { recursive: true, mode: 0o755 })
  await writeFile(making, mine)
  try {
    for (;;) {
      const tookOver = await retire(file, home)
      // A link is made whole or not at all: nobody reads a half-written file.
      if (!(await isLinked(making, file))) continue
      // Another start may have read the old file too, and now removes ours: who is left in the end has the home.
      if (tookOver) await sleep(SETTLE_MS)
      if ((await readFile(file, 'utf8').catch(() => '')) === mine) break
    }
  } finally {
    await rm(making, { force: true })
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
}

/** Removes the file of an `up` that is gone. Answers whether there was one. */
async function retire(file: string, home: string): Promise<boolean> {
  const holder = await readFile(file, 'utf8').catch(() => undefined)
  if (holder === undefined) return false
  const pid = Number(holder.split(' ')[0])
  if (isSameProcess(holder) && pid !== process.pid) throw refuse('home_in_use', { home, pid: String(pid) })
  await rm(file, { force: true })
  return true
}

async function isLinked(making: string, file: string): Promise<boolean> {
  try {
    await link(making, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}
