/**
 * Delivery of jobs to workers: pg-boss, with what it lacks added here.
 *
 * pg-boss gives leases with heartbeats, retries after a crash and wake-ups. It is not the truth: `jobs` and
 * `job_executions` are, and a queue entry holds a job's id and nothing else.
 *
 * Settings and traps were measured; the numbers behind them are in docs/decisions/0006-queue-settings.md:
 *   - heartbeat 15 s, refreshed each 5 s: a job of two hours is still recovered within 20 s of its worker's death
 *   - one `work()` per slot: notifyWorker wakes only the first of several slots of one call
 *   - supervise only after 11 s of unbroken reach to the database: otherwise an outage longer than the heartbeat
 *     lets the supervisor declare live jobs dead before their heartbeats come back
 *   - retryDelay 1: a larger one delays crash recovery too
 */
import { PgBoss, fromKysely } from 'pg-boss'
import { z } from 'zod'
import type { Transaction } from '#db'
import { sleep } from '#lib/clock.ts'
import type { JobId } from '#lib/ids.ts'
import type { Log } from '#telemetry'

export const QUEUES = {
  'job.run': { expireInSeconds: 86_400, policy: 'standard' },
  'job.land': { expireInSeconds: 7200, policy: 'singleton' },
} as const
export type QueueName = keyof typeof QUEUES

/** How often a dead worker's entry is given to another before the job is ended (a job that kills workers must not go on for ever). */
export const CRASH_LIMIT = 5

/** An entry holds an id and nothing else: what a job is stands in `jobs`, under row-level security. */
const payloadSchema = z.object({ jobId: z.uuid() })

/** One delivery of one entry: completing it counts only while no later delivery was made. */
export type Delivery = {
  readonly queue: QueueName
  readonly entry: string
  readonly retry: number
  readonly jobId: JobId
}

export type SendOptions = {
  readonly jobId: JobId
  /** Entries of one lane are delivered one at a time. */
  readonly lane?: string
  readonly priority?: number
  readonly startAfter?: Date
}

export type JobQueue = AsyncDisposable & {
  /** Puts an entry in, at commit. Answers its id. */
  send(trx: Transaction, queue: QueueName, options: SendOptions): Promise<string>
  /** Ends a delivery, at commit. False when it is no longer ours. */
  complete(trx: Transaction, delivery: Delivery): Promise<boolean>
  /** Serves `places` deliveries at a time, each with a signal that is aborted when the lease is lost. */
  work(
    queue: QueueName,
    places: number,
    handle: (delivery: Delivery, signal: AbortSignal) => Promise<void>,
  ): Promise<void>
  /** Takes no more deliveries; those under way go on. */
  stopTaking(): Promise<void>
}

export async function createJobQueue(options: {
  readonly url: string
  readonly places: number
  readonly name: string
  readonly log: Log
}): Promise<JobQueue> {
  const { log } = options
  const boss = new PgBoss({
    connectionString: options.url,
    schema: 'pgboss',
    max: Math.min(options.places + 4, 40),
    application_name: `flowforge-${options.name}`,
    useListenNotify: true,
    supervise: false,
    monitorIntervalSeconds: 1,
    schedule: false,
    migrate: false,
    createSchema: false,
    instanceName: options.name,
    monitorVacuum: false,
    reindex: false,
  })
  boss.on('error', (error) => log.warn({ error: error.message }, 'queue.error'))
  boss.on('warning', (warning) => log.debug({ warning }, 'queue.warning'))
  await boss.start()
  await boss.createQueue('job.dead')
  for (const [queue, { expireInSeconds, policy }] of Object.entries(QUEUES)) {
    await boss.createQueue(queue, {
      policy,
      notify: true,
      heartbeatSeconds: 15,
      expireInSeconds,
      retryLimit: CRASH_LIMIT,
      retryDelay: 1,
      retryBackoff: true,
      retryDelayMax: 60,
      deleteAfterSeconds: 2 * 86_400,
      deadLetter: 'job.dead',
    })
  }
  const stopping = new AbortController()
  const guard = superviseWhenReachable(boss, stopping.signal, log)

  return {
    async send(trx, queue, { jobId, lane, priority, startAfter }) {
      const entry = await boss.send(
        queue,
        { jobId },
        {
          db: fromKysely(trx),
          ...(lane === undefined ? {} : { singletonKey: lane }),
          ...(priority === undefined ? {} : { priority }),
          ...(startAfter === undefined ? {} : { startAfter }),
        },
      )
      if (entry === null) throw new Error(`the queue ${queue} took no entry for job ${jobId}`)
      return entry
    },

    async complete(trx, { queue, entry, retry }) {
      const answer = await boss.complete(queue, { id: entry, retryCount: retry }, null, {
        db: fromKysely(trx),
      })
      return affected(answer) > 0
    },

    async work(queue, places, handle) {
      for (let place = 0; place < places; place += 1) {
        const worker: string = await boss.work(
          queue,
          {
            batchSize: 1,
            includeMetadata: true,
            heartbeatRefreshSeconds: 5,
            pollingIntervalSeconds: 2,
            notifyPollingIntervalSeconds: 2,
          },
          async ([job]) => {
            if (!job) return
            const { jobId } = payloadSchema.parse(job.data)
            const delivery = { queue, entry: job.id, retry: job.retryCount, jobId: jobId as JobId }
            try {
              await handle(delivery, job.signal)
            } finally {
              // A slot takes one job per polling interval unless it is woken.
              boss.notifyWorker(worker)
            }
          },
        )
      }
    },

    async stopTaking() {
      for (const queue of Object.keys(QUEUES)) await boss.offWork(queue, { wait: false })
    },

    async [Symbol.asyncDispose]() {
      stopping.abort()
      await guard
      await boss.stop({ graceful: true, timeout: 5_000, close: true })
    },
  }
}

/** pg-boss answers how many rows it changed, but leaves that out of its types. */
function affected(answer: unknown): number {
  return typeof answer === 'object' && answer !== null && 'affected' in answer ? Number(answer.affected) : 0
}

const UNBROKEN_MS = 11_000
const SUPERVISE_EVERY_MS = 5_000
const PAUSE_MS = 5_000

async function superviseWhenReachable(boss: PgBoss, signal: AbortSignal, log: Log): Promise<void> {
  let reachableSince: number | undefined
  let supervisedAt = 0
  let lookedAt = Date.now()
  while (!signal.aborted) {
    const now = performance.now()
    // By the wall clock, which goes on while a laptop sleeps: after a pause of this process (SIGSTOP, a suspended
    // machine) its own live jobs look dead until their heartbeats have come back.
    const pausedMs = Date.now() - lookedAt
    if (pausedMs > PAUSE_MS) reachableSince = undefined
    lookedAt = Date.now()
    try {
      await boss.getDb().executeSql('select 1')
      reachableSince ??= now
      if (now - reachableSince >= UNBROKEN_MS && now - supervisedAt >= SUPERVISE_EVERY_MS) {
        supervisedAt = now
        await boss.supervise()
      }
    } catch (error) {
      reachableSince = undefined
      log.warn({ error: error instanceof Error ? error.message : String(error) }, 'queue.database-away')
    }
    await sleep(1_000, signal)
  }
}
