/** Who runs on a data directory, by its postmaster.pid. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Above every possible process id (Linux has at most 4 194 304). */
const NOBODY = 2_147_483_646

/** The process id of the server on this data directory, if one lives. */
export async function findPostmaster(data: string): Promise<number | undefined> {
  const pid = Number((await readPidFile(data))?.split('\n')[0])
  return (await isPostmaster(pid, data)) ? pid : undefined
}

/** The id alone is not enough: after a restart of the machine another program may have it, and a zombie has no command line. */
export async function isPostmaster(pid: number, data: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 0 || pid === NOBODY) return false
  return (await commandLine(pid)).includes(data)
}

/**
 * PostgreSQL cleans a dead server's postmaster.pid up itself, except when its number now belongs to another program (or
 * to a zombie): that looks alive. Only the number is replaced: the rest names the shared memory, by which the new
 * server sees that a session of the old one is still at work.
 */
export async function retirePidFile(data: string): Promise<void> {
  const text = await readPidFile(data)
  const pid = Number(text?.split('\n')[0])
  if (text === undefined || !isAlive(pid) || (await isPostmaster(pid, data))) return
  await writeFile(join(data, 'postmaster.pid'), text.replace(/^-?\d+/, String(NOBODY)))
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function readPidFile(data: string): Promise<string | undefined> {
  return readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => undefined)
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-p', String(pid), '-o', 'args=']).then(
    ({ stdout }) => stdout,
    () => '',
  )
}
