/** Taking a job: everything that can be said to be wrong now is said now, before the job waits, runs or costs anything. */
import { createHash } from 'node:crypto'
import { recordAudit } from '#audit'
import { fromUsd } from '#costs'
import { inOrganization, notify, type Databases, type Transaction } from '#db'
import type { GitRepository, Mirrors } from '#git'
import { refuse } from '#lib/errors.ts'
import { newId, type JobId } from '#lib/ids.ts'
import { checkBranchName, findOrRegister, openRepository, type Repositories } from '#repositories'
import type { Vault } from '#secrets'
import type { Principal } from '#tenants'
import { appendEvents } from './events.ts'
import { toJsonb } from './jsonb.ts'
import { TASK_LIMIT_BYTES, type Job, type JobRequest } from './job.ts'
import { refuseNul } from './refuse-nul.ts'
import { viewJob, type JobRow } from './store.ts'
import { checkVariables } from './variables.ts'

/** Where answers come from: Claude with a key, the scripted model of the demo, another upstream, or nowhere. */
export type ModelSource = 'anthropic' | 'scripted' | 'custom' | 'none'

export type SubmitTools = {
  readonly databases: Databases
  readonly repositories: Repositories
  readonly vault: Vault
  readonly mirrors: Mirrors
  readonly modelSource: ModelSource
}

export type Submitted = { readonly job: Job; readonly created: boolean; readonly warnings: readonly string[] }

export async function submitJob(
  tools: SubmitTools,
  principal: Principal,
  request: JobRequest,
  retryOf?: JobId,
): Promise<Submitted> {
  checkRequest(tools, request)
  const warnings = checkVariables(request.variables)
  const sha256 = createHash('sha256').update(JSON.stringify(request)).digest()
  const known = await findByKey(tools, principal, request, sha256)
  if (known) return { job: known, created: false, warnings }

  const repository = await obtainRepository(tools, principal, request.repository)
  await checkBranches(tools.mirrors, repository, request)
  try {
    const job = await inOrganization(tools.databases, principal.organizationId, (trx) =>
      insertJob(trx, principal, request, { repositoryId: repository.id, sha256, retryOf }),
    )
    return { job, created: true, warnings }
  } catch (error) {
    // Two requests with one key at once: the second finds the job of the first.
    const other = isKeyTaken(error) ? await findByKey(tools, principal, request, sha256) : undefined
    if (!other) throw error
    return { job: other, created: false, warnings }
  }
}

/** A registered name, or an address that is registered now. DNS and disk are asked before the transaction. */
async function obtainRepository(
  tools: SubmitTools,
  principal: Principal,
  nameOrAddress: string,
): Promise<GitRepository> {
  const named = await tools.repositories.resolve(principal, nameOrAddress)
  return inOrganization(tools.databases, principal.organizationId, async (trx) => {
    const { id } = await findOrRegister(trx, principal, named)
    return (await openRepository(trx, tools.vault, id)).git
  })
}

function checkRequest(tools: SubmitTools, request: JobRequest): void {
  const bytes = Buffer.byteLength(request.task)
  if (bytes > TASK_LIMIT_BYTES)
    throw refuse('task_too_large', { bytes: String(bytes), limit: String(TASK_LIMIT_BYTES) })
  if (request.agent === 'command' && !request.command)
    throw refuse('invalid_request', { problem: 'agent "command" needs a command.' })
  if (request.agent === 'claude' && request.command)
    throw refuse('invalid_request', { problem: 'a command is given, but the agent is "claude".' })
  if (request.agent === 'claude' && tools.modelSource === 'none') throw refuse('model_unavailable', {})
  checkBranchName(request.into)
  refuseNul(request)
}

async function findByKey(
  tools: SubmitTools,
  principal: Principal,
  request: JobRequest,
  sha256: Buffer,
): Promise<Job | undefined> {
  const key = request.idempotencyKey
  if (key === undefined) return undefined
  return inOrganization(tools.databases, principal.organizationId, async (trx) => {
    const row = await trx.selectFrom('jobs').selectAll().where('idempotency_key', '=', key).executeTakeFirst()
    if (!row) return undefined
    if (!row.request_sha256?.equals(sha256)) throw refuse('idempotency_conflict', { key })
    return viewJob(trx, row)
  })
}

