/**
 * Where the merge lane meets the conflict engine: a textual conflict is resolved only when every file is proven, and a
 * merge without a textual conflict is doubted where both sides changed the same file.
 */
import { mergeCommitsApart, recordResolutions, type FileOutcome, type MergeReport } from '#conflicts'
import { inOrganization } from '#db'
import type { Work } from './work.ts'

export type Resolved =
  | { readonly kind: 'resolved'; readonly tree: string; readonly files: readonly FileOutcome[] }
  /** What is left, one reason a file. */
  | { readonly kind: 'left'; readonly reasons: readonly string[] }

/** Resolves the conflicts of merging `result` into `target`, all of them or none. */
export async function resolveConflicts(
  work: Work,
  sides: { readonly target: string; readonly result: string },
): Promise<Resolved> {
  const merged = await mergeCommitsApart(
    { repository: work.mirror.path, ours: sides.target, theirs: sides.result, noModel: true },
    work.signal,
  )
  if (merged.kind === 'gave-up') return { kind: 'left', reasons: [merged.problem] }
  const { report } = merged
  const { claim, tools } = work
  await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
    recordResolutions(trx, report, {
      organizationId: claim.key.organizationId,
      repositoryId: claim.job.repository_id,
      jobId: claim.key.id,
      executionId: claim.executionId,
      baseCommit: claim.job.base_commit,
    }),
  )
  tell(work, report)
  if (report.outcome === 'resolved' && report.tree !== undefined)
    return { kind: 'resolved', tree: report.tree, files: report.files }
  return { kind: 'left', reasons: reasonsOf(report) }
}

/** Whether both sides changed a common file since the commit they share: only there can a clean merge be wrong by itself. */
export async function changedTheSameFile({ claim, mirror }: Work, target: string): Promise<boolean> {
  const { base_commit: base, result_commit: result } = claim.job
  if (base === null || result === null || base === target) return false
  const theirs = new Set((await mirror.changedPaths(base, target)).map(({ path }) => path))
  return (await mirror.changedPaths(base, result)).some(({ path }) => theirs.has(path))
}

function reasonsOf(report: MergeReport): readonly string[] {
  const files = report.files
    .filter(({ outcome }) => outcome !== 'resolved')
    .map(({ path, reason }) => `${path}: ${reason}`)
  const checks = report.checks
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ layer, reason }) => `${layer}: ${reason}`)
  return [...files, ...checks].slice(0, 50)
}

/** The evidence, for people who watch: which rung, which checks. */
function tell({ events }: Work, report: MergeReport): void {
  for (const { path, kind, outcome, rung, reason, checks } of report.files) {
    events.write(outcome === 'resolved' ? 'land.resolved' : 'land.declined', {
      path,
      conflict: kind,
      reason,
      ...(rung === undefined ? {} : { rung }),
      checks: checks.map(({ layer, outcome: how, reason: why }) => ({
        layer,
        outcome: how,
        reason: why.slice(0, 300),
      })),
    })
  }
}
