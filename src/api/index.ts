/** Door: what programs call. Importing it costs little; the server is loaded when one is created. */
import type { Api, ApiTools } from './tools.ts'

export {
  ApiProblem,
  ApiUnreachable,
  createClient,
  type Client,
  type JobList,
  type ListQuery,
  type Submission,
} from './client.ts'
export { EVENT_KINDS, narrate } from './narrate.ts'
export type { Problem } from './problems.ts'
export type { BudgetAnswer, BudgetInput } from './routes/budgets.ts'
export type { UsageAnswer, UsageQuery } from './routes/usage.ts'
export type { RepositoryAnswer, RepositoryInput, RepositoryPatch } from './routes/repositories.ts'
export type { Api, ApiTools } from './tools.ts'
export type { Execution, Job, JobEvent, JobRequestInput } from '#jobs'

export async function createApi(tools: ApiTools): Promise<Api> {
  const server = await import('./server.ts')
  return server.createApi(tools)
}

/** The OpenAPI document, without a server: for docs/reference. */
export async function describeApi(): Promise<unknown> {
  const { describeApi: describe } = await import('./describe-api.ts')
  return describe()
}
