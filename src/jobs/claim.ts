/**
 * The fence. A claim is one worker's right to one job, for one execution: every later write is made
 * "where current_execution = mine", so that a worker that was thought dead cannot write over its successor.
 */
import { sql } from 'kysely'
import type { Transaction } from '#db'
import { newId, type ExecutionId, type JobId, type OrganizationId, type WorkerId } from '#lib/ids.ts'
import { appendEvents, type NewEvent } from './events.ts'
import type { JobKey } from './job.ts'
import { toJsonb, toText } from './jsonb.ts'
import type { Delivery } from './queue.ts'
import { lockJob, type JobRow } from './store.ts'

export type Claim = {
  readonly phase: 'run' | 'land'
  readonly executionId: ExecutionId
  readonly attempt: number
  readonly delivery: Delivery
  readonly job: JobRow
  readonly key: JobKey
}

/** Thrown when the job has gone to another execution: drop everything, write nothing. */
export class StaleClaim extends Error {
  override readonly name = 'StaleClaim'
}

/** Takes the job for this delivery. Undefined when the delivery is out of date: the job ended, or went on by another entry. */
export async function claimJob(
  trx: Transaction,
  delivery: Delivery,
  workerId: WorkerId,
): Promise<Claim | undefined> {
  const job = await lockJob(trx, delivery.jobId)
  if (!job || job.queue_entry !== delivery.entry) return undefined
  const phase = delivery.queue === 'job.run' ? 'run' : 'land'
  const claimable = phase === 'run' ? ['queued', 'running'] : ['merging']
  if (!claimable.includes(job.state)) return undefined

  const key = { id: job.id as JobId, organizationId: job.organization_id as OrganizationId }
  const executionId = newId<'execution'>()
  const attempt = job.attempts + (phase === 'run' ? 1 : 0)
  const events: NewEvent[] = []
  const lost = job.current_execution !== null
  if (lost) {
    await endExecution(trx, job.current_execution as ExecutionId, {
      outcome: 'lost',
      cause: 'worker_lost',
      message: 'The worker died or was cut off.',
    })
    events.push({ kind: 'job.recovered', facts: { phase, lost: job.current_execution } })
  }
  await trx
    .insertInto('job_executions')
    .values({
      id: executionId,
      organization_id: job.organization_id,
      job_id: job.id,
      kind: phase,
      attempt,
      worker_id: workerId,
      queue_entry: delivery.entry,
      queue_retry: delivery.retry,
    })
    .execute()
  const claimed = await trx
    .updateTable('jobs')
    .set({
      current_execution: executionId,
      infrastructure_failures: job.infrastructure_failures + (lost ? 1 : 0),
      ...(phase === 'run'
        ? { state: 'running', attempts: attempt, started_at: sql<Date>`coalesce(started_at, now())` }
        : {}),
    })
    .where('id', '=', job.id)
    .returningAll()
    .executeTakeFirstOrThrow()
  events.push({
    kind: phase === 'run' ? 'job.running' : 'job.merging',
    facts: { attempt, execution: executionId },
  })
  await appendEvents(trx, key, events, executionId)
  return { phase, executionId, attempt, delivery, job: claimed, key }
}

export async function endExecution(
  trx: Transaction,
  id: ExecutionId,
  end: {
    readonly outcome: string
    readonly cause: string | null
    readonly message: string | null
    readonly usage?: unknown
  },
): Promise<void> {
  await trx
    .updateTable('job_executions')
    .set({
      ended_at: sql<Date>`now()`,
      outcome: end.outcome,
      cause: end.cause,
      message: end.message === null ? null : toText(end.message),
      ...(end.usage === undefined ? {} : { usage: toJsonb(end.usage) }),
    })
    .where('id', '=', id)
    .where('ended_at', 'is', null)
    .execute()
}
