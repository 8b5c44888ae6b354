/** Merges one file's three versions: `flowforge merge-file`, the merge driver and the benchmarks. */
import type { FileOutcome, Versions } from './conflict.ts'
import { resolveFile, type ResolveOptions } from './resolve.ts'

export async function mergeFile(versions: Versions, options: ResolveOptions = {}): Promise<FileOutcome> {
  return resolveFile(versions, options)
}
