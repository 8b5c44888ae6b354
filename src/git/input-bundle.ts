/** The bundle a sandbox makes its work tree from. Many jobs begin at one commit, so it is kept in the mirror's folder. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { writeBundleFile } from './bundle-file.ts'
import { isCode } from './mirror-directory.ts'
import { commitId } from './names.ts'
import type { Place } from './place.ts'
import { git } from './run-git.ts'

export type InputLimits = {
  /** A mirror with larger packs gives a shallow history. */
  readonly shallowAboveBytes: number
  readonly shallowCommits: number
  readonly keptFiles: number
  readonly keptBytes: number
}

export const INPUT_LIMITS: InputLimits = {
  shallowAboveBytes: 48 * 1024 ** 2,
  shallowCommits: 50,
  keptFiles: 32,
  keptBytes: 1024 ** 3,
}

export async function writeInputBundle(
  place: Place,
  request: { readonly commit: string; readonly file: string; readonly limits?: InputLimits },
  signal: AbortSignal,
): Promise<void> {
  const { commit, file, limits = INPUT_LIMITS } = request
  const folder = join(place.path, 'flowforge', 'inputs')
  const kept = join(folder, `${commitId(commit)}.bundle`)
  await rm(file, { force: true })
  if (await hand(kept, file)) {
    // The newest stay; a time that cannot be set only means an earlier end.
    void utimes(kept, new Date(), new Date()).catch(() => undefined)
    return
  }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = join(folder, `${randomUUID()}.draft`)
  try {
    const shallow =
      (await packBytes(place)) > limits.shallowAboveBytes ? await cut(place, commit, limits) : []
    await writeBundleFile(
      draft,
      { ref: 'refs/heads/base', commit, shallow },
      { repository: place.path, signal },
    )
    await hand(draft, file)
    // Never a rename over one that is there: a link to a file that is being replaced fails.
    // Whether it is kept is a matter of speed only.
    await link(draft, kept).catch(() => undefined)
  } finally {
    await rm(draft, { force: true })
  }
  await forgetOld(folder, limits)
}

/** Gives the kept file out by a second name, or by a copy on another file system. */
async function hand(kept: string, file: string): Promise<boolean> {
  try {
    await link(kept, file)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    await copyFile(kept, file, constants.COPYFILE_FICLONE)
    return true
  }
}

/** The commits at which the newest N end: those with a parent outside. */
async function cut(place: Place, commit: string, limits: InputLimits): Promise<readonly string[]> {
  const text = await git({
    repository: place.path,
    args: ['rev-list', '--parents', `--max-count=${limits.shallowCommits}`, commit],
  })
  const commits = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '))
  const inside = new Set(commits.map(([id]) => id))
  return commits.flatMap(([id = '', ...parents]) => (parents.every((one) => inside.has(one)) ? [] : [id]))
}

async function packBytes(place: Place): Promise<number> {
  const folder = join(place.path, 'objects', 'pack')
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.pack'))
  const sizes = await Promise.all(names.map((name) => sizeOf(join(folder, name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}

async function forgetOld(folder: string, limits: InputLimits): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const files = await Promise.all(
    names.map(async (name) => {
      const found = await stat(join(folder, name)).catch(() => undefined)
      return { name, size: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 }
    }),
  )
  let bytes = 0
  const newestFirst = files.toSorted((a, b) => b.usedMs - a.usedMs)
  for (const [at, { name, size }] of newestFirst.entries()) {
    bytes += size
    if (at >= limits.keptFiles || bytes > limits.keptBytes) await rm(join(folder, name), { force: true })
  }
}
