import { sql } from 'kysely'
import type { Db, Transaction } from '#db'
import type { Id, JobId, OrganizationId } from '#lib/ids.ts'
import type { Usage } from './usage.ts'

/** One call of the model, as the gateway saw it. */
export type ModelCall = {
  readonly id: Id<'usage'>
  readonly occurredAt: Date
  readonly organizationId: OrganizationId
  readonly userId?: string
  readonly apiKeyId?: string
  readonly repositoryId?: string
  readonly jobId?: string
  readonly executionId?: string
  readonly sessionId?: string
  readonly agentId?: string
  readonly parentAgentId?: string
  readonly operation: string
  readonly model: string
  readonly usage: Usage
  readonly nanoDollars: number
  readonly priceKnown: boolean
  readonly latencyMs: number
  readonly status: number
  readonly aborted: boolean
  readonly estimated: boolean
  readonly simulated: boolean
  readonly requestId?: string
  /** The how-manieth retry of the same request this is, as the client says. */
  readonly retryCount?: number
  /** Answered from the cache, and what the model would have cost. */
  readonly savedNano?: number
}

/**
 * Writes calls to the ledger, settles their reservations and moves the counters of their budgets, in one transaction.
 * Repeating a write that may have happened does no harm: time and id are the call's.
 */
export async function recordUsage(db: Db | Transaction, calls: readonly ModelCall[]): Promise<void> {
  if (calls.length === 0) return
  await sql`select settle_calls(${JSON.stringify(calls.map(toRow))}::jsonb)`.execute(db)
}

export type JobCost = {
  readonly nanoDollars: number
  readonly calls: number
  /** At least one answer came from the scripted model. */
  readonly simulated: boolean
  /** False: at least one call was priced as the dearest model, or estimated after it broke off. */
  readonly exact: boolean
}
export const NO_COST: JobCost = { nanoDollars: 0, calls: 0, simulated: false, exact: true }

export async function costOfJob(trx: Db | Transaction, jobId: JobId): Promise<JobCost> {
  return (await costOfJobs(trx, [jobId])).get(jobId) ?? NO_COST
}

/** The cost of each of these jobs that made a call. At most 1000 jobs. */
export async function costOfJobs(
  trx: Db | Transaction,
  jobIds: readonly JobId[],
): Promise<ReadonlyMap<JobId, JobCost>> {
  if (jobIds.length > 1000) throw new Error('the cost of at most 1000 jobs can be asked at once')
  if (jobIds.length === 0) return new Map()
  const rows = await trx
    .selectFrom('claude_api_usage')
    .select('job_id')
    .select(sql<number>`sum(cost_nano_dollars)::bigint`.as('nano_dollars'))
    .select(sql<number>`count(*)::integer`.as('calls'))
    .select(sql<boolean>`bool_or(simulated)`.as('simulated'))
    .select(sql<boolean>`bool_and(price_known and not estimated)`.as('exact'))
    .where('job_id', 'in', [...jobIds])
    .groupBy('job_id')
    .execute()
  return new Map(
    rows.map((row) => [
      row.job_id as JobId,
      {
        nanoDollars: Number(row.nano_dollars),
        calls: row.calls,
        simulated: row.simulated,
        exact: row.exact,
      },
    ]),
  )
}

function toRow(call: ModelCall) {
  const { usage } = call
  return {
    occurred_at: call.occurredAt,
    id: call.id,
    organization_id: call.organizationId,
    user_id: call.userId ?? null,
    repository_id: call.repositoryId ?? null,
    api_key_id: call.apiKeyId ?? null,
    job_id: call.jobId ?? null,
    execution_id: call.executionId ?? null,
    session_id: call.sessionId ?? null,
    agent_id: call.agentId ?? null,
    parent_agent_id: call.parentAgentId ?? null,
    operation: call.operation,
    model: call.model,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cacheReadTokens,
    cache_write_5m_tokens: usage.cacheWrite5mTokens,
    cache_write_1h_tokens: usage.cacheWrite1hTokens,
    web_searches: usage.webSearches,
    cost_nano_dollars: call.nanoDollars,
    price_known: call.priceKnown,
    latency_ms: call.latencyMs,
    status: call.status,
    aborted: call.aborted,
    estimated: call.estimated,
    simulated: call.simulated,
    request_id: call.requestId ?? null,
    retry_count: call.retryCount ?? 0,
    cache_hit: call.savedNano !== undefined,
    saved_nano_dollars: call.savedNano ?? 0,
  }
}
