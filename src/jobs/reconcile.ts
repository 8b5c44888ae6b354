/**
 * Compares jobs with the queue and mends what does not fit: a job whose entry is gone waits for admission again; a
 * job whose entry was given up (it outlived too many workers) ends with its cause. One snapshot, one transaction:
 * entries and jobs change together, so what does not fit in a snapshot really does not fit.
 */
import { sql } from 'kysely'
import { asSystem, notify, type Transaction } from '#db'
import type { ExecutionId } from '#lib/ids.ts'
import { endExecution } from './claim.ts'
import { appendEvents } from './events.ts'
import { CRASH_LIMIT } from './queue.ts'
import { keyOf, lockJob, type JobRow } from './store.ts'
import type { WorkerTools } from './work.ts'

type Mismatch = { readonly id: string; readonly entry_state: string | null }

export async function reconcile(tools: Pick<WorkerTools, 'databases' | 'log'>): Promise<void> {
  const found = await asSystem(tools.databases, async (trx) => {
    const { rows } = await sql<Mismatch>`
      select jobs.id, entries.state as entry_state
      from jobs left join pgboss.job entries on entries.id = jobs.queue_entry
      where (jobs.state in ('running') or (jobs.state in ('queued', 'merging') and jobs.queue_entry is not null))
        and (entries.id is null or entries.state in ('completed', 'cancelled', 'failed'))
      limit 200`.execute(trx)
    return rows
  })
  for (const { id, entry_state } of found) {
    await asSystem(tools.databases, async (trx) => {
      const job = await lockJob(trx, id)
      if (!job || !(await stillMisses(trx, job))) return
      tools.log.warn({ job: id, state: job.state, entry: entry_state }, 'reconcile.mended')
      if (entry_state === 'failed') await giveUp(trx, job)
      else await waitAgain(trx, job)
    })
  }
}

async function stillMisses(trx: Transaction, job: JobRow): Promise<boolean> {
  const { rows } = await sql<{ state: string }>`select state from pgboss.job where id = ${job.queue_entry}`.execute(trx)
  const state = rows[0]?.state
  return state === undefined || state === 'completed' || state === 'cancelled' || state === 'failed'
}

async function giveUp(trx: Transaction, job: JobRow): Promise<void> {
  const cause = 'worker_lost'
  const message = `Its worker died ${CRASH_LIMIT + 1} times while this job ran. Look at the worker's log and memory, then: flowforge retry ${job.number}`
  await endLost(trx, job)
  if (job.state === 'queued') await trx.updateTable('jobs').set({ state: 'running' }).where('id', '=', job.id).execute()
  await trx
    .updateTable('jobs')
    .set({ state: 'failed', cause, message, current_execution: null, queue_entry: null, finished_at: sql<Date>`now()` })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.failed', facts: { cause, message } }])
}

/** The entry is gone (deleted by hand, or lost with a restored backup): admission sends a new one. */
async function waitAgain(trx: Transaction, job: JobRow): Promise<void> {
  await endLost(trx, job)
  await trx
    .updateTable('jobs')
    .set({ state: job.state === 'running' ? 'queued' : job.state, current_execution: null, queue_entry: null })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.recovered', facts: { phase: job.state, lost: job.current_execution } }])
  await notify(trx, 'flowforge_admission', job.id)
}

async function endLost(trx: Transaction, job: JobRow): Promise<void> {
  if (job.current_execution === null) return
  await endExecution(trx, job.current_execution as ExecutionId, { outcome: 'lost', cause: 'worker_lost', message: 'The worker died or was cut off.' })
}
