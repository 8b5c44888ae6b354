/**
 * Compares jobs with the queue and mends what does not fit: a job whose entry is gone waits for admission again; a
 * job whose entry was given up (it outlived too many workers) ends with its cause. One snapshot, one transaction:
 * entries and jobs change together, so what does not fit in a snapshot really does not fit.
 */
import { sql } from 'kysely'
import { asSystem, isOutage, notify, type Transaction } from '#db'
import type { ExecutionId } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import { endExecution } from './claim.ts'
import { appendEvents } from './events.ts'
import { toText } from './jsonb.ts'
import { CRASH_LIMIT } from './queue.ts'
import { keyOf, lockJob, type JobRow } from './store.ts'
import type { WorkerTools } from './work.ts'

type Mismatch = { readonly id: string; readonly entry_state: string | null; readonly problem: string | null }

export async function reconcile(tools: Pick<WorkerTools, 'databases' | 'log'>): Promise<void> {
  const found = await asSystem(tools.databases, async (trx) => {
    const { rows } = await sql<Mismatch>`
      select jobs.id, entries.state as entry_state, entries.output->>'message' as problem
      from jobs left join pgboss.job entries on entries.id = jobs.queue_entry
      where (jobs.state in ('running') or (jobs.state in ('queued', 'merging') and jobs.queue_entry is not null))
        and (entries.id is null or entries.state in ('completed', 'cancelled', 'failed'))
      limit 200`.execute(trx)
    return rows
  })
  for (const mismatch of found) {
    try {
      await asSystem(tools.databases, (trx) => mend(trx, mismatch, tools.log))
    } catch (error) {
      // One job that cannot be mended must not keep the others waiting.
      if (isOutage(error)) throw error
      tools.log.error({ err: error, job: mismatch.id }, 'reconcile.failed')
    }
  }
}

async function mend(trx: Transaction, { id, entry_state, problem }: Mismatch, log: Log): Promise<void> {
  const job = await lockJob(trx, id)
  if (!job || !(await stillMisses(trx, job))) return
  log.warn({ job: id, state: job.state, entry: entry_state }, 'reconcile.mended')
  if (entry_state === 'failed' && !(await isLanding(trx, job))) await giveUp(trx, job, problem)
  else await waitAgain(trx, job)
}

/** A written landing may be at the remote already: only the lane, which asks the remote, may say how it ended. */
async function isLanding(trx: Transaction, job: JobRow): Promise<boolean> {
  const landing = await trx
    .selectFrom('landings')
    .select('id')
    .where('job_id', '=', job.id)
    .where('state', '=', 'written')
    .executeTakeFirst()
  return landing !== undefined
}

async function stillMisses(trx: Transaction, job: JobRow): Promise<boolean> {
  const needsEntry =
    job.state === 'running' ||
    ((job.state === 'queued' || job.state === 'merging') && job.queue_entry !== null)
  if (!needsEntry) return false
  const { rows } = await sql<{
    state: string
  }>`select state from pgboss.job where id = ${job.queue_entry}`.execute(trx)
  const state = rows[0]?.state
  return state === undefined || state === 'completed' || state === 'cancelled' || state === 'failed'
}

async function giveUp(trx: Transaction, job: JobRow, problem: string | null): Promise<void> {
  const cause = 'worker_lost'
  const what =
    problem === null || QUEUES_OWN_WORDS.test(problem)
      ? 'Its worker died'
      : `It could not be begun (${toText(problem).slice(0, 500)})`
  const message = `${what} ${CRASH_LIMIT + 1} times while this job ran. Look at the worker's log and memory, then: flowforge retry ${job.number}`
  await endLost(trx, job)
  if (job.state === 'queued')
    await trx.updateTable('jobs').set({ state: 'running' }).where('id', '=', job.id).execute()
  await trx
    .updateTable('jobs')
    .set({
      state: 'failed',
      cause,
      message,
      current_execution: null,
      queue_entry: null,
      finished_at: sql<Date>`now()`,
    })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.failed', facts: { cause, message } }])
}

/** What pg-boss writes when a heartbeat or the time of an entry ran out. */
const QUEUES_OWN_WORDS = /heartbeat|timed? ?out|expired/i

/** The entry is gone (deleted by hand, or lost with a restored backup): admission sends a new one. */
async function waitAgain(trx: Transaction, job: JobRow): Promise<void> {
  await endLost(trx, job)
  await trx
    .updateTable('jobs')
    .set({
      state: job.state === 'running' ? 'queued' : job.state,
      current_execution: null,
      queue_entry: null,
    })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [
    { kind: 'job.recovered', facts: { phase: job.state, lost: job.current_execution } },
  ])
  await notify(trx, 'flowforge_admission', job.id)
}

async function endLost(trx: Transaction, job: JobRow): Promise<void> {
  if (job.current_execution === null) return
  await endExecution(trx, job.current_execution as ExecutionId, {
    outcome: 'lost',
    cause: 'worker_lost',
    message: 'The worker died or was cut off.',
  })
}
