/** The SQL of conflict resolutions: what was resolved or declined, by which rung, with which evidence. */
import type { Transaction } from '#db'
import { newId, type ExecutionId, type JobId, type OrganizationId } from '#lib/ids.ts'
import type { MergeReport } from './merge-commits.ts'

/** For whom a merge was made. */
export type MergeOf = {
  readonly organizationId: OrganizationId
  readonly repositoryId: string
  readonly jobId: JobId
  readonly executionId: ExecutionId
  readonly baseCommit: string | null
}

/** One row for each file that conflicted or was doubted; none for a merge without one. */
export async function recordResolutions(trx: Transaction, report: MergeReport, of: MergeOf): Promise<void> {
  if (report.files.length === 0) return
  await trx
    .insertInto('conflict_resolutions')
    .values(
      report.files.map((file) => ({
        id: newId(),
        organization_id: of.organizationId,
        repository_id: of.repositoryId,
        job_id: of.jobId,
        execution_id: of.executionId,
        base_commit: of.baseCommit,
        ours_commit: report.ours,
        theirs_commit: report.theirs,
        path: file.path,
        conflict_kind: file.kind,
        outcome: file.outcome === 'resolved' ? ('resolved' as const) : ('declined' as const),
        rung: file.rung ?? null,
        rungs: JSON.stringify(file.rungs),
        checks: JSON.stringify(file.checks),
      })),
    )
    .execute()
}
