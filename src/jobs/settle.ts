/**
 * How a run or a landing ends: one transaction that moves the job, ends the execution, writes the events, sends the
 * next queue entry and completes this one. It is tried until the database is back, so that work that is done is
 * never done twice because of an outage.
 */
import { sql } from 'kysely'
import { asSystem, isOutage, notify, type Databases, type Transaction } from '#db'
import { sleep } from '#lib/clock.ts'
import { expectNever } from '#lib/expect-never.ts'
import type { JobId } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import { endExecution, StaleClaim, type Claim } from './claim.ts'
import { appendEvents, type NewEvent } from './events.ts'
import type { JobQueue } from './queue.ts'
import { toJsonb, toText } from './jsonb.ts'
import { laneOf } from './lane.ts'
import type { JobState } from './state.ts'

/** Why something ended: a stable word for programs, a sentence for people that says what to do. */
export type Why = { readonly cause: string; readonly message: string }

export type End =
  /** The run brought a result home: on to the merge lane. */
  | {
      readonly kind: 'result'
      readonly baseCommit: string
      readonly resultCommit: string
      readonly resultBlob: string
      readonly summary: string
    }
  | { readonly kind: 'landed'; readonly commit: string; readonly branch: string }
  | ({ readonly kind: 'review'; readonly reasons: readonly string[]; readonly branch?: string } & Why)
  /** The same phase again, later. `counts`: against which limit this try counts; a worker that is stopped counts against none. */
  | ({ readonly kind: 'again'; readonly delayMs: number; readonly counts?: 'agent' | 'infrastructure' } & Why)
  | ({ readonly kind: 'paused' } & Why)
  | ({ readonly kind: 'failed'; readonly branch?: string } & Why)
  | { readonly kind: 'cancelled'; readonly message: string }

export type Settlement = {
  readonly end: End
  readonly usage?: unknown
  readonly sessionId?: string
  readonly simulated?: boolean
  readonly costNanoDollars?: number
}

const KEEP_TRYING_MS = 15 * 60_000

export async function settle(
  tools: { readonly databases: Databases; readonly queue: JobQueue; readonly log: Log },
  claim: Claim,
  settlement: Settlement,
): Promise<void> {
  const until = performance.now() + KEEP_TRYING_MS
  for (let delayMs = 100; ; delayMs = Math.min(delayMs * 2, 5_000)) {
    try {
      await asSystem(tools.databases, (trx) => settleOnce(trx, tools.queue, claim, settlement))
      return
    } catch (error) {
      if (error instanceof StaleClaim || performance.now() > until || !isOutage(error)) throw error
      tools.log.warn({ job: claim.key.id, error: String(error) }, 'settle.database-away')
      await sleep(delayMs)
    }
  }
}

async function settleOnce(
  trx: Transaction,
  queue: JobQueue,
  claim: Claim,
  settlement: Settlement,
): Promise<void> {
  const job = await trx
    .selectFrom('jobs')
    .select('cancel_requested_at')
    .where('id', '=', claim.key.id)
    .where('current_execution', '=', claim.executionId)
    .forUpdate()
    .executeTakeFirst()
  if (!job) throw new StaleClaim()
  const end = job.cancel_requested_at ? cancelledInstead(settlement.end) : settlement.end
  const move = describe(claim, end)
  await appendEvents(trx, claim.key, move.events, claim.executionId)
  const final = move.state === 'succeeded' || move.state === 'failed' || move.state === 'cancelled'
  const entry = move.next
    ? await queue.send(trx, move.next.queue, {
        jobId: claim.key.id,
        priority: claim.job.priority,
        ...(move.next.queue === 'job.land' ? { lane: laneOf(claim.job) } : {}),
        ...(move.next.delayMs > 0 ? { startAfter: new Date(Date.now() + move.next.delayMs) } : {}),
      })
    : null
  await trx
    .updateTable('jobs')
    .set({
      state: move.state,
      current_execution: null,
      queue_entry: entry,
      cause: move.cause,
      message: move.message === null ? null : toText(move.message),
      ...move.columns,
      ...(final ? { finished_at: sql<Date>`now()` } : {}),
      ...(settlement.sessionId === undefined ? {} : { session_id: settlement.sessionId }),
      ...(settlement.simulated ? { simulated: true } : {}),
      ...(settlement.costNanoDollars === undefined ? {} : { cost_nano_dollars: settlement.costNanoDollars }),
    })
    .where('id', '=', claim.key.id)
    .where('current_execution', '=', claim.executionId)
    .execute()
  await endExecution(trx, claim.executionId, {
    outcome: end.kind,
    cause: move.cause,
    message: move.message,
    ...(settlement.usage === undefined ? {} : { usage: settlement.usage }),
  })
  if (end.kind === 'landed') await settleOpenLanding(trx, claim.key.id)
  if (!(await queue.complete(trx, claim.delivery))) throw new StaleClaim()
  await notify(trx, 'flowforge_admission', claim.key.id)
}