function isKeyTaken(error: unknown): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint === 'jobs_idempotency_key_unique'
}

/** Looks in the mirror first: only a branch that it does not know costs a fetch. */
async function checkBranches(
  mirrors: Mirrors,
  repository: GitRepository,
  request: JobRequest,
): Promise<void> {
  const mirror = mirrors.open(repository)
  const asked = [request.into, ...(request.base === undefined ? [] : [request.base])]
  const known = await Promise.all(asked.map((name) => mirror.resolve(name)))
  if (known.every((commit) => commit !== undefined)) return
  const fetched = await mirror.fetch(AbortSignal.timeout(120_000))
  if (fetched.kind === 'unreachable')
    throw refuse('repository_unreachable', { address: repository.address, problem: fetched.problem })
  if (fetched.branches.size === 0) throw refuse('repository_empty', { address: repository.address })
  for (const branch of asked) {
    if ((await mirror.resolve(branch)) !== undefined) continue
    const branches = [...fetched.branches.keys()].slice(0, 10).join(', ')
    throw refuse('branch_missing', { address: repository.address, branch, branches })
  }
}

async function insertJob(
  trx: Transaction,
  principal: Principal,
  request: JobRequest,
  more: { readonly repositoryId: string; readonly sha256: Buffer; readonly retryOf: JobId | undefined },
): Promise<Job> {
  const { number } = await trx
    .updateTable('organizations')
    .set((set) => ({ next_job_number: set('next_job_number', '+', 1) }))
    .where('id', '=', principal.organizationId)
    .returning((row) => row('next_job_number', '-', 1).as('number'))
    .executeTakeFirstOrThrow()
  const row: JobRow = await trx
    .insertInto('jobs')
    .values({
      id: newId<'job'>(),
      organization_id: principal.organizationId,
      number: Number(number),
      repository_id: more.repositoryId,
      title: request.title ?? titleOf(request.task),
      task: request.task,
      agent: request.agent,
      command: request.command ?? null,
      model: request.model ?? null,
      max_turns: request.maxTurns ?? null,
      time_limit_seconds: request.timeLimitSeconds,
      budget_nano_dollars: budgetOf(request),
      base_ref: request.base ?? request.into,
      target_branch: request.into,
      landing: request.landing,
      setup_command: request.setup ?? null,
      checks: request.checks,
      variables: toJsonb(request.variables),
      priority: request.priority,
      max_attempts: request.maxAttempts,
      cost_tags: toJsonb(request.costTags),
      idempotency_key: request.idempotencyKey ?? null,
      request_sha256: more.sha256,
      retry_of: more.retryOf ?? null,
      created_by: principal.name,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const key = { id: row.id as JobId, organizationId: principal.organizationId }
  await appendEvents(trx, key, [
    {
      kind: 'job.submitted',
      facts: { by: principal.name, title: row.title, into: row.target_branch, agent: row.agent },
    },
  ])
  await recordAudit(trx, {
    principal,
    action: 'job.submit',
    subject: `job ${row.number}`,
    after: { repository: request.repository, into: request.into },
    outcome: 'done',
  })
  await notify(trx, 'flowforge_admission', row.id)
  return viewJob(trx, row)
}

/** More than a number holds exactly would be kept as another amount. */
function budgetOf({ budgetUsd }: JobRequest): number | null {
  if (budgetUsd === undefined) return null
  try {
    return fromUsd(budgetUsd)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw refuse('invalid_request', { problem: `budgetUsd: ${error.message}.` }, error)
  }
}

function titleOf(task: string): string {
  const line =
    task
      .split('\n')
      .find((one) => one.trim() !== '')
      ?.trim() ?? 'Untitled'
  return line.length > 120 ? `${line.slice(0, 117)}…` : line
}
