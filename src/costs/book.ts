/**
 * Which budgets stand above a call, kept in memory: most calls have none, and then nothing is asked of the database.
 * A change of a budget is heard by NOTIFY; the time is for what no message tells.
 */
import { sql } from 'kysely'
import type { Databases, Listener } from '#db'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import { scopesOf, type CounterId, type Owner, type Standing } from './budget.ts'
import type { CounterState } from './decide.ts'

export type Book = AsyncDisposable & {
  /** The standings above a call of this owner. Throws only while the database is away and nothing is known. */
  above(owner: Owner): Promise<readonly Standing[]>
  /** The same without waiting, when it is known. */
  knownAbove(owner: Owner): readonly Standing[] | undefined
  /** What a reservation heard of the counters. */
  learn(states: ReadonlyMap<CounterId, CounterState>): void
  /** A call of this owner was settled: what its page says is right for warnings until it is read again. */
  add(owner: Owner, nanoDollars: number): void
}

const KEPT_MS = 60_000
/** Standings of soft budgets feed warnings only; they may be this old. */
const FRESH_MS = 5_000
const MOST_PAGES = 10_000

type Page = {
  standings: readonly Standing[]
  readonly organizationId: string
  until: number
  readAt: number
  isStale: boolean
}

export async function createBook(
  databases: Pick<Databases, 'system'>,
  listener: Pick<Listener, 'listen'>,
  clock: Clock,
  log: Log,
): Promise<Book> {
  const pages = new Map<string, Page>()
  const loading = new Map<string, Promise<Page>>()
  /** Raised at each change, so that a page that was read before it is not kept. */
  let changes = 0
  const unlisten = await listener.listen('flowforge_budgets', (organizationId) => {
    changes++
    for (const page of pages.values())
      if (organizationId === undefined || page.organizationId === organizationId) page.isStale = true
  })

  async function load(owner: Owner, key: string): Promise<Page> {
    const now = clock.now()
    const before = changes
    const standings = await readStandings(databases, owner, new Date(now))
    const ends = standings.map(({ resetsAt }) => resetsAt?.getTime() ?? Infinity)
    const page = {
      standings,
      organizationId: owner.organizationId,
      until: Math.min(now + KEPT_MS, ...ends),
      readAt: now,
      isStale: before !== changes,
    }
    if (pages.size >= MOST_PAGES) pages.clear()
    pages.set(key, page)
    return page
  }

  function loadOnce(owner: Owner, key: string): Promise<Page> {
    const running = loading.get(key)
    if (running) return running
    const started = load(owner, key).finally(() => loading.delete(key))
    loading.set(key, started)
    return started
  }

  function known(owner: Owner, key: string): Page | undefined {
    const page = pages.get(key)
    const now = clock.now()
    if (page === undefined || page.isStale || now >= page.until) return undefined
    if (page.standings.length > 0 && now - page.readAt > FRESH_MS && !loading.has(key))
      loadOnce(owner, key).catch((error: unknown) =>
        log.warn({ error: String(error) }, 'costs.budgets_not_read'),
      )
    return page
  }

  return {
    knownAbove(owner) {
      return known(owner, keyOf(owner))?.standings
    },
    async above(owner) {
      const key = keyOf(owner)
      const page = known(owner, key)
      if (page) return page.standings
      const old = pages.get(key)
      try {
        return (await loadOnce(owner, key)).standings
      } catch (error) {
        // The database is away. What was known still says whether a hard budget must refuse.
        if (old === undefined) throw error
        return old.standings
      }
    },
    learn(states) {
      for (const page of pages.values()) {
        if (!page.standings.some(({ counterId }) => states.has(counterId))) continue
        page.standings = page.standings.map((one) => ({ ...one, ...states.get(one.counterId) }))
      }
    },
    add(owner, nanoDollars) {
      const page = pages.get(keyOf(owner))
      if (page === undefined || page.standings.length === 0) return
      page.standings = page.standings.map((one) => ({ ...one, spentNano: one.spentNano + nanoDollars }))
    },
    async [Symbol.asyncDispose]() {
      unlisten()
      pages.clear()
      await Promise.resolve()
    },
  }
}

function keyOf(owner: Owner): string {
  return `${owner.organizationId}|${owner.userId ?? ''}|${owner.apiKeyId ?? ''}|${owner.repositoryId ?? ''}|${owner.jobId ?? ''}`
}

type Row = {
  readonly budget_id: string
  readonly counter_id: string
  readonly scope: Standing['scope']
  readonly scope_id: string
  readonly period: Standing['period']
  readonly hard: boolean
  readonly soft_percent: number | null
  readonly limit_nano_dollars: number
  readonly spent_nano_dollars: number
  readonly reserved_nano_dollars: number
  readonly period_end: Date | null
}

/** Makes the counters of this period where there are none yet. */
export async function readStandings(
  databases: Pick<Databases, 'system'>,
  owner: Owner,
  at: Date,
): Promise<readonly Standing[]> {
  const scopes = scopesOf(owner).map((pair) => [...pair])
  const { rows } = await sql<Row>`
    select b.id as budget_id, c.id as counter_id, b.scope, b.scope_id, b.period, b.hard, b.soft_percent,
      b.limit_nano_dollars, c.spent_nano_dollars, c.reserved_nano_dollars, c.period_end
    from ensure_budget_counters(${owner.organizationId}::uuid, ${scopes}::text[][], ${at}::timestamptz) c
    join budgets b on b.id = c.budget_id
    order by b.id`.execute(databases.system)
  return rows.map((row) => ({
    budgetId: row.budget_id as Standing['budgetId'],
    counterId: row.counter_id as CounterId,
    scope: row.scope,
    scopeId: row.scope_id,
    period: row.period,
    hard: row.hard,
    softPercent: row.soft_percent ?? 80,
    limitNano: row.limit_nano_dollars,
    spentNano: row.spent_nano_dollars,
    reservedNano: row.reserved_nano_dollars,
    resetsAt: row.period_end,
  }))
}
