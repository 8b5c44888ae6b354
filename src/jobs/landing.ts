/** The landing record: the commit to push and the value the branch must still have, in the database before any push. */
import { asSystem, inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { StaleClaim } from './claim.ts'
import { appendEvents } from './events.ts'
import type { End } from './settle.ts'
import { storeBundle } from './result.ts'
import type { Work } from './work.ts'

export type Landing = {
  readonly id: string
  readonly targetBranch: string
  /** null: the branch must not exist yet. */
  readonly expectedOld: string | null
  readonly commit: string
  readonly bundleBlob: string
}

/** In the table an absent branch is the all-zero id, as in git's own protocol. */
const NO_COMMIT = '0'.repeat(40)

export async function findOpenLanding({ tools, claim }: Work): Promise<Landing | undefined> {
  const row = await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
    trx
      .selectFrom('landings')
      .selectAll()
      .where('job_id', '=', claim.key.id)
      .where('state', '=', 'written')
      .executeTakeFirst(),
  )
  return row
    ? {
        id: row.id,
        targetBranch: row.target_branch,
        expectedOld: row.expected_old === NO_COMMIT ? null : row.expected_old,
        commit: row.commit,
        bundleBlob: row.bundle_blob,
      }
    : undefined
}

/**
 * Writes the pair, unless the job was cancelled a moment before: cancelling asks for the row under the same lock,
 * so that exactly one of the two wins.
 */
export async function writeLanding(
  work: Work,
  pair: { readonly branch: string; readonly expectedOld: string | null; readonly commit: string },
): Promise<{ readonly kind: 'written'; readonly landing: Landing } | End> {
  const { tools, claim } = work
  const bundleBlob = await storeBundle(work, pair.commit, pair.expectedOld === null ? [] : [pair.expectedOld])
  const landing: Landing = {
    id: newId(),
    targetBranch: pair.branch,
    expectedOld: pair.expectedOld,
    commit: pair.commit,
    bundleBlob,
  }
  return asSystem(tools.databases, async (trx) => {
    const job = await trx
      .selectFrom('jobs')
      .select(['cancel_requested_at'])
      .where('id', '=', claim.key.id)
      .where('current_execution', '=', claim.executionId)
      .forUpdate()
      .executeTakeFirst()
    if (!job) throw new StaleClaim()
    if (job.cancel_requested_at) return { kind: 'cancelled', message: 'Cancelled before it landed.' } as const
    await trx
      .insertInto('landings')
      .values({
        id: landing.id,
        organization_id: claim.key.organizationId,
        job_id: claim.key.id,
        repository_id: claim.job.repository_id,
        target_branch: landing.targetBranch,
        expected_old: landing.expectedOld ?? NO_COMMIT,
        commit: landing.commit,
        bundle_blob: landing.bundleBlob,
      })
      .execute()
    await appendEvents(
      trx,
      claim.key,
      [
        {
          kind: 'land.written',
          facts: { branch: landing.targetBranch, commit: landing.commit, expectedOld: landing.expectedOld },
        },
      ],
      claim.executionId,
    )
    return { kind: 'written', landing } as const
  })
}

/** Records what became of a pair. Fenced: only the current owner may say that a landing is absent and make a new one. */
export async function settleLanding(
  { tools, claim }: Work,
  landing: Landing,
  state: 'absent' | 'refused',
): Promise<void> {
  await asSystem(tools.databases, async (trx) => {
    const ours = await trx
      .selectFrom('jobs')
      .select('id')
      .where('id', '=', claim.key.id)
      .where('current_execution', '=', claim.executionId)
      .forUpdate()
      .executeTakeFirst()
    if (!ours) throw new StaleClaim()
    await trx
      .updateTable('landings')
      .set({ state, settled_at: new Date() })
      .where('id', '=', landing.id)
      .where('state', '=', 'written')
      .execute()
  })
}
