import { sensitiveAmong } from './sensitive.ts'
import type { Work } from './work.ts'

/**
 * What a person must look at before this change lands; empty when nothing, or when exactly this result was approved.
 * The change is taken between the target and the merge, so that what others landed meanwhile is not asked about again.
 */
export async function reviewReasonsOf(
  work: Work,
  change: { readonly from: string; readonly to: string },
): Promise<readonly string[]> {
  const { job } = work.claim
  if (job.approved_commit !== null && job.approved_commit === job.result_commit) return []
  const changed = await work.mirror.changedPaths(change.from, change.to)
  return sensitiveAmong(
    changed.map(({ path }) => path),
    work.sensitivePaths,
  ).map((path) => `edits ${path}`)
}
