/** Setting, listing and removing budgets, and whether what they paused has room again. */
import { sql } from 'kysely'
import { inOrganization, type Databases, type Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { isUuid, newId, type JobId, type OrganizationId } from '#lib/ids.ts'
import { requireScope, type Principal } from '#tenants'
import { BUDGET_SCOPES, type BudgetId, type BudgetPeriod, type BudgetScope } from './budget.ts'
import { readStandings } from './book.ts'

export type BudgetRequest = {
  readonly scope: BudgetScope
  /** The id of the user, repository, job or key. Not for the organization: it is that of the key. */
  readonly scopeId?: string
  readonly period: BudgetPeriod
  readonly limitNano: number
  /** When a notice is given; 80 by default. */
  readonly softPercent?: number
  /** True: calls that do not fit are refused. False: they are told of. */
  readonly hard: boolean
  /** Of a daily, weekly or monthly budget; UTC by default. */
  readonly timeZone?: string
}

export type Budget = {
  readonly id: BudgetId
  readonly scope: BudgetScope
  readonly scopeId: string
  readonly period: BudgetPeriod
  readonly limitNano: number
  readonly softPercent: number
  readonly hard: boolean
  readonly timeZone: string
  readonly spentNano: number
  /** The most that calls under way can still cost. */
  readonly reservedNano: number
  /** Null: a total does not reset. */
  readonly resetsAt: Date | null
}

/** One budget for each scope and period: setting it again changes it, and keeps what was spent. */
export async function setBudget(
  databases: Databases,
  principal: Principal,
  request: BudgetRequest,
): Promise<Budget> {
  requireScope(principal, 'costs:write')
  const { organizationId } = principal
  const scopeId = request.scope === 'organization' ? organizationId : (request.scopeId ?? '')
  if (!isUuid(scopeId)) throw refuse('invalid_request', { problem: `a ${request.scope} is named by its id.` })
  if (!isTimeZone(request.timeZone ?? 'UTC'))
    throw refuse('invalid_request', {
      problem: `${request.timeZone} is not a time zone such as Europe/Berlin.`,
    })
  return inOrganization(databases, organizationId, async (trx) => {
    const { id } = await trx
      .insertInto('budgets')
      .values({
        id: newId<'budget'>(),
        organization_id: organizationId,
        scope: request.scope,
        scope_id: scopeId,
        period: request.period,
        limit_nano_dollars: request.limitNano,
        soft_percent: request.softPercent ?? null,
        hard: request.hard,
        time_zone: request.timeZone ?? 'UTC',
      })
      .onConflict((conflict) =>
        conflict.columns(['organization_id', 'scope', 'scope_id', 'period']).doUpdateSet((eb) => ({
          limit_nano_dollars: eb.ref('excluded.limit_nano_dollars'),
          soft_percent: eb.ref('excluded.soft_percent'),
          hard: eb.ref('excluded.hard'),
          time_zone: eb.ref('excluded.time_zone'),
        })),
      )
      .returning('id')
      .executeTakeFirstOrThrow()
    const [budget] = await readBudgets(trx, id)
    if (budget === undefined) throw new Error('a budget that was just written is not there')
    return budget
  })
}

export async function listBudgets(databases: Databases, principal: Principal): Promise<readonly Budget[]> {
  requireScope(principal, 'costs:read')
  return inOrganization(databases, principal.organizationId, (trx) => readBudgets(trx))
}

/** What it refused may go on at once. */
export async function removeBudget(databases: Databases, principal: Principal, id: string): Promise<void> {
  requireScope(principal, 'costs:write')
  await inOrganization(databases, principal.organizationId, async (trx) => {
    const { numDeletedRows } = isUuid(id)
      ? await trx.deleteFrom('budgets').where('id', '=', id).executeTakeFirst()
      : { numDeletedRows: 0n }
    if (numDeletedRows === 0n) throw refuse('not_found', { what: 'budget', id: id.slice(0, 100) })
  })
}

/**
 * Whether every hard budget above a job has money left that is not spent: what a paused job waits for. Cheap enough to
 * be asked for each paused job whenever a budget changes or a period ends.
 */
export async function hasRoom(
  databases: Pick<Databases, 'system'>,
  job: { readonly organizationId: OrganizationId; readonly id: JobId; readonly repositoryId: string },
  at: Date = new Date(),
): Promise<boolean> {
  const owner = { organizationId: job.organizationId, jobId: job.id, repositoryId: job.repositoryId }
  const standings = await readStandings(databases, owner, at)
  return standings.every(
    ({ hard, limitNano, spentNano }) => !hard || limitNano - spentNano >= LEAST_ROOM_NANO,
  )
}

/** One cent: about what the smallest useful call costs. With less than that a job would pause again at once. */
const LEAST_ROOM_NANO = 10_000_000

type Row = {
  readonly id: string
  readonly scope: string
  readonly scope_id: string
  readonly period: BudgetPeriod
  readonly limit_nano_dollars: number
  readonly soft_percent: number | null
  readonly hard: boolean
  readonly time_zone: string
  readonly spent: number | null
  readonly reserved: number | null
  readonly ends: Date | null
}

/** A period without a call has no counter yet: then the ledger is asked. At most 1000 budgets, the newest first. */
async function readBudgets(trx: Transaction, id: string | null = null): Promise<readonly Budget[]> {
  const { rows } = await sql<Row>`
    select b.id, b.scope, b.scope_id, b.period, b.limit_nano_dollars, b.soft_percent, b.hard, b.time_zone,
      budget_period_end(b.period, b.time_zone, now()) as ends, c.reserved_nano_dollars as reserved,
      coalesce(c.spent_nano_dollars, (
        select sum(u.cost_nano_dollars)::bigint from claude_api_usage u
        where u.organization_id = b.organization_id and u.occurred_at >= budget_period_start(b.period, b.time_zone, now())
          and case b.scope when 'organization' then true
            when 'user' then u.user_id = b.scope_id::uuid
            when 'api_key' then u.api_key_id = b.scope_id::uuid
            when 'repository' then u.repository_id = b.scope_id::uuid
            when 'job' then u.job_id = b.scope_id::uuid
            else false end)) as spent
    from budgets b
    left join budget_counters c on c.budget_id = b.id and c.period_start = budget_period_start(b.period, b.time_zone, now())
    where ${id}::uuid is null or b.id = ${id}::uuid
    order by b.scope = 'job', b.created_at desc limit 1000`.execute(trx)
  return rows.flatMap((row) =>
    isBudgetScope(row.scope)
      ? [
          {
            id: row.id as BudgetId,
            scope: row.scope,
            scopeId: row.scope_id,
            period: row.period,
            limitNano: row.limit_nano_dollars,
            softPercent: row.soft_percent ?? 80,
            hard: row.hard,
            timeZone: row.time_zone,
            spentNano: row.spent ?? 0,
            reservedNano: row.reserved ?? 0,
            resetsAt: row.ends,
          },
        ]
      : [],
  )
}

function isBudgetScope(text: string): text is BudgetScope {
  return (BUDGET_SCOPES as readonly string[]).includes(text)
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return !/^[+-]/.test(name)
  } catch {
    return false
  }
}
