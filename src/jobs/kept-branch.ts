/** Where a result lies that a person has to look at: a branch of its own at the remote. */
import { reviewReasonsOf } from './review.ts'
import type { JobRow } from './store.ts'
import type { Work } from './work.ts'

/** The branch of a job's result. The tail of the id keeps two FlowForges on one remote apart. */
export function resultBranchOf(job: Pick<JobRow, 'number' | 'id' | 'result_branch'>): string {
  return job.result_branch ?? `flowforge/job-${job.number}-${job.id.slice(-6)}`
}

/**
 * Pushes the result to its own branch, unless it touches what waits for review: a pushed branch may start the
 * remote's CI with the agent's own workflow. Undefined when it was not pushed; the result is in storage either way.
 */
export async function keepBranch(work: Work): Promise<string | undefined> {
  const { claim, mirror, events, signal } = work
  const { job } = claim
  if (job.result_commit === null || job.base_commit === null) return undefined
  const sensitive = await reviewReasonsOf(work, { from: job.base_commit, to: job.result_commit })
  if (sensitive.length > 0) return undefined
  const branch = resultBranchOf(job)
  const push = await mirror.push({ commit: job.result_commit, branch, expectedOld: null }, signal)
  const kept =
    push.kind === 'pushed' ||
    (await mirror.remoteContains(branch, job.result_commit, signal)).kind === 'contained'
  if (!kept) return undefined
  events.write('land.branch_kept', { branch, commit: job.result_commit })
  return branch
}
