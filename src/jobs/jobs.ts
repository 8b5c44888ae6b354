/** What the doors (API, command line) may ask of jobs. Every call checks the scopes and sees one organization only. */
import { toUsd } from '#costs'
import { inOrganization, type Transaction } from '#db'
import type { Mirror } from '#git'
import { refuse } from '#lib/errors.ts'
import type { JobId } from '#lib/ids.ts'
import { openRepository } from '#repositories'
import { requireScope, type Principal } from '#tenants'
import { approveJob, cancelJob, rejectJob, resumeJob, tellJob } from './control.ts'
import { resultBranchOf } from './kept-branch.ts'
import {
  jobRequestSchema,
  type Execution,
  type Job,
  type JobEvent,
  type JobQuery,
  type JobRequest,
} from './job.ts'
import {
  findJob,
  listEvents,
  listExecutions,
  listJobs,
  repositoryNameOf,
  viewJob,
  type JobRow,
} from './store.ts'
import { submitJob, type Submitted, type SubmitTools } from './submit.ts'

export type Jobs = {
  /** One transaction: repository, job row, first event, audit. `created` is false when the idempotency key was used before. */
  submit(principal: Principal, request: JobRequest): Promise<Submitted>
  list(
    principal: Principal,
    query: JobQuery,
  ): Promise<{ readonly jobs: readonly Job[]; readonly nextBefore: number | null }>
  /** `name` is a number (12) or an id. */
  read(principal: Principal, name: string): Promise<Job>
  cancel(principal: Principal, name: string): Promise<Job>
  /** A paused job goes on; a failed or cancelled one is submitted again as a new job. */
  retry(principal: Principal, name: string): Promise<Job>
  tell(principal: Principal, name: string, text: string): Promise<void>
  /** `commit`: what was looked at; or a commit that a person pushed to the job's own branch, which then lands instead. */
  approve(principal: Principal, name: string, options: { readonly commit?: string | undefined }): Promise<Job>
  reject(principal: Principal, name: string, options: { readonly reason?: string | undefined }): Promise<Job>
  /** Events after a number, oldest first. */
  events(principal: Principal, name: string, after: number, limit: number): Promise<readonly JobEvent[]>
  executions(principal: Principal, name: string): Promise<readonly Execution[]>
  /** The change as a unified diff: the result against its base. At most 1 MiB. */
  diff(principal: Principal, name: string): Promise<string>
}

const DIFF_LIMIT_BYTES = 1024 * 1024

export function createJobs(tools: SubmitTools): Jobs {
  const { databases } = tools
  const within = <T>(principal: Principal, work: (trx: Transaction) => Promise<T>): Promise<T> =>
    inOrganization(databases, principal.organizationId, work)
  const acting = (principal: Principal, act: (trx: Transaction) => Promise<JobRow>): Promise<Job> =>
    within(principal, async (trx) => viewJob(trx, await act(trx)))

  return {
    submit(principal, request) {
      requireScope(principal, 'jobs:write')
      return submitJob(tools, principal, request)
    },
    list(principal, query) {
      requireScope(principal, 'jobs:read')
      return within(principal, (trx) => listJobs(trx, query))
    },
    read(principal, name) {
      requireScope(principal, 'jobs:read')
      return acting(principal, (trx) => findJob(trx, name))
    },
    cancel(principal, name) {
      requireScope(principal, 'jobs:write')
      return acting(principal, (trx) => cancelJob(trx, principal, name))
    },
    async retry(principal, name) {
      requireScope(principal, 'jobs:write')
      const job = await within(principal, (trx) => findJob(trx, name))
      if (job.state === 'paused') return acting(principal, (trx) => resumeJob(trx, principal, job.id))
      if (job.state !== 'failed' && job.state !== 'cancelled')
        throw refuse('invalid_transition', { id: String(job.number), state: job.state, to: 'queued' })
      const repository = await within(principal, (trx) => repositoryNameOf(trx, job))
      return (await submitJob(tools, principal, requestOf(job, repository), job.id as JobId)).job
    },
    async tell(principal, name, text) {
      requireScope(principal, 'jobs:write')
      await within(principal, (trx) => tellJob(trx, principal, name, text))
    },
    async approve(principal, name, { commit }) {
      requireScope(principal, 'jobs:approve')
      const job = await within(principal, (trx) => findJob(trx, name))
      const approved = await approvedCommit(tools, principal, job, commit)
      return acting(principal, (trx) =>
        approveJob(trx, principal, name, { seen: job.result_commit ?? '', commit: approved }),
      )
    },
    reject(principal, name, { reason }) {
      requireScope(principal, 'jobs:approve')
      return acting(principal, (trx) => rejectJob(trx, principal, name, reason))
    },
    events(principal, name, after, limit) {
      requireScope(principal, 'jobs:read')
      return within(principal, async (trx) => listEvents(trx, (await findJob(trx, name)).id, after, limit))
    },
    executions(principal, name) {
      requireScope(principal, 'jobs:read')
      return within(principal, async (trx) => listExecutions(trx, (await findJob(trx, name)).id))
    },
    async diff(principal, name) {
      requireScope(principal, 'jobs:read')
      const job = await within(principal, (trx) => findJob(trx, name))
      if (job.base_commit === null || job.result_commit === null) return ''
      const mirror = await openMirror(tools, principal, job)
      return mirror.diff(job.base_commit, job.result_commit, DIFF_LIMIT_BYTES)
    },
  }
}

/**
 * Which commit is approved. Without one: the result as it stands. With the result's: a guard that it did not change
 * since it was looked at. With another: the tip of the job's own branch, where a person has mended it.
 */
async function approvedCommit(
  tools: SubmitTools,
  principal: Principal,
  job: JobRow,
  asked: string | undefined,
): Promise<string> {
  const id = String(job.number)
  const result = job.result_commit
  if (result === null) throw refuse('not_in_review', { id, state: job.state })
  if (asked === undefined || (asked.length >= 7 && result.startsWith(asked))) return result
  const mirror = await openMirror(tools, principal, job)
  const tip = await mirror.fetchBranch(resultBranchOf(job), AbortSignal.timeout(60_000))
  if (tip.kind === 'fetched' && asked.length >= 7 && tip.commit.startsWith(asked)) return tip.commit
  throw refuse('review_moved', { id, actual: result.slice(0, 12), expected: asked.slice(0, 40) })
}

async function openMirror(tools: SubmitTools, principal: Principal, job: JobRow): Promise<Mirror> {
  const { git } = await inOrganization(tools.databases, principal.organizationId, (trx) =>
    openRepository(trx, tools.vault, job.repository_id),
  )
  return tools.mirrors.open(git)
}

function requestOf(job: JobRow, repository: string): JobRequest {
  return jobRequestSchema.parse({
    repository,
    task: job.task,
    into: job.target_branch,
    ...(job.base_ref === job.target_branch ? {} : { base: job.base_ref }),
    title: job.title,
    agent: job.agent,
    ...(job.command === null ? {} : { command: job.command }),
    ...(job.model === null ? {} : { model: job.model }),
    ...(job.max_turns === null ? {} : { maxTurns: job.max_turns }),
    timeLimitSeconds: job.time_limit_seconds,
    ...(job.budget_nano_dollars === null ? {} : { budgetUsd: toUsd(job.budget_nano_dollars) }),
    ...(job.setup_command === null ? {} : { setup: job.setup_command }),
    checks: job.checks,
    variables: job.variables,
    landing: job.landing,
    priority: job.priority,
    maxAttempts: job.max_attempts,
    costTags: job.cost_tags,
  })
}
