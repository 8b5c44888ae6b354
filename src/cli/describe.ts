/** A job in words: what it is, what came of it, and what to type next. */
import type { Execution, Job } from '#api'
import { ago, duration, paint, safe, safeLine } from './output.ts'

/** Said wherever results are shown that no model made. */
export const SCRIPTED = 'scripted model, no key'

export function describeJob(job: Job, executions: readonly Execution[]): string {
  const facts: [string, string | null][] = [
    ['state', `${paintState(job.state)}${job.simulated ? `  ${paint.yellow(`(${SCRIPTED})`)}` : ''}`],
    [job.state === 'succeeded' ? 'summary' : 'why', describeMessage(job)],
    [
      'review',
      job.reviewReasons.length === 0 ? null : job.reviewReasons.map((reason) => safeLine(reason)).join('\n'),
    ],
    ['repository', safeLine(job.repository)],
    [
      'branch',
      `${safeLine(job.base)} → ${safeLine(job.into)}${job.landing === 'branch' ? ' (branch only)' : ''}`,
    ],
    ['agent', describeAgent(job)],
    ['setup', job.setup === null ? null : safeLine(job.setup)],
    ['checks', job.checks.length === 0 ? null : job.checks.map((check) => safeLine(check)).join('\n')],
    [
      'cost',
      `$${job.costUsd}${job.budgetUsd === null ? '' : ` of $${job.budgetUsd}`}${job.simulated ? ` (${SCRIPTED})` : ''}`,
    ],
    ['result', job.resultCommit],
    ['kept on', job.resultBranch === null ? null : safeLine(job.resultBranch)],
    ['landed', job.landedCommit === null ? null : paint.green(job.landedCommit)],
    ['approved by', job.approvedBy === null ? null : safeLine(job.approvedBy)],
    [
      'submitted',
      `${ago(job.createdAt)} by ${safeLine(job.createdBy)}${job.retryOf === null ? '' : `, a retry of ${job.retryOf}`}`,
    ],
    ['took', describeTimes(job)],
    ['tries', executions.length === 0 ? null : executions.map(describeExecution).join('\n')],
  ]
  const lines = facts
    .filter((fact): fact is [string, string] => fact[1] !== null)
    .map(
      ([name, value]) => `  ${paint.dim(name.padEnd(11))} ${value.replaceAll('\n', `\n${' '.repeat(14)}`)}`,
    )
  const task = safe(job.task.length > 2000 ? `${job.task.slice(0, 2000)}…` : job.task)
  return [
    `${paint.bold(`Job ${job.number}`)}  ${safeLine(job.title, 120)}`,
    ...lines,
    '',
    paint.dim('  task'),
    `    ${task.trimEnd().replaceAll('\n', '\n    ')}`,
    '',
    ...nextSteps(job).map((step) => `  ${step}`),
  ].join('\n')
}

/** One line at the end of a watch, and what to type next. */
export function describeEnd(job: Job): string {
  const scripted = job.simulated ? ` (${SCRIPTED})` : ''
  const where =
    job.landedCommit === null ? '' : ` on ${safeLine(job.into)} as ${job.landedCommit.slice(0, 12)}`
  const why = !job.message || job.state === 'succeeded' ? '' : `: ${safeLine(job.message, 500)}`
  const steps = nextSteps(job)
    .map((step) => `\n  ${step}`)
    .join('')
  return `Job ${job.number} ${paintState(job.state)}${where}${why}, cost $${job.costUsd}${scripted}${steps}`
}

/** What a person would want to type now. */
export function nextSteps(job: Job): readonly string[] {
  const n = job.number
  switch (job.state) {
    case 'queued':
    case 'running':
    case 'merging':
      return [`flowforge watch ${n}    follow it`, `flowforge cancel ${n}   stop it`]
    case 'needs_review':
      return [
        `flowforge diff ${n}      what it changes`,
        `flowforge approve ${n}${job.resultCommit === null ? '' : ` --commit ${job.resultCommit.slice(0, 12)}`}   land it`,
        `flowforge reject ${n}    do not`,
      ]
    case 'paused':
      return [`flowforge retry ${n}    let it go on`, `flowforge cancel ${n}   give it up`]
    case 'failed':
      return [`flowforge log ${n}      what happened`, `flowforge retry ${n}    submit it again`]
    case 'succeeded':
      return [`flowforge diff ${n}     what it changed`]
    case 'cancelled':
      return [`flowforge retry ${n}    submit it again`]
  }
}

export function paintState(state: Job['state']): string {
  switch (state) {
    case 'succeeded':
      return paint.green(state)
    case 'failed':
      return paint.red(state)
    case 'needs_review':
    case 'paused':
      return paint.yellow(state)
    case 'running':
    case 'merging':
      return paint.cyan(state)
    case 'queued':
    case 'cancelled':
      return paint.dim(state)
  }
}

function describeMessage({ cause, message }: Job): string | null {
  if (message === null || message === '') return null
  return `${cause === null ? '' : `${cause}: `}${safe(message)}`
}

function describeAgent(job: Job): string {
  if (job.agent === 'command') return `command: ${safeLine((job.command ?? []).join(' '))}`
  return `claude${job.model === null ? '' : `, ${safeLine(job.model)}`}`
}

function describeTimes({ startedAt, finishedAt }: Job): string | null {
  if (startedAt === null) return null
  const end = finishedAt === null ? Date.now() : Date.parse(finishedAt)
  return duration(end - Date.parse(startedAt))
}

function describeExecution(execution: Execution): string {
  const outcome = execution.outcome ?? 'runs'
  const took =
    execution.endedAt === null
      ? ''
      : `, ${duration(Date.parse(execution.endedAt) - Date.parse(execution.startedAt))}`
  const why = !execution.message || execution.cause === null ? '' : `: ${safeLine(execution.message)}`
  return `${execution.kind} ${execution.attempt}  ${outcome}${took}${why}`
}
