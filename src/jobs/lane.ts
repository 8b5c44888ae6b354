import type { JobRow } from './store.ts'

/** The merge lane of a job: one repository and one branch. What lands in one lane lands one at a time. */
export function laneOf(job: Pick<JobRow, 'repository_id' | 'target_branch'>): string {
  return `${job.repository_id}:${job.target_branch}`
}
