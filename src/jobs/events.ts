/**
 * What happened to a job, numbered without gaps: the number is taken from the job row in the transaction that
 * writes the event, so a reader that resumes after N misses none.
 */
import { sql } from 'kysely'
import { inOrganization, notify, type Databases, type Transaction } from '#db'
import { sleep } from '#lib/clock.ts'
import type { ExecutionId } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import type { JobKey } from './job.ts'
import { toJsonb } from './jsonb.ts'

export type NewEvent = {
  readonly kind: string
  readonly facts: Readonly<Record<string, unknown>>
  readonly occurredAt?: Date
}

/**
 * Writes events in the caller's transaction. With an execution it is fenced: false, and nothing written, when that
 * execution no longer has the job.
 */
export async function appendEvents(
  trx: Transaction,
  job: JobKey,
  events: readonly NewEvent[],
  executionId?: ExecutionId,
): Promise<boolean> {
  const count = events.length
  const row = await trx
    .updateTable('jobs')
    .set({ next_event: sql<number>`next_event + ${count}` })
    .where('id', '=', job.id)
    .$if(executionId !== undefined, (query) => query.where('current_execution', '=', executionId ?? null))
    .returning('next_event')
    .executeTakeFirst()
  if (!row) return false
  if (count === 0) return true
  const first = Number(row.next_event) - count
  await trx
    .insertInto('job_events')
    .values(
      events.map((event, index) => ({
        occurred_at: event.occurredAt ?? new Date(),
        organization_id: job.organizationId,
        job_id: job.id,
        number: first + index,
        execution_id: executionId ?? null,
        kind: event.kind,
        facts: toJsonb(event.facts),
      })),
    )
    .execute()
  await notify(trx, 'flowforge_job_events', job.id)
  return true
}

/** The events of one execution while it runs: written in small batches, kept while the database is away. */
export type EventLog = AsyncDisposable & {
  write(kind: string, facts: Readonly<Record<string, unknown>>): void
  /** Waits until everything written so far is in the database. */
  flush(): Promise<void>
}

const BATCH = 200
/** What comes within this time after a write goes together: an agent that begins says ten things in a quarter of a second. */
const GATHER_MS = 50
/** Beyond this many kept events (the database has long been away) the oldest are dropped, and the log says how many. */
const KEPT_AT_MOST = 20_000
const KEPT_AT_MOST_CHARACTERS = 32 * 1024 ** 2
/**
 * What an agent may write into the log of one try. A tool inside the sandbox can write to Claude's own output and say
 * whatever it likes, as fast as it likes: 44,000 events with 338 MB in 16 s before there was a limit.
 */
const AGENT_MAY_TELL_CHARACTERS = 64 * 1024 ** 2

export function createEventLog(options: {
  readonly databases: Databases
  readonly job: JobKey
  readonly executionId: ExecutionId
  readonly log: Log
  /** Called when the execution no longer has the job: whatever still runs for it must stop. */
  readonly onStale: () => void
}): EventLog {
  const { databases, job, executionId, log } = options
  let kept: (NewEvent & { readonly size: number })[] = []
  let keptCharacters = 0
  let dropped = 0
  let agentTold = 0
  let writing: Promise<void> | undefined
  let stale = false
  /** Aborted while somebody waits for what is written. */
  let hurry = new AbortController()

  async function writeAll(): Promise<void> {
    while (kept.length > 0 && !stale) {
      const batch = kept.slice(0, BATCH)
      try {
        const ours = await inOrganization(databases, job.organizationId, (trx) =>
          appendEvents(trx, job, batch, executionId),
        )
        if (!ours) {
          stale = true
          kept = []
          keptCharacters = 0
          options.onStale()
          return
        }
        kept = kept.slice(batch.length)
        for (const { size } of batch) keptCharacters -= size
        if (!hurry.signal.aborted) await sleep(GATHER_MS, hurry.signal)
      } catch (error) {
        log.warn({ error: String(error), kept: kept.length }, 'events.database-away')
        await sleep(500)
      }
    }
  }

  function keep(kind: string, facts: NewEvent['facts'], size: number): void {
    // The batch at the beginning is being written.
    while (kept.length > BATCH && isTooMuch(size)) {
      for (const one of kept.splice(BATCH, 1)) keptCharacters -= one.size
      dropped += 1
      if (dropped % 1000 === 1) log.error({ dropped }, 'events.dropped')
    }
    kept.push({ kind, facts, occurredAt: new Date(), size })
    keptCharacters += size
    void start()
  }

  function isTooMuch(more: number): boolean {
    return kept.length >= KEPT_AT_MOST || keptCharacters + more > KEPT_AT_MOST_CHARACTERS
  }

  function start(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
    return writing
  }

  return {
    write(kind, facts) {
      if (stale) return
      const size = sizeOf(facts)
      if (kind.startsWith('agent.')) {
        if (agentTold > AGENT_MAY_TELL_CHARACTERS) return
        agentTold += size
        if (agentTold > AGENT_MAY_TELL_CHARACTERS) {
          keep(
            'agent.notice',
            { text: 'The agent has said too much: what it says from here on is not kept.' },
            100,
          )
          return
        }
      }
      keep(kind, facts, size)
    },
    async flush() {
      hurry.abort()
      while (kept.length > 0 && !stale) await start()
      hurry = new AbortController()
    },
    async [Symbol.asyncDispose]() {
      await this.flush()
    },
  }
}

function sizeOf(facts: NewEvent['facts']): number {
  let size = 100
  for (const value of Object.values(facts))
    size +=
      typeof value === 'string' ? value.length : typeof value === 'object' ? JSON.stringify(value).length : 8
  return size
}
