/**
 * Reserves the most a call can cost before it is sent, over all budgets above it at once. Calls that come together are
 * reserved together: one statement for a batch, however many gateways do the same at the same time.
 *
 *   ask ──> grant ──────────────> sent ──> settled (by the ledger)
 *      ├──> refused: spent            └──> its gateway died: settled at what was reserved, estimated
 *      └──> waits while calls under way hold the money ──> grant | refused | crowded
 */
import { sql } from 'kysely'
import type { Databases } from '#db'
import { sleep, type Clock } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import type { Book } from './book.ts'
import type { CounterId, Owner, Standing } from './budget.ts'
import { decide, type CounterState, type Decision } from './decide.ts'

export type Ask = {
  readonly id: string
  readonly occurredAt: Date
  readonly owner: Owner
  /** The hard and soft budgets above the call, from the book. */
  readonly standings: readonly Standing[]
  readonly wantedNano: number
  readonly comfortableNano: number
  readonly leastNano: number
  /** Sent as soon as it is granted: so it is recorded with the reservation itself. */
  readonly isSentAtOnce: boolean
  /** What the ledger says of the call when this process dies before it can. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
}

export type Reply =
  | { readonly kind: 'granted'; readonly nano: number; readonly waitedMs: number }
  | { readonly kind: 'refused'; readonly standing: Standing }
  /** It waited, and calls under way still hold the money. */
  | { readonly kind: 'crowded'; readonly standing: Standing }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unavailable' }

export type Reservations = AsyncDisposable & {
  reserve(ask: Ask): Promise<Reply>
  /** Before sending what was not granted as sent. False: the reservation is not there any more; do not send. */
  markSent(id: string): Promise<boolean>
  /** Never sent: gives all of it back. */
  release(id: string): void
  /** Money was settled or given back here: who waits may go now. */
  wake(): void
  readonly waiting: number
}

export type ReservationOptions = {
  readonly databases: Databases
  readonly book: Book
  readonly holderId: string
  readonly clock: Clock
  readonly log: Log
  readonly patienceMs?: number
}

/** Below the ten minutes of Claude Code, above what a long answer holds money for. */
const PATIENCE_MS = 5 * 60_000
/** Money that another gateway gives back is found this late. */
const LOOK_AGAIN_MS = 100
const CALLS_PER_BATCH = 100
/** Of those that wait for one counter, how many are looked at each time: the others stand behind them. */
const HEADS = 16
const MOST_WAITING = 20_000

type Pending = Ask & {
  readonly counters: readonly CounterId[]
  readonly resolve: (reply: Reply) => void
  readonly since: number
}

export function createReservations(options: ReservationOptions): Reservations {
  const { databases, clock, log, book, patienceMs = PATIENCE_MS } = options
  let fresh: Pending[] = []
  const waiting = new Map<CounterId, Pending[]>()
  const releasing: string[] = []
  const states = new Map<CounterId, CounterState>()
  let waitingCount = 0
  let isRunning = false
  let again = false
  const closed = new AbortController()
  const timer = setInterval(() => {
    if (waitingCount > 0) run()
  }, LOOK_AGAIN_MS)
  timer.unref()

  function run(): void {
    again = true
    if (isRunning) return
    isRunning = true
    void (async () => {
      while (again && !closed.signal.aborted) {
        again = false
        await round()
        if (fresh.length > 0) again = true
      }
      isRunning = false
    })()
  }

  async function round(): Promise<void> {
    if (releasing.length > 0) await giveBack()
    const batch = takeBatch()
    if (batch.length === 0) return
    try {
      await settleBatch(batch)
    } catch (error) {
      log.warn({ error: String(error), calls: batch.length }, 'costs.reserve_failed')
      // Whether the statement was carried out is not known: what it may have reserved is given back.
      releasing.push(...batch.map(({ id }) => id))
      for (const one of batch) one.resolve({ kind: 'unavailable' })
    }
  }

  /** Those that wait first, then the new ones. */
  function takeBatch(): Pending[] {
    const batch: Pending[] = []
    for (const [counter, queue] of waiting) {
      const heads = queue.splice(0, HEADS)
      if (queue.length === 0) waiting.delete(counter)
      batch.push(...heads)
      waitingCount -= heads.length
    }
    batch.push(...fresh.splice(0, CALLS_PER_BATCH))
    return batch.filter((one) => {
      if (!one.signal.aborted) return true
      one.resolve({ kind: 'gone' })
      return false
    })
  }

  /**
   * Decides on what is known, has the database do it if it still holds, and decides again on what it answered if not:
   * a gateway that is told "no" here was beaten by another that was told "yes", so somebody always goes on.
   */
  async function settleBatch(batch: Pending[]): Promise<void> {
    for (let left = batch; left.length > 0;) {
      const decisions = decide(left.map(toWant), states)
      const grants = left.flatMap((one, at) => {
        const decision = decisions[at]
        return decision?.kind === 'grant' ? [{ one, nano: decision.nano }] : []
      })
      const counters = new Set(left.flatMap((one) => one.counters))
      const isDone = await reserveAll(grants, counters)
      if (!isDone) continue
      for (const { one, nano } of grants)
        one.resolve({ kind: 'granted', nano, waitedMs: clock.now() - one.since })
      const granted = new Set(grants.map(({ one }) => one))
      left = left.filter((one) => !granted.has(one))
      if (left.length === 0) return
      // What was decided on old figures is decided again on those that the statement answered.
      const sure = decide(left.map(toWant), states)
      if (sure.some(({ kind }) => kind === 'grant')) continue
      left.forEach((one, at) => conclude(one, sure[at]))
      return
    }
  }

  function conclude(one: Pending, decision: Decision | undefined): void {
    if (decision === undefined || decision.kind === 'grant') return
    const standing = standingOf(one, decision.counter)
    if (decision.kind === 'refuse') return one.resolve({ kind: 'refused', standing })
    if (isLate(one) || waitingCount >= MOST_WAITING) return one.resolve({ kind: 'crowded', standing })
    const queue = waiting.get(decision.counter) ?? []
    // Back to the place it had: who came before it stays before it.
    const at = queue.findIndex((other) => other.since > one.since)
    if (at === -1) queue.push(one)
    else queue.splice(at, 0, one)
    waiting.set(decision.counter, queue)
    waitingCount++
  }

  function standingOf(one: Pending, counter: CounterId): Standing {
    const standing = one.standings.find(({ counterId }) => counterId === counter) ?? one.standings[0]
    if (standing === undefined) throw new Error('a call without a budget was asked for')
    return { ...standing, ...states.get(counter) }
  }

  const isLate = (one: Pending): boolean => clock.now() - one.since >= patienceMs
  const toWant = (one: Pending) => ({
    counters: one.counters,
    wantedNano: one.wantedNano,
    comfortableNano: one.comfortableNano,
    leastNano: one.leastNano,
    isLate: isLate(one),
  })

  async function reserveAll(
    grants: readonly { readonly one: Pending; readonly nano: number }[],
    counters: ReadonlySet<CounterId>,
  ): Promise<boolean> {
    const calls = grants.map(({ one, nano }) => ({
      id: one.id,
      at: one.occurredAt,
      organization: one.owner.organizationId,
      nano,
      counters: one.counters,
      sent: one.isSentAtOnce,
      facts: one.facts,
    }))
    const { rows } = await sql<CounterRow>`
      select * from reserve_calls(${options.holderId}::uuid, ${JSON.stringify(calls)}::jsonb, ${[...counters]}::uuid[])`.execute(
      databases.system,
    )
    // A counter that is not answered was removed with its budget: it sets no limit any more.
    for (const counter of counters) states.delete(counter)
    for (const row of rows)
      states.set(row.counter_id, {
        hard: row.is_hard,
        limitNano: row.limit_nano,
        spentNano: row.spent_nano,
        reservedNano: row.reserved_nano,
      })
    if (states.size > 10_000) states.clear()
    book.learn(states)
    return rows[0]?.admitted ?? true
  }

  async function giveBack(): Promise<void> {
    const ids = releasing.splice(0)
    try {
      await sql`select release_calls(${ids}::uuid[])`.execute(databases.system)
    } catch (error) {
      log.warn({ error: String(error), calls: ids.length }, 'costs.release_failed')
      releasing.push(...ids)
      void sleep(1000, closed.signal).then(run)
    }
  }

  return {
    reserve(ask) {
      if (closed.signal.aborted) return Promise.resolve({ kind: 'unavailable' })
      return new Promise((resolve) => {
        const counters = ask.standings.map(({ counterId }) => counterId)
        for (const one of ask.standings) if (!states.has(one.counterId)) states.set(one.counterId, one)
        fresh.push({ ...ask, counters, resolve, since: clock.now() })
        // Those that come in the same turn go together.
        if (fresh.length === 1) queueMicrotask(run)
      })
    },
    async markSent(id) {
      const { rows } =
        await sql`update reservations set sent_at = now() where id = ${id}::uuid returning id`.execute(
          databases.system,
        )
      return rows.length === 1
    },
    release(id) {
      releasing.push(id)
      run()
    },
    wake() {
      if (waitingCount > 0) run()
    },
    get waiting() {
      return waitingCount
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      for (const one of [...fresh, ...[...waiting.values()].flat()]) one.resolve({ kind: 'unavailable' })
      fresh = []
      waiting.clear()
      waitingCount = 0
      while (isRunning) await sleep(5)
      closed.abort()
      if (releasing.length > 0) await giveBack()
    },
  }
}

type CounterRow = {
  readonly admitted: boolean
  readonly counter_id: CounterId
  readonly is_hard: boolean
  readonly limit_nano: number
  readonly spent_nano: number
  readonly reserved_nano: number
}
