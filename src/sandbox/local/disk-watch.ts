/**
 * The soft limit of a disk that is a plain directory: looked at every two seconds while something runs. Whatever is
 * written between two looks is only bounded by the limit of a single file.
 */
import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '#lib/clock.ts'
import type { DiskSize } from './disks.ts'

const LOOK_EVERY_MS = 2000

/** Calls `onFull` once when the directory holds more than its size, and ends when the signal is aborted. */
export async function watchDisk(
  directory: string,
  size: DiskSize,
  onFull: (problem: string) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(LOOK_EVERY_MS, signal)
    if (signal.aborted) return
    const problem = await findExcess(directory, size)
    if (problem === undefined || signal.aborted) continue
    onFull(problem)
    return
  }
}

/** Walks until either limit is passed; what vanishes meanwhile does not count. */
export async function findExcess(directory: string, size: DiskSize): Promise<string | undefined> {
  let bytes = 0
  let files = 0
  const waiting = [directory]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const current = next
    const entries = await readdir(current, { withFileTypes: true }).catch((): Dirent[] => [])
    files += entries.length
    if (files > size.inodes) return `more than ${size.inodes} files`
    for (const entry of entries) {
      const path = join(current, entry.name)
      if (entry.isDirectory()) waiting.push(path)
      else if (entry.isFile()) bytes += (await lstat(path).catch(() => undefined))?.blocks ?? 0
    }
    if (bytes * 512 > size.diskBytes) return `more than ${size.diskBytes} bytes`
  }
  return undefined
}
