/**
 * Admission: which waiting jobs get a place now. Hard limits (organization, repository, the hosts' places) and a
 * fair share between organizations, decided in one transaction under one lock, so that no two deciders overbook.
 *
 * Anyone may run it at any time; it is run when a job comes, when a place becomes free, and every two seconds.
 */
import { sql } from 'kysely'
import { asSystem, type Databases, type Transaction } from '#db'
import type { JobId } from '#lib/ids.ts'
import { laneOf } from './lane.ts'
import type { JobQueue } from './queue.ts'

export type Waiting = {
  readonly id: string
  readonly organizationId: string
  readonly repositoryId: string
  readonly priority: number
  readonly number: number
  readonly createdAt: number
}
export type Held = { readonly organizationId: string; readonly repositoryId: string; readonly jobs: number }
export type Rules = {
  /** Free places of all live workers. */
  readonly room: number
  readonly weightOf: (organizationId: string) => number
  readonly limitOfOrganization: (organizationId: string) => number
  readonly limitOfRepository: (repositoryId: string) => number
}

/**
 * Picks who goes in: again and again the organization that holds the least for its weight, and of it the job of the
 * highest priority, oldest first. An organization or repository at its limit is passed over.
 */
export function pickFairly(
  waiting: readonly Waiting[],
  held: readonly Held[],
  rules: Rules,
): readonly Waiting[] {
  const byOrganization = Map.groupBy(waiting, (job) => job.organizationId)
  for (const jobs of byOrganization.values())
    jobs.sort((a, b) => b.priority - a.priority || a.number - b.number)
  const ofOrganization = new Map<string, number>()
  const ofRepository = new Map<string, number>()
  for (const { organizationId, repositoryId, jobs } of held) {
    ofOrganization.set(organizationId, (ofOrganization.get(organizationId) ?? 0) + jobs)
    ofRepository.set(repositoryId, (ofRepository.get(repositoryId) ?? 0) + jobs)
  }
  const picked: Waiting[] = []
  while (picked.length < rules.room) {
    let best: { job: Waiting; share: number; from: Waiting[] } | undefined
    for (const [organizationId, jobs] of byOrganization) {
      const holds = ofOrganization.get(organizationId) ?? 0
      if (holds >= rules.limitOfOrganization(organizationId)) continue
      const job = jobs.find(
        (one) => (ofRepository.get(one.repositoryId) ?? 0) < rules.limitOfRepository(one.repositoryId),
      )
      if (!job) continue
      const share = holds / rules.weightOf(organizationId)
      if (!best || share < best.share || (share === best.share && job.createdAt < best.job.createdAt)) {
        best = { job, share, from: jobs }
      }
    }
    if (!best) break
    picked.push(best.job)
    best.from.splice(best.from.indexOf(best.job), 1)
    ofOrganization.set(best.job.organizationId, (ofOrganization.get(best.job.organizationId) ?? 0) + 1)
    ofRepository.set(best.job.repositoryId, (ofRepository.get(best.job.repositoryId) ?? 0) + 1)
  }
  return picked
}

/** Sends what may go in to the queue. Answers how many went. */
export async function admit(
  databases: Databases,
  queue: JobQueue,
  defaults: { readonly maxRunningJobs: number | undefined },
): Promise<number> {
  return asSystem(databases, async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext('flowforge admission'))`.execute(trx)
    await sendOrphanedLandings(trx, queue)
    const held = await findHeld(trx)
    const places = await trx
      .selectFrom('workers')
      .select(sql<number>`coalesce(sum(slots), 0)::int`.as('slots'))
      .where('seen_at', '>', sql<Date>`now() - interval '20 seconds'`)
      .executeTakeFirstOrThrow()
    const room = places.slots - held.reduce((sum, { jobs }) => sum + jobs, 0)
    if (room <= 0) return 0
    const waiting = await findWaiting(trx, room)
    if (waiting.length === 0) return 0
    const organizations = await trx
      .selectFrom('organizations')
      .select(['id', 'share_weight', 'max_running_jobs'])
      .where('id', 'in', [...new Set(waiting.map((job) => job.organizationId))])
      .execute()
    const repositories = await trx
      .selectFrom('repositories')
      .select(['id', 'max_running_jobs'])
      .where('id', 'in', [...new Set(waiting.map((job) => job.repositoryId))])
      .execute()
    const organizationOf = new Map(organizations.map((row) => [row.id, row]))
    const repositoryOf = new Map(repositories.map((row) => [row.id, row]))
    const picked = pickFairly(waiting, held, {
      room,
      weightOf: (id) => organizationOf.get(id)?.share_weight ?? 1,
      limitOfOrganization: (id) =>
        organizationOf.get(id)?.max_running_jobs ?? defaults.maxRunningJobs ?? Infinity,
      limitOfRepository: (id) => repositoryOf.get(id)?.max_running_jobs ?? Infinity,
    })
    for (const job of picked) {
      const entry = await queue.send(trx, 'job.run', { jobId: job.id as JobId, priority: job.priority })
      await trx.updateTable('jobs').set({ queue_entry: entry }).where('id', '=', job.id).execute()
    }
    return picked.length
  })
}

async function findHeld(trx: Transaction): Promise<readonly Held[]> {
  const rows = await trx
    .selectFrom('jobs')
    .select(['organization_id', 'repository_id', sql<number>`count(*)::int`.as('jobs')])
    .where((where) =>
      where.or([
        where('state', '=', 'running'),
        where.and([where('state', '=', 'queued'), where('queue_entry', 'is not', null)]),
      ]),
    )
    .groupBy(['organization_id', 'repository_id'])
    .execute()
  return rows.map((row) => ({
    organizationId: row.organization_id,
    repositoryId: row.repository_id,
    jobs: row.jobs,
  }))
}

/** The first candidates of each organization and repository: more of one than fit could not go in anyway. */
async function findWaiting(trx: Transaction, room: number): Promise<readonly Waiting[]> {
  const { rows } = await sql<{
    id: string
    organization_id: string
    repository_id: string
    priority: number
    number: string
    created_at: Date
  }>`
    select id, organization_id, repository_id, priority, number, created_at from (
      select id, organization_id, repository_id, priority, number, created_at,
             row_number() over (partition by repository_id order by priority desc, number) as place
      from jobs
      where state = 'queued' and queue_entry is null and run_after <= now()
    ) ranked where place <= ${room}`.execute(trx)
  return rows.map((row) => ({
    id: row.id,
    organizationId: row.organization_id,
    repositoryId: row.repository_id,
    priority: row.priority,
    number: Number(row.number),
    createdAt: row.created_at.getTime(),
  }))
}

/** An approved job goes back to its lane: the API that approved it has no queue, so its entry is sent here. */
async function sendOrphanedLandings(trx: Transaction, queue: JobQueue): Promise<void> {
  const jobs = await trx
    .selectFrom('jobs')
    .select(['id', 'repository_id', 'target_branch', 'priority'])
    .where('state', '=', 'merging')
    .where('queue_entry', 'is', null)
    .limit(500)
    .execute()
  for (const job of jobs) {
    const entry = await queue.send(trx, 'job.land', {
      jobId: job.id as JobId,
      lane: laneOf(job),
      priority: job.priority,
    })
    await trx.updateTable('jobs').set({ queue_entry: entry }).where('id', '=', job.id).execute()
  }
}
