/**
 * Words of budgets.
 *
 *   budget       a limit for a scope and a period; soft (tells) or hard (refuses)
 *   scope        what it counts: everything of an organization, user, key, repository or job
 *   period       daily, weekly, monthly (in its time zone) or total
 *   counter      what one period of one budget has spent and holds reserved
 *   reservation  the most a call can cost, taken from every counter above it before it is sent
 *   to settle    to write the call to the ledger and put its cost in the place of its reservation
 *   holder       the gateway that holds reservations; when it is not seen any more, they are settled or released
 */
import type { Id, OrganizationId } from '#lib/ids.ts'

export const BUDGET_SCOPES = ['organization', 'user', 'repository', 'job', 'api_key'] as const
export type BudgetScope = (typeof BUDGET_SCOPES)[number]
export const BUDGET_PERIODS = ['daily', 'weekly', 'monthly', 'total'] as const
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number]
export type BudgetId = Id<'budget'>
export type CounterId = Id<'counter'>

/** Whose money a call spends. */
export type Owner = {
  readonly organizationId: OrganizationId
  readonly userId?: string
  readonly apiKeyId?: string
  readonly repositoryId?: string
  readonly jobId?: string
}

/** The scopes above a call, as pairs that the tables are asked with. */
export function scopesOf(owner: Owner): readonly (readonly [BudgetScope, string])[] {
  const pairs: readonly (readonly [BudgetScope, string | undefined])[] = [
    ['organization', owner.organizationId],
    ['user', owner.userId],
    ['api_key', owner.apiKeyId],
    ['repository', owner.repositoryId],
    ['job', owner.jobId],
  ]
  return pairs.flatMap(([scope, id]) => (id === undefined ? [] : [[scope, id] as const]))
}

/** What one budget stands at, in its period. */
export type Standing = {
  readonly budgetId: BudgetId
  readonly counterId: CounterId
  readonly scope: BudgetScope
  readonly scopeId: string
  readonly period: BudgetPeriod
  readonly hard: boolean
  readonly softPercent: number
  readonly limitNano: number
  readonly spentNano: number
  readonly reservedNano: number
  /** Null: a total does not reset. */
  readonly resetsAt: Date | null
}
