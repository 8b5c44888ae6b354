/** The SQL of jobs: reading and locking rows, and how a row becomes what callers see. */
import type { Selectable } from 'kysely'
import { toUsd } from '#costs'
import type { Schema, Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { isUuid, type JobId, type OrganizationId } from '#lib/ids.ts'
import type { Execution, Job, JobEvent, JobKey, JobQuery } from './job.ts'
import type { JobState } from './state.ts'

export type JobRow = Selectable<Schema['jobs']>

/** The job's row, locked until the transaction ends. */
export async function lockJob(trx: Transaction, id: string): Promise<JobRow | undefined> {
  return trx.selectFrom('jobs').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Finds a job by what people type: its number (12, #12) or its id. */
export async function findJob(trx: Transaction, name: string): Promise<JobRow> {
  const number = /^#?(\d{1,15})$/.exec(name)?.[1]
  const row =
    number !== undefined
      ? await trx.selectFrom('jobs').selectAll().where('number', '=', Number(number)).executeTakeFirst()
      : isUuid(name)
        ? await trx.selectFrom('jobs').selectAll().where('id', '=', name).executeTakeFirst()
        : undefined
  if (!row) throw refuse('job_not_found', { id: name.slice(0, 60) })
  return row
}

/** The same, locked. */
export async function findAndLockJob(trx: Transaction, name: string): Promise<JobRow> {
  const { id } = await findJob(trx, name)
  const row = await lockJob(trx, id)
  if (!row) throw refuse('job_not_found', { id: name.slice(0, 60) })
  return row
}

export function keyOf(row: JobRow): JobKey {
  return { id: row.id as JobId, organizationId: row.organization_id as OrganizationId }
}

export async function listJobs(
  trx: Transaction,
  query: JobQuery,
): Promise<{ jobs: readonly Job[]; nextBefore: number | null }> {
  const rows = await trx
    .selectFrom('jobs')
    .innerJoin('repositories', 'repositories.id', 'jobs.repository_id')
    .selectAll('jobs')
    .select('repositories.name as repository_name')
    .$if(query.state !== undefined, (q) => q.where('jobs.state', '=', query.state ?? 'queued'))
    .$if(query.repository !== undefined, (q) => q.where('repositories.name', '=', query.repository ?? ''))
    .$if(query.before !== undefined, (q) => q.where('jobs.number', '<', query.before ?? 0))
    .orderBy('jobs.number', 'desc')
    .limit(query.limit + 1)
    .execute()
  const page = rows.slice(0, query.limit)
  return {
    jobs: page.map((row) => toJob(row, row.repository_name)),
    nextBefore: rows.length > page.length ? Number(page.at(-1)?.number) : null,
  }
}

export async function repositoryNameOf(trx: Transaction, row: JobRow): Promise<string> {
  const found = await trx
    .selectFrom('repositories')
    .select('name')
    .where('id', '=', row.repository_id)
    .executeTakeFirst()
  return found?.name ?? row.repository_id
}

export async function viewJob(trx: Transaction, row: JobRow): Promise<Job> {
  return toJob(row, await repositoryNameOf(trx, row))
}

export async function listEvents(
  trx: Transaction,
  jobId: string,
  after: number,
  limit: number,
): Promise<readonly JobEvent[]> {
  const rows = await trx
    .selectFrom('job_events')
    .select(['number', 'occurred_at', 'kind', 'facts'])
    .where('job_id', '=', jobId)
    .where('number', '>', after)
    .orderBy('number')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    number: Number(row.number),
    occurredAt: row.occurred_at.toISOString(),
    kind: row.kind,
    facts: row.facts as Record<string, unknown>,
  }))
}

export async function listExecutions(trx: Transaction, jobId: string): Promise<readonly Execution[]> {
  const rows = await trx
    .selectFrom('job_executions')
    .selectAll()
    .where('job_id', '=', jobId)
    .orderBy('started_at')
    .limit(1000)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind as Execution['kind'],
    attempt: row.attempt,
    workerId: row.worker_id,
    startedAt: row.started_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    outcome: row.outcome,
    cause: row.cause,
    message: row.message,
  }))
}

function toJob(row: JobRow, repository: string): Job {
  return {
    id: row.id,
    number: Number(row.number),
    state: row.state as JobState,
    repository,
    title: row.title,
    task: row.task,
    agent: row.agent as Job['agent'],
    command: row.command,
    model: row.model,
    base: row.base_ref,
    into: row.target_branch,
    landing: row.landing as Job['landing'],
    setup: row.setup_command,
    checks: row.checks,
    priority: row.priority,
    timeLimitSeconds: row.time_limit_seconds,
    budgetUsd: row.budget_nano_dollars === null ? null : toUsd(row.budget_nano_dollars),
    costTags: row.cost_tags as Record<string, string>,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    costUsd: toUsd(row.cost_nano_dollars),
    simulated: row.simulated,
    cause: row.cause,
    message: row.message,
    reviewReasons: (row.review_reasons as string[] | null) ?? [],
    baseCommit: row.base_commit,
    resultCommit: row.result_commit,
    resultBranch: row.result_branch,
    landedCommit: row.landed_commit,
    approvedBy: row.approved_by,
    retryOf: row.retry_of,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  }
}
