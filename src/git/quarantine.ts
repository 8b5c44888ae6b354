/**
 * A place for objects from outside. Git writes them to an object folder of their own, which borrows from the mirror;
 * only `accept` brings them into the mirror. What is refused was never there.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { BundleHeader } from './bundle-file.ts'
import { exists } from './mirror-directory.ts'
import type { Place } from './place.ts'
import { runGit, type GitAnswer } from './run-git.ts'

export type Quarantine = AsyncDisposable & {
  /** For git: sees the objects of the quarantine and of the mirror. */
  readonly env: Readonly<Record<string, string>>
  accept(): Promise<void>
}

/** No object of a delta may be larger than this much, whatever the limit for files is: trees and commits are small. */
const SMALLEST_ALLOCATION = 64 * 1024 ** 2

export async function openQuarantine(place: Place): Promise<Quarantine> {
  const folder = join(place.path, 'flowforge', 'quarantine', randomUUID())
  const packs = join(folder, 'pack')
  await mkdir(packs, { recursive: true, mode: 0o700 })
  await mkdir(join(folder, 'info'), { mode: 0o700 })
  await writeFile(join(folder, 'info', 'alternates'), `${join(place.path, 'objects')}\n`)
  return {
    env: { GIT_OBJECT_DIRECTORY: folder },
    async accept() {
      const names = await readdir(packs)
      // The index last: a pack counts for git from the moment its index is there.
      for (const ending of ['.pack', '.rev', '.idx'])
        for (const name of names.filter((one) => one.endsWith(ending))) {
          const target = join(place.path, 'objects', 'pack', name)
          if (!(await exists(target))) await rename(join(packs, name), target)
        }
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/**
 * Reads the pack of a bundle with git's strict check: every object is well-formed, no tree has `.git`, `..` or a slash
 * in a name, no .gitmodules is hostile, nothing that is linked is missing. One allocation may not exceed the limit, so a
 * delta of some bytes cannot become gigabytes in memory; larger files that are no deltas go by in a stream.
 */
export async function readPack(
  quarantine: Quarantine,
  place: Place,
  pack: {
    readonly handle: FileHandle
    readonly header: BundleHeader
    readonly fileBytes: number
    readonly signal?: AbortSignal
  },
): Promise<GitAnswer> {
  // Moves the position of the open file to the pack; git reads on from there.
  await pack.handle.read(Buffer.alloc(pack.header.bytes), 0, pack.header.bytes, null)
  const allocation = Math.max(pack.fileBytes, SMALLEST_ALLOCATION)
  return runGit({
    repository: place.path,
    args: ['index-pack', '--stdin', '--fix-thin', '--strict', '--threads=1'],
    env: { ...quarantine.env, GIT_ALLOC_LIMIT: String(allocation) },
    config: [`core.bigFileThreshold=${allocation}`],
    input: { fd: pack.handle.fd },
    silenceMs: 10 * 60_000,
    signal: pack.signal,
  })
}
