/** What was spent, summed up from the ledger. */
import { sql } from 'kysely'
import { inOrganization, type Databases } from '#db'
import { requireScope, type Principal } from '#tenants'

export const REPORT_KEYS = ['model', 'user', 'job', 'repository', 'organization', 'api_key', 'day'] as const
export type ReportKey = (typeof REPORT_KEYS)[number]

export type UsageSums = {
  readonly calls: number
  readonly nanoDollars: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  /** What the cache saved. */
  readonly savedNano: number
  /** The part of the cost that is not exact: broken off, or priced as the dearest model. */
  readonly estimatedNano: number
  readonly simulated: boolean
}
export type UsageReport = {
  readonly since: Date
  readonly until: Date
  readonly by: ReportKey
  readonly total: UsageSums
  /** The dearest first; at most 1000. `key` is the model, an id, or a day; null: the call had none. */
  readonly rows: readonly (UsageSums & { readonly key: string | null })[]
}

const COLUMNS = {
  model: sql`model`,
  user: sql`user_id::text`,
  job: sql`job_id::text`,
  repository: sql`repository_id::text`,
  organization: sql`organization_id::text`,
  api_key: sql`api_key_id::text`,
  day: sql`to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD')`,
} as const satisfies Record<ReportKey, unknown>

type Row = Omit<UsageSums, 'simulated'> & {
  readonly key: string | null
  readonly simulated: boolean | null
  readonly whole: boolean
}

export async function usageReport(
  databases: Databases,
  principal: Principal,
  query: { readonly by: ReportKey; readonly since: Date; readonly until: Date },
): Promise<UsageReport> {
  requireScope(principal, 'costs:read')
  const { by, since, until } = query
  // One scan: the row of the empty grouping set is the total.
  const { rows } = await inOrganization(databases, principal.organizationId, (trx) =>
    sql<Row>`
      select ${COLUMNS[by]} as key, grouping(${COLUMNS[by]}) = 1 as whole,
        count(*)::integer as calls, coalesce(sum(cost_nano_dollars), 0)::bigint as "nanoDollars",
        coalesce(sum(input_tokens), 0)::bigint as "inputTokens", coalesce(sum(output_tokens), 0)::bigint as "outputTokens",
        coalesce(sum(cache_read_tokens), 0)::bigint as "cacheReadTokens",
        coalesce(sum(cache_write_5m_tokens + cache_write_1h_tokens), 0)::bigint as "cacheWriteTokens",
        coalesce(sum(saved_nano_dollars), 0)::bigint as "savedNano",
        coalesce(sum(cost_nano_dollars) filter (where estimated or not price_known), 0)::bigint as "estimatedNano",
        bool_or(simulated) as simulated
      from claude_api_usage where occurred_at >= ${since} and occurred_at < ${until}
      group by grouping sets ((), (${COLUMNS[by]}))
      order by whole desc, "nanoDollars" desc, key limit 1001`.execute(trx),
  )
  const sums = rows.map(({ whole, simulated, ...row }) => ({ whole, ...row, simulated: simulated ?? false }))
  const [first, ...rest] = sums
  if (first === undefined || !first.whole) throw new Error('a sum over everything is always there')
  const { whole: _, key: __, ...total } = first
  return { since, until, by, total, rows: rest.map(({ whole: ___, ...row }) => row) }
}
