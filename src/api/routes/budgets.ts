import { z } from 'zod'
import {
  BUDGET_PERIODS,
  fromUsd,
  listBudgets,
  removeBudget,
  setBudget,
  toUsd,
  type Budget,
  type BudgetScope,
} from '#costs'
import { refuse } from '#lib/errors.ts'
import type { Principal } from '#tenants'
import { createRepositories } from '#repositories'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'

const tags = ['costs']
const scope = z
  .string()
  .min(1)
  .max(300)
  .describe('`organization`, `repository:NAME`, `job:NUMBER`, `user:ID` or `key:ID`. Ids are taken for all.')
const usd = z.string().regex(/^\d{1,7}(\.\d{1,9})?$/, 'it must be a decimal number such as "2.50"')

const setBody = z.strictObject({
  scope,
  period: z.enum(BUDGET_PERIODS).describe('When it resets; `total` never does.'),
  limitUsd: usd,
  hard: z
    .boolean()
    .default(false)
    .describe('true: calls that do not fit are refused. false: a notice is given.'),
  softPercent: z.int().min(1).max(99).optional().describe('At which share a notice is given; 80 by default.'),
  timeZone: z
    .string()
    .min(1)
    .max(60)
    .default('UTC')
    .describe('Whose midnight it resets at, such as Europe/Berlin.'),
})
const params = z.strictObject({ budget: z.uuid().describe('The id of the budget.') })

const budgetAnswer = z
  .object({
    id: z.uuid(),
    scope: z.string().describe('As it is set: `organization`, `repository:NAME`, or a kind and an id.'),
    period: z.enum(BUDGET_PERIODS),
    limitUsd: z.string(),
    spentUsd: z.string().describe('In this period.'),
    reservedUsd: z.string().describe('The most that calls under way can still cost.'),
    hard: z.boolean(),
    softPercent: z.int(),
    timeZone: z.string(),
    resetsAt: z.iso.datetime().nullable().describe('Null: a total does not reset.'),
  })
  .meta({ id: 'Budget' })
const budgetList = z.object({ budgets: z.array(budgetAnswer) }).meta({ id: 'BudgetList' })

export type BudgetAnswer = z.output<typeof budgetAnswer>
export type BudgetInput = z.input<typeof setBody>

/** Limits of what model calls may cost. */
export function budgetRoutes(app: App, tools: ApiTools): void {
  const { databases } = tools

  app.get(
    '/budgets',
    {
      schema: {
        operationId: 'listBudgets',
        summary: 'List the budgets and what is spent of them',
        tags,
        response: { 200: budgetList, ...problemResponses },
      },
    },
    async ({ principal }) => {
      const budgets = await listBudgets(databases, principal)
      const names = await repositoryNames(tools, principal, budgets)
      return { budgets: budgets.map((budget) => toAnswer(budget, names)) }
    },
  )

  app.put(
    '/budgets',
    {
      schema: {
        operationId: 'setBudget',
        summary: 'Set the budget of a scope and a period',
        description:
          'There is one for each scope and period. Setting it again changes it and keeps what was spent.',
        tags,
        body: setBody,
        response: { 200: budgetAnswer, ...problemResponses },
      },
    },
    async ({ principal, body }) => {
      const { limitUsd, scope: text, softPercent, ...rest } = body
      const budget = await setBudget(databases, principal, {
        ...rest,
        ...(await readScope(tools, principal, text)),
        ...(softPercent === undefined ? {} : { softPercent }),
        limitNano: fromUsd(limitUsd),
      })
      return toAnswer(budget, await repositoryNames(tools, principal, [budget]))
    },
  )

  app.delete(
    '/budgets/:budget',
    {
      schema: {
        operationId: 'removeBudget',
        summary: 'Remove a budget',
        tags,
        params,
        response: { 204: z.null().describe('It is gone; what it refused may go on.'), ...problemResponses },
      },
    },
    async ({ principal, params: { budget } }, reply) => {
      await removeBudget(databases, principal, budget)
      return reply.code(204).send(null)
    },
  )
}

const KINDS: Readonly<Record<string, BudgetScope>> = {
  user: 'user',
  repository: 'repository',
  job: 'job',
  key: 'api_key',
  api_key: 'api_key',
}

async function readScope(
  tools: ApiTools,
  principal: Principal,
  text: string,
): Promise<{ readonly scope: BudgetScope; readonly scopeId?: string }> {
  if (text === 'organization') return { scope: 'organization' }
  const at = text.indexOf(':')
  const kind = KINDS[text.slice(0, Math.max(0, at))]
  const name = text.slice(at + 1)
  switch (kind) {
    case 'job':
      return { scope: kind, scopeId: (await tools.jobs.read(principal, name.replace(/^#/, ''))).id }
    case 'repository':
      return { scope: kind, scopeId: await repositoryId(tools, principal, name) }
    case 'user':
    case 'api_key':
      return { scope: kind, scopeId: name }
    default:
      throw refuse('invalid_request', {
        problem: `the scope ${text.slice(0, 100)} is not one of organization, repository:NAME, job:NUMBER, user:ID, key:ID.`,
      })
  }
}

async function repositoryId(tools: ApiTools, principal: Principal, name: string): Promise<string> {
  const all = await openRepositories(tools).list(principal)
  const found = all.find((one) => one.name === name || one.id === name)
  if (found === undefined) throw refuse('repository_not_found', { name })
  return found.id
}

async function repositoryNames(
  tools: ApiTools,
  principal: Principal,
  budgets: readonly Budget[],
): Promise<ReadonlyMap<string, string>> {
  if (!budgets.some(({ scope: kind }) => kind === 'repository')) return new Map()
  if (!principal.scopes.includes('repositories:read')) return new Map()
  return new Map((await openRepositories(tools).list(principal)).map(({ id, name }) => [id, name]))
}

function openRepositories({ databases, vault, config }: ApiTools) {
  return createRepositories({
    ...{ databases, vault, home: config.FLOWFORGE_HOME },
    allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
  })
}

function toAnswer(budget: Budget, names: ReadonlyMap<string, string>): BudgetAnswer {
  const { id, period, hard, softPercent, timeZone, resetsAt, scopeId } = budget
  const kind = budget.scope === 'api_key' ? 'key' : budget.scope
  return {
    ...{ id, period, hard, softPercent, timeZone },
    scope: kind === 'organization' ? kind : `${kind}:${names.get(scopeId) ?? scopeId}`,
    limitUsd: toUsd(budget.limitNano),
    spentUsd: toUsd(budget.spentNano),
    reservedUsd: toUsd(budget.reservedNano),
    resetsAt: resetsAt?.toISOString() ?? null,
  }
}
