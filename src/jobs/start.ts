/** Where a run begins: the base commit, or the newest checkpoint of an earlier try that was cut off. */
import { inOrganization } from '#db'
import { refuse } from '#lib/errors.ts'
import { infrastructureFailed } from './retry.ts'
import type { End } from './settle.ts'
import type { Work } from './work.ts'

export type Checkpoint = {
  readonly bundleBlob: string | undefined
  readonly sessionBlob: string | undefined
  readonly sessionId: string
}

export type Start =
  | { readonly kind: 'found'; readonly commit: string; readonly checkpoint: Checkpoint | undefined }
  | { readonly kind: 'ended'; readonly end: End }

export async function findStart(work: Work): Promise<Start> {
  const { claim, mirror, signal } = work
  const { job } = claim
  const checkpoint = await findCheckpoint(work)
  const base = job.base_commit
  const goesOn = async (): Promise<boolean> =>
    checkpoint !== undefined && base !== null && (await mirror.resolve(base)) !== undefined
  if (base !== null && (await goesOn())) return { kind: 'found', commit: base, checkpoint }
  const fetched = await mirror.fetchBranch(job.base_ref, signal)
  switch (fetched.kind) {
    case 'fetched':
      // The mirror was lost, or is another worker's: the checkpoint's base came with the branch.
      if (base !== null && (await goesOn())) return { kind: 'found', commit: base, checkpoint }
      return { kind: 'found', commit: fetched.commit, checkpoint: undefined }
    case 'missing': {
      const commit = await resolveOther(work)
      if (commit !== undefined) return { kind: 'found', commit, checkpoint: undefined }
      const { message } = refuse('branch_missing', {
        address: work.repository.address,
        branch: job.base_ref,
        branches: 'other branches',
      })
      return { kind: 'ended', end: { kind: 'failed', cause: 'branch_missing', message } }
    }
    case 'unreachable': {
      const { message } = refuse('repository_unreachable', {
        address: work.repository.address,
        problem: fetched.problem,
      })
      const why = { cause: 'unreachable', message }
      return {
        kind: 'ended',
        end: fetched.temporary ? infrastructureFailed(job, why) : { kind: 'failed', ...why },
      }
    }
  }
}

/** The base may be a tag or a commit. */
async function resolveOther({ claim, mirror, signal }: Work): Promise<string | undefined> {
  const known = await mirror.resolve(claim.job.base_ref)
  if (known !== undefined) return known
  const fetched = await mirror.fetch(signal)
  return fetched.kind === 'fetched' ? mirror.resolve(claim.job.base_ref) : undefined
}

/** Causes after which the agent goes on where it was; after a failure of its own it begins anew. */
const GOES_ON_AFTER = new Set([
  'worker_lost',
  'worker_stopping',
  'gateway',
  'sandbox',
  'budget',
  'database',
  'disk_full',
  'unreachable',
])

async function findCheckpoint({ claim, tools }: Work): Promise<Checkpoint | undefined> {
  const { job } = claim
  if (claim.attempt <= 1 || job.session_id === null) return undefined
  return inOrganization(tools.databases, claim.key.organizationId, async (trx) => {
    const before = await trx
      .selectFrom('job_executions')
      .select(['id', 'cause'])
      .where('job_id', '=', claim.key.id)
      .where('kind', '=', 'run')
      .where('id', '!=', claim.executionId)
      .orderBy('started_at', 'desc')
      .limit(50)
      .execute()
    // The tries since the agent last failed by itself: each may have been cut off before it saved anything.
    const failed = before.findIndex(({ cause }) => cause === null || !GOES_ON_AFTER.has(cause))
    const cutOff = before.slice(0, failed === -1 ? undefined : failed).map(({ id }) => id)
    if (cutOff.length === 0) return undefined
    const row = await trx
      .selectFrom('job_checkpoints')
      .select(['bundle_blob', 'session_blob'])
      .where('job_id', '=', claim.key.id)
      .where('execution_id', 'in', cutOff)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row
      ? {
          bundleBlob: row.bundle_blob ?? undefined,
          sessionBlob: row.session_blob ?? undefined,
          sessionId: job.session_id ?? '',
        }
      : undefined
  })
}
