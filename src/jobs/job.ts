/**
 * Words of this room.
 *
 *   job        one task on one repository, to be landed on one target branch
 *   execution  one try of one phase: a `run` (the agent works) or a `land` (the merge lane works)
 *   event      something that happened to a job; numbered per job without gaps
 *   result     the commit that the run brought home; kept as a bundle in storage
 *   landing    the merge commit that is pushed to the target branch
 *   lane       everything that lands on one branch of one repository, one at a time
 *   admission  the decision that a waiting job gets a place now
 */
import { z } from 'zod'
import type { JobId, OrganizationId } from '#lib/ids.ts'
import { JOB_STATES, type JobState } from './state.ts'

export const TASK_LIMIT_BYTES = 256 * 1024

const name = z.string().min(1).max(250)
const line = z.string().min(1).max(10_000)

/** What a caller asks for. Sizes in bytes, times in seconds, money in US dollars as a decimal string. */
export const jobRequestSchema = z.strictObject({
  repository: line.describe(
    'A registered name, an https or ssh address, or (operator only) an absolute path.',
  ),
  task: z.string().min(1).describe('What the agent is to do.'),
  into: name.describe('The target branch.'),
  base: name.optional().describe('Branch, tag or commit to begin from. Default: the target branch.'),
  title: z.string().max(200).optional().describe('One line for people. Default: the first line of the task.'),
  agent: z.enum(['claude', 'command']).default('claude'),
  command: z
    .array(z.string().max(100_000))
    .min(1)
    .max(200)
    .optional()
    .describe('The program and its arguments, for agent "command".'),
  model: name.optional().describe('A model id. Default: what Claude Code takes by itself.'),
  maxTurns: z.int().min(1).max(1000).optional(),
  timeLimitSeconds: z.int().min(1).max(86_000).default(3600),
  budgetUsd: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/, 'it must be a decimal number such as "2.50"')
    .optional(),
  setup: line
    .optional()
    .describe('A shell command that brings dependencies, run before the agent and before the checks.'),
  checks: z
    .array(line)
    .max(50)
    .default([])
    .describe('Shell commands that must pass on the merged tree before it lands.'),
  variables: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(32_768)).default({}),
  landing: z.enum(['merge', 'branch']).default('merge'),
  priority: z.int().min(-100).max(100).default(0),
  maxAttempts: z
    .int()
    .min(1)
    .max(10)
    .default(1)
    .describe('How often the agent may try when it fails. Infrastructure failures do not count.'),
  costTags: z.record(z.string().max(100), z.string().max(200)).default({}),
  idempotencyKey: z.string().min(1).max(200).optional(),
})
export type JobRequest = z.output<typeof jobRequestSchema>
export type JobRequestInput = z.input<typeof jobRequestSchema>

/** A job as callers see it. */
export const jobSchema = z.object({
  id: z.uuid(),
  number: z.int().describe('People say "job 12".'),
  state: z.enum(JOB_STATES as [JobState, ...JobState[]]),
  repository: z.string(),
  title: z.string(),
  task: z.string(),
  agent: z.enum(['claude', 'command']),
  command: z.array(z.string()).nullable(),
  model: z.string().nullable(),
  base: z.string(),
  into: z.string(),
  landing: z.enum(['merge', 'branch']),
  setup: z.string().nullable(),
  checks: z.array(z.string()),
  priority: z.int(),
  timeLimitSeconds: z.int(),
  budgetUsd: z.string().nullable(),
  costTags: z.record(z.string(), z.string()),
  attempts: z.int(),
  maxAttempts: z.int(),
  costUsd: z.string().describe("What the model calls of this job cost, by the gateway's ledger."),
  simulated: z.boolean().describe('The answers came from the scripted model (no key), not from Claude.'),
  cause: z.string().nullable().describe('Why it is failed, paused, cancelled or in review: a stable word.'),
  message: z.string().nullable().describe('The same for people, with what to do.'),
  reviewReasons: z.array(z.string()),
  baseCommit: z.string().nullable(),
  resultCommit: z.string().nullable(),
  resultBranch: z.string().nullable(),
  landedCommit: z.string().nullable(),
  approvedBy: z.string().nullable(),
  retryOf: z.uuid().nullable(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
})
export type Job = z.output<typeof jobSchema>

export const executionSchema = z.object({
  id: z.uuid(),
  kind: z.enum(['run', 'land']),
  attempt: z.int(),
  workerId: z.uuid(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  outcome: z.string().nullable(),
  cause: z.string().nullable(),
  message: z.string().nullable(),
})
export type Execution = z.output<typeof executionSchema>

/** One event of a job. `facts` depend on the kind; readers ignore kinds they do not know. */
export const jobEventSchema = z.object({
  number: z.int(),
  occurredAt: z.iso.datetime(),
  kind: z.string(),
  facts: z.record(z.string(), z.unknown()),
})
export type JobEvent = z.output<typeof jobEventSchema>

export const jobQuerySchema = z.strictObject({
  state: z.enum(JOB_STATES as [JobState, ...JobState[]]).optional(),
  repository: z.string().optional(),
  before: z.coerce.number().int().optional().describe('Only jobs with a smaller number: the next page.'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})
export type JobQuery = z.output<typeof jobQuerySchema>

/** A job is named by its number (12) or its id. */
export type JobName = string & { readonly __jobName?: never }

export type JobKey = { readonly organizationId: OrganizationId; readonly id: JobId }
