/**
 * The disk of a sandbox: a directory with a limit of bytes and inodes.
 *
 *   image      an ext4 file system in a sparse file, mounted by loop (root): a hard limit of both
 *   directory  a plain directory (everybody else); watched from outside, see disk-watch.ts
 *
 * Making and mounting an image takes about 25 ms, so images are kept ready: HOME/sandboxes/.ready/PID-START-N is a whole
 * sandbox directory, mounted and empty, and becomes HOME/sandboxes/ID by one rename (a mount moves with the directory
 * above it).
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import type { SandboxLimits } from '../sandbox.ts'
import type { Layout } from './layout.ts'
import { isLeftBehind, ownPrefix } from './process-identity.ts'
import { runProgram } from './programs.ts'

export type DiskSize = Pick<SandboxLimits, 'diskBytes' | 'inodes'>

export type Disks = AsyncDisposable & {
  readonly kind: 'image' | 'directory'
  /** Makes HOME/sandboxes/ID with an empty, limited `disk` in it. */
  take(id: string, size: DiskSize): Promise<void>
  /** Moves HOME/sandboxes/ID out of the way at once; the promise ends when it is gone. */
  discard(id: string): Promise<void>
  /** Removes what processes that no longer run have left in .ready, .ended and .worker. */
  sweep(): Promise<void>
}

const READY = 3
/** Later than the first process of the sandbox that took a disk, which needs the processor more. */
const REFILL_AFTER_MS = 250
/** A pooled image is worth keeping for the size asked for last; other sizes are made when they are needed. */
const sizeKey = (size: DiskSize): string => `${size.diskBytes}-${size.inodes}`

export async function createDisks(layout: Layout): Promise<Disks> {
  const kind = (await canMountImages(layout)) ? 'image' : 'directory'
  const prefix = ownPrefix()
  const ready: { readonly directory: string; readonly key: string }[] = []
  const pending = new Set<Promise<void>>()
  const closing = new AbortController()
  let counter = 0

  const make = async (size: DiskSize): Promise<string> => {
    const directory = join(layout.ready, `${prefix}-${counter++}`)
    await makeDirectory(directory, kind === 'image' ? size : undefined)
    return directory
  }
  const track = (work: Promise<void>): Promise<void> => {
    const tracked = work.finally(() => pending.delete(tracked))
    pending.add(tracked)
    return tracked
  }
  const remove = async (directory: string): Promise<void> => {
    const gone = join(layout.ended, `${prefix}-${counter++}`)
    try {
      renameSync(directory, gone)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await removeDirectory(gone)
  }
  const refill = async (size: DiskSize): Promise<void> => {
    const key = sizeKey(size)
    while (!closing.signal.aborted && ready.filter((entry) => entry.key === key).length < READY) {
      const stale = ready.findIndex((entry) => entry.key !== key)
      if (stale >= 0) await remove(ready.splice(stale, 1)[0]!.directory)
      const directory = await make(size)
      ready.push({ directory, key })
    }
  }
  let refilling = Promise.resolve()

  return {
    kind,
    take: async (id, size) => {
      const key = sizeKey(size)
      const index = ready.findIndex((entry) => entry.key === key)
      const directory = index >= 0 ? ready.splice(index, 1)[0]!.directory : await make(size)
      try {
        renameSync(directory, layout.directory(id))
      } catch (error) {
        await remove(directory)
        throw new Error(`the sandbox ${id} exists already`, { cause: error })
      }
      if (kind === 'image') {
        // One at a time, and a failure only means that the next take makes its own image.
        refilling = refilling
          .then(() => sleep(REFILL_AFTER_MS, closing.signal))
          .then(() => refill(size))
          .catch(() => undefined)
        void track(refilling)
      }
    },
    discard: (id) => track(remove(layout.directory(id))),
    sweep: async () => {
      for (const parent of [layout.ready, layout.ended, layout.worker])
        for (const name of await readdir(parent))
          if (isLeftBehind(name)) await removeDirectory(join(parent, name))
    },
    [Symbol.asyncDispose]: async () => {
      closing.abort()
      // Whoever discarded a sandbox heard of its failure; the others are removed all the same.
      await Promise.allSettled(pending)
      for (const { directory } of ready.splice(0)) await remove(directory)
    },
  }
}

async function makeDirectory(directory: string, image: DiskSize | undefined): Promise<void> {
  const disk = join(directory, 'disk')
  mkdirSync(disk, { recursive: true, mode: 0o711 })
  mkdirSync(join(directory, 'in'), { mode: 0o755 })
  if (image === undefined) return
  const file = join(directory, 'disk.img')
  await writeFile(file, '', { mode: 0o600 })
  await truncate(file, image.diskBytes)
  // No journal: the disk does not outlive its sandbox. Tables are not written before they are used, so the file stays
  // sparse (180 KiB for 8 GiB) and the whole takes 12 ms.
  await runProgram('mkfs.ext4', [
    '-q',
    '-F',
    ...['-O', '^has_journal,^resize_inode'],
    ...['-m', '0', '-N', String(image.inodes), '-G', '64'],
    ...['-E', 'lazy_itable_init=1,nodiscard,packed_meta_blocks=1'],
    file,
  ])
  await runProgram('mount', ['-o', 'loop,nosuid,nodev,noatime,noinit_itable', file, disk])
}

async function removeDirectory(directory: string): Promise<void> {
  for (const path of mountsBelow(directory)) await unmount(path)
  // Never deeper than our own file system: an umount that failed has thrown above.
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
}

/** Busy for a moment after the last process has gone; a mount that stays busy is taken out of sight and goes by itself. */
async function unmount(path: string): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    try {
      return await runProgram('umount', [path])
    } catch {
      await sleep(50)
    }
  }
  await runProgram('umount', ['--lazy', path])
}

/** The last mounted first. The kernel writes odd characters of a path as octal numbers. */
function mountsBelow(directory: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) =>
      path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    )
    .filter((path) => path.startsWith(`${directory}/`))
    .toReversed()
}

/** Tried once at start, because what a container permits cannot be read anywhere. */
async function canMountImages(layout: Layout): Promise<boolean> {
  if (process.getuid?.() !== 0) return false
  const directory = join(layout.ready, `${ownPrefix()}-try`)
  try {
    await makeDirectory(directory, { diskBytes: 16 * 1024 ** 2, inodes: 1000 })
    return true
  } catch {
    return false
  } finally {
    if (existsSync(join(directory, 'disk'))) await removeDirectory(directory)
    else rmSync(directory, { recursive: true, force: true })
  }
}
