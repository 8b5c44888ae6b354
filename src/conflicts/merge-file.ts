/** Merges one file's three versions: `flowforge merge-file`, the merge driver, replay and the benchmarks. */
import type { Candidate, Check, FileOutcome, Versions } from './conflict.ts'
import { resolveFile, type ResolveOptions } from './resolve.ts'

/** Resolves with the checks that need no more than the file. */
export async function mergeFile(versions: Versions, options: ResolveOptions = {}): Promise<FileOutcome> {
  return resolveFile(versions, { check: checkFile, ...options })
}

/** Layers 1 to 3. The tests need a whole tree and a sandbox. */
async function checkFile(candidate: Candidate, versions: Versions): Promise<readonly Check[]> {
  const { checkCandidate } = await import('./checks/index.ts')
  const checks = await checkCandidate(candidate, versions)
  return checks.map(({ layer, outcome, reason, ms }) => ({ layer, outcome, reason, ms }))
}
