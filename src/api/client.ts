/** The API for programs in TypeScript: what the command line uses. Needs nothing but fetch, so it starts fast. */
import type { z } from 'zod'
import type { Execution, Job, JobEvent, JobRequestInput } from '#jobs'
import type { jobList, submission } from './contract.ts'
import type { Problem } from './problems.ts'
import type { BudgetAnswer, BudgetInput } from './routes/budgets.ts'
import type { UsageAnswer, UsageQuery } from './routes/usage.ts'
import type { RepositoryAnswer, RepositoryInput, RepositoryPatch } from './routes/repositories.ts'
import { readServerSentEvents } from './server-sent-events.ts'

export type Submission = z.output<typeof submission>
export type JobList = z.output<typeof jobList>

/** The API said no, and why. `problem.code` is one of docs/reference/errors.md. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** Nobody answers at the address. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
  readonly url: string

  constructor(url: string, cause: unknown) {
    super(`Nobody answers at ${url}.`, { cause })
    this.url = url
  }
}

export type Client = ReturnType<typeof createClient>

export type ListQuery = {
  readonly state?: string
  readonly repository?: string
  readonly before?: number
  readonly limit?: number
}

type Call = {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly signal?: AbortSignal | undefined
}

export function createClient(options: { readonly url: string; readonly apiKey?: string }) {
  const base = options.url.replace(/\/+$/, '')

  async function call(
    path: string,
    { method = 'GET', body, headers, query = {}, signal }: Call = {},
  ): Promise<Response> {
    const url = new URL(base + path)
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value))
    let response: Response
    try {
      response = await fetch(url, {
        method,
        redirect: 'error',
        headers: {
          ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      })
    } catch (error) {
      if (signal?.aborted) throw error
      throw new ApiUnreachable(base, error)
    }
    if (response.ok) return response
    throw new ApiProblem(await readProblem(response))
  }

  async function json<T>(path: string, options?: Call): Promise<T> {
    return (await (await call(path, options)).json()) as T
  }

  const job = (name: string): string => `/api/v1/jobs/${encodeURIComponent(name)}`
  const repository = (name: string): string => `/api/v1/repositories/${encodeURIComponent(name)}`

  return {
    url: base,
    submit: (request: JobRequestInput) => json<Submission>('/api/v1/jobs', { method: 'POST', body: request }),
    listJobs: (query: ListQuery = {}) => json<JobList>('/api/v1/jobs', { query }),
    readJob: (name: string) => json<Job>(job(name)),
    cancel: (name: string) => json<Job>(`${job(name)}/cancel`, { method: 'POST' }),
    retry: (name: string) => json<Job>(`${job(name)}/retry`, { method: 'POST' }),
    async tell(name: string, text: string): Promise<void> {
      await call(`${job(name)}/tell`, { method: 'POST', body: { text } })
    },
    approve: (name: string, commit?: string) =>
      json<Job>(`${job(name)}/approve`, { method: 'POST', body: commit === undefined ? {} : { commit } }),
    reject: (name: string, reason?: string) =>
      json<Job>(`${job(name)}/reject`, { method: 'POST', body: reason === undefined ? {} : { reason } }),
    async listEvents(name: string, after = 0, limit = 1000): Promise<readonly JobEvent[]> {
      const query = { after, limit, follow: false }
      return (await json<{ events: readonly JobEvent[] }>(`${job(name)}/events`, { query })).events
    },
    async listExecutions(name: string): Promise<readonly Execution[]> {
      return (await json<{ executions: readonly Execution[] }>(`${job(name)}/executions`)).executions
    },
    async readDiff(name: string): Promise<string> {
      return (await call(`${job(name)}/diff`)).text()
    },
    async *readLog(
      name: string,
      { follow = false, signal }: { readonly follow?: boolean; readonly signal?: AbortSignal } = {},
    ) {
      const { body } = await call(`${job(name)}/log`, { query: { follow }, signal })
      if (body) yield* body.pipeThrough(new TextDecoderStream())
    },
    /** Every event after a number, once and in order; reconnects by itself. Ends, with the job, when the job has ended. */
    async *followEvents(
      name: string,
      { after = 0, signal }: { readonly after?: number; readonly signal?: AbortSignal } = {},
    ): AsyncGenerator<JobEvent, Job> {
      let last = after
      for (let failures = 0; ;) {
        try {
          const response = await call(`${job(name)}/events`, {
            headers: { accept: 'text/event-stream', 'last-event-id': String(last) },
            signal,
          })
          if (response.status === 204 || !response.body) return await json<Job>(job(name), { signal })
          for await (const message of readServerSentEvents(response.body)) {
            failures = 0
            if (message.event === 'end') return JSON.parse(message.data) as Job
            const event = JSON.parse(message.data) as JobEvent
            last = event.number
            yield event
          }
        } catch (error) {
          if (signal?.aborted || !isWorthAnotherTry(error) || failures >= RECONNECTS) throw error
        }
        failures += 1
        await pause(Math.min(100 * 2 ** failures, 5_000))
      }
    },
    listRepositories: async () =>
      (await json<{ repositories: readonly RepositoryAnswer[] }>('/api/v1/repositories')).repositories,
    addRepository: (input: RepositoryInput) =>
      json<RepositoryAnswer>('/api/v1/repositories', { method: 'POST', body: input }),
    readRepository: (name: string) => json<RepositoryAnswer>(repository(name)),
    changeRepository: (name: string, patch: RepositoryPatch) =>
      json<RepositoryAnswer>(repository(name), { method: 'PATCH', body: patch }),
    listBudgets: async () => (await json<{ budgets: readonly BudgetAnswer[] }>('/api/v1/budgets')).budgets,
    setBudget: (input: BudgetInput) => json<BudgetAnswer>('/api/v1/budgets', { method: 'PUT', body: input }),
    async removeBudget(id: string): Promise<void> {
      await call(`/api/v1/budgets/${encodeURIComponent(id)}`, { method: 'DELETE' })
    },
    readUsage: (query: UsageQuery) => json<UsageAnswer>('/api/v1/usage', { query }),
    async isReady(): Promise<boolean> {
      await call('/readyz')
      return true
    },
  }
}

/** About a minute and a half without an answer: an API that restarts is back long before. */
const RECONNECTS = 20

function isWorthAnotherTry(error: unknown): boolean {
  // A refusal stays one, however often it is asked; a cut stream or a restart (5xx, nobody there) passes.
  return !(error instanceof ApiProblem) || error.problem.status >= 500 || error.problem.status === 429
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text()
  if (response.headers.get('content-type')?.startsWith('application/problem+json'))
    return JSON.parse(text) as Problem
  return {
    type: 'about:blank',
    title: response.statusText,
    status: response.status,
    detail: `The server at ${new URL(response.url).origin} answered ${response.status}, not as FlowForge does. Is the address right?`,
    code: 'not_flowforge',
    requestId: '',
  }
}