async function settleOpenLanding(trx: Transaction, jobId: JobId): Promise<void> {
  await trx
    .updateTable('landings')
    .set({ state: 'landed', settled_at: sql<Date>`now()` })
    .where('job_id', '=', jobId)
    .where('state', '=', 'written')
    .execute()
}

/** Somebody asked to cancel while this ended: a job that would wait or try again ends; what landed or failed has ended so. */
function cancelledInstead(end: End): End {
  const goesOn = end.kind === 'again' || end.kind === 'review' || end.kind === 'paused'
  return goesOn ? { kind: 'cancelled', message: `Cancelled. ${end.message}` } : end
}

type Move = {
  readonly state: JobState
  readonly cause: string | null
  readonly message: string | null
  readonly events: readonly NewEvent[]
  readonly columns: Readonly<Record<string, unknown>>
  readonly next?: { readonly queue: 'job.run' | 'job.land'; readonly delayMs: number }
}

function describe(claim: Claim, end: End): Move {
  switch (end.kind) {
    case 'result':
      return {
        state: 'merging',
        cause: null,
        message: end.summary.slice(0, 10_000),
        events: [
          {
            kind: 'job.result',
            facts: { commit: end.resultCommit, base: end.baseCommit, summary: end.summary.slice(0, 4_000) },
          },
        ],
        columns: {
          base_commit: end.baseCommit,
          result_commit: end.resultCommit,
          result_blob: end.resultBlob,
          infrastructure_failures: 0,
        },
        next: { queue: 'job.land', delayMs: 0 },
      }
    case 'landed':
      return {
        state: 'succeeded',
        cause: null,
        message: claim.job.message,
        events: [{ kind: 'job.succeeded', facts: { commit: end.commit, branch: end.branch } }],
        columns: {
          landed_commit: end.commit,
          review_reasons: null,
          ...(claim.job.landing === 'branch' ? { result_branch: end.branch } : {}),
        },
      }
    case 'review':
      return {
        state: 'needs_review',
        cause: end.cause,
        message: end.message,
        events: [
          {
            kind: 'job.needs_review',
            facts: { cause: end.cause, message: end.message, reasons: end.reasons },
          },
        ],
        columns: {
          review_reasons: toJsonb(end.reasons),
          ...(end.branch === undefined ? {} : { result_branch: end.branch }),
        },
      }
    case 'again': {
      const events = [
        { kind: 'job.retry', facts: { cause: end.cause, message: end.message, delayMs: end.delayMs } },
      ]
      const counted =
        end.counts === 'agent'
          ? { agent_failures: claim.job.agent_failures + 1 }
          : end.counts === 'infrastructure'
            ? { infrastructure_failures: claim.job.infrastructure_failures + 1 }
            : {}
      // A landing keeps its lane entry; a run waits for admission again, so that it does not hold a place meanwhile.
      return claim.phase === 'land'
        ? {
            state: 'merging',
            cause: end.cause,
            message: end.message,
            events,
            columns: counted,
            next: { queue: 'job.land', delayMs: end.delayMs },
          }
        : {
            state: 'queued',
            cause: end.cause,
            message: end.message,
            events,
            columns: { ...counted, run_after: sql<Date>`now() + ${end.delayMs} * interval '1 millisecond'` },
          }
    }
    case 'paused':
      return {
        state: 'paused',
        cause: end.cause,
        message: end.message,
        events: [{ kind: 'job.paused', facts: { cause: end.cause, message: end.message } }],
        columns: {},
      }
    case 'failed':
      return {
        state: 'failed',
        cause: end.cause,
        message: end.message,
        events: [{ kind: 'job.failed', facts: { cause: end.cause, message: end.message } }],
        columns: end.branch === undefined ? {} : { result_branch: end.branch },
      }
    case 'cancelled':
      return {
        state: 'cancelled',
        cause: 'cancelled',
        message: end.message,
        events: [{ kind: 'job.cancelled', facts: { message: end.message } }],
        columns: {},
      }
    default:
      return expectNever(end)
  }
}
