/** PostgreSQL refuses to run as root: this finds the system user it runs as, or makes one. */
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type SystemUser = { readonly uid: number; readonly gid: number }

/** Undefined: this process is a plain user, and PostgreSQL runs as the same. The owner of existing data stays the owner. */
export async function postgresUser(dataFolder: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(dataFolder).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const found = (await look('flowforge')) ?? (await look('postgres'))
  if (found) return found
  await run('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', 'flowforge']).catch(
    () => undefined,
  )
  const made = (await look('flowforge')) ?? (await look('nobody'))
  if (!made)
    throw new Error('there is no system user to run PostgreSQL as; make one: useradd --system flowforge')
  return made
}

async function look(name: string): Promise<SystemUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}
