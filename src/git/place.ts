import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import { ensureMirror, exists } from './mirror-directory.ts'
import { commitId } from './names.ts'
import type { GitRepository } from './outcomes.ts'
import type { RemoteContext } from './remote.ts'
import { git, GitFailure, runGit } from './run-git.ts'

/** One mirror: where it is and what it mirrors. */
export type Place = {
  readonly path: string
  readonly repository: GitRepository
  readonly context: RemoteContext
  /** Landing commits made here, with their parents: what is known needs not be asked. */
  readonly landings: Map<string, readonly string[]>
}

/** The commit a name stands for. Asks in one process for a remote branch, a tag and a commit, and takes the first that exists. */
export async function resolve(place: Place, ref: string): Promise<string | undefined> {
  if (ref.includes('\n') || ref.includes('\0')) return undefined
  const names = [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`]
  if (/^refs\/(flowforge|remotes|tags)\//.test(ref)) names.unshift(ref)
  if (/^[0-9a-f]{40}$/.test(ref)) names.unshift(ref)
  const found = await askTypes(
    place,
    names.map((name) => `${name}^{commit}`),
  )
  return found.find((id) => id !== undefined)
}

/** Which of these commits are not here. */
export async function missingCommits(place: Place, commits: readonly string[]): Promise<readonly string[]> {
  if (!(await exists(place.path))) return commits
  const found = await askTypes(
    place,
    commits.map((commit) => `${commit}^{commit}`),
  )
  return commits.filter((_, at) => found[at] === undefined)
}

/** A tree of a million files has about 100 bytes for each. */
const LISTING_BYTES = 256 * 1024 ** 2

/** Blobs only; in one process. ls-tree knows no patterns, so the whole tree is listed and looked through. */
export async function fileIds(
  place: Place,
  commit: string,
  wanted: { readonly paths: readonly string[]; readonly names: readonly string[] },
): Promise<ReadonlyMap<string, string>> {
  const paths = new Set(wanted.paths)
  const names = new Set(wanted.names)
  const args = ['ls-tree', '-r', '-z', '--full-tree', commitId(commit)]
  const text = await git({ repository: place.path, args, maxOutputBytes: LISTING_BYTES })
  const entries = text.split('\0').flatMap((line) => {
    const [, id, path] = /^\d{6} blob ([0-9a-f]{40})\t(.+)$/s.exec(line) ?? []
    if (id === undefined || path === undefined) return []
    return paths.has(path) || names.has(path.slice(path.lastIndexOf('/') + 1)) ? [[path, id] as const] : []
  })
  return new Map(entries)
}

const MOST_LINKS = 1000
const LINK_BYTES = 4096

/** The symbolic links of a commit: path to the text of the link. More than a thousand are not looked at. */
export async function readLinks(place: Place, commit: string): Promise<ReadonlyMap<string, string>> {
  const args = ['ls-tree', '-r', '-z', '--full-tree', commitId(commit)]
  const text = await git({ repository: place.path, args, maxOutputBytes: LISTING_BYTES })
  const paths = text.split('\0').flatMap((line) => /^120000 blob [0-9a-f]{40}\t(.+)$/s.exec(line)?.[1] ?? [])
  const links = await Promise.all(
    paths
      .slice(0, MOST_LINKS)
      .map(async (path) => [path, await readFile(place, { commit, path, maxBytes: LINK_BYTES })] as const),
  )
  return new Map(links.flatMap(([path, target]) => (target === undefined ? [] : [[path, target] as const])))
}

/** A symbolic link is not followed: only what stands in the commit itself is read. */
export async function readFile(
  place: Place,
  file: { readonly commit: string; readonly path: string; readonly maxBytes: number },
): Promise<string | undefined> {
  const { commit, path, maxBytes } = file
  const answer = await runGit({
    repository: place.path,
    args: ['cat-file', '--batch=%(objecttype) %(objectsize)'],
    input: `${commitId(commit)}:${path}\n`,
    maxOutputBytes: maxBytes + 64,
  })
  const end = answer.stdout.indexOf(0x0a)
  const [, bytes] = /^blob (\d+)$/.exec(answer.stdout.subarray(0, Math.max(end, 0)).toString()) ?? []
  if (bytes === undefined || Number(bytes) > maxBytes || path.includes('\n')) return undefined
  return answer.stdout.subarray(end + 1, end + 1 + Number(bytes)).toString('utf8')
}

async function askTypes(place: Place, names: readonly string[]): Promise<readonly (string | undefined)[]> {
  await ensureMirror(place.path)
  const text = await git({
    repository: place.path,
    args: ['cat-file', '--batch-check=%(objectname) %(objecttype)'],
    input: names.map((name) => `${name}\n`).join(''),
  })
  return text.split('\n').map((line) => /^([0-9a-f]{40}) commit$/.exec(line)?.[1])
}

/**
 * Does work that needs these commits. The mirror is a cache and may vanish at any moment: when the work fails and a commit
 * is missing, `refetch` fills the mirror again and the work is done a second time.
 */
export async function withCommits<T>(
  place: Place,
  commits: readonly string[],
  steps: { readonly refetch: () => Promise<void>; readonly work: () => Promise<T> },
): Promise<T> {
  try {
    return await steps.work()
  } catch (error) {
    const missing = error instanceof GitFailure ? await missingCommits(place, commits) : []
    if (missing.length === 0) throw error
    await steps.refetch()
    return steps.work()
  }
}

/** Git's ref locks fail at once when another worker holds them; they are held for milliseconds. */
export async function whileLocked<T>(attempt: () => Promise<T>, isLocked: (value: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    const value = await attempt()
    if (tries >= 8 || !isLocked(value)) return value
    await sleep(10 * tries + Math.random() * 30)
  }
}

/**
 * Writes a ref of the mirror as git does, by a lock file and a rename, without a process (0.2 ms instead of 2 to 4). What
 * is not that simple (the lock is held, a folder is in the way) is left to git.
 */
export async function writeRef(place: Place, ref: string, commit: string): Promise<void> {
  if (await writeLooseRef(join(place.path, ref), commit)) return
  const answer = await whileLocked(
    () => runGit({ repository: place.path, args: ['update-ref', ref, commit] }),
    ({ code, stderr }) => code !== 0 && LOCKED.test(stderr),
  )
  if (answer.code !== 0) throw new GitFailure('update-ref', answer)
}

async function writeLooseRef(file: string, commit: string): Promise<boolean> {
  const lock = `${file}.lock`
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(lock, `${commit}\n`, { flag: 'wx' })
  } catch {
    return false
  }
  try {
    await rename(lock, file)
    return true
  } catch {
    await rm(lock, { force: true })
    return false
  }
}

export const LOCKED =
  /Unable to create '[^\n]*\.lock'|cannot lock ref '[^\n]*(is at|File exists)|shallow file has changed/
