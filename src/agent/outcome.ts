/** How a run ended, told from what was heard and how the process ended. Kept apart from the process, so that a test can ask. */
import type { GuestExit } from '#sandbox'
import type { Facts } from './hearing.ts'
import { shortened } from './spoken.ts'
import type { Result } from './stream-json.ts'
import type { AgentUsage, TaskOutcome } from './task.ts'

/** Why we ended the process, if we did. */
export type Stopped = 'cancelled' | 'silent' | 'after-result'

export type Ended = {
  readonly facts: Facts
  readonly exit: GuestExit
  readonly stopped: Stopped | undefined
  readonly stderr: string
}

export function outcomeOf({ facts, exit, stopped, stderr }: Ended): TaskOutcome {
  if (stopped === 'cancelled') return { kind: 'cancelled' }
  const { result } = facts
  const usage = result === undefined ? {} : { usage: usageOf(result) }
  // The result counts, also when the process had to be ended after it.
  if (result !== undefined) {
    if (result.subtype === 'success' && !result.is_error)
      return { kind: 'done', summary: shortened(result.result ?? ''), ...usage }
    // A session that is interrupted for its silence still writes an error as its result.
    if (stopped === 'silent') return { ...HUNG, ...usage }
    return { ...failureOf(result, facts), ...usage }
  }
  if (stopped === 'silent') return HUNG
  if (exit.ended === 'out-of-memory')
    return {
      kind: 'interrupted',
      cause: 'out-of-memory',
      message: 'The agent used more memory than the sandbox has.',
    }
  if (facts.diskFull || DISK_FULL.test(stderr))
    return { kind: 'failed', cause: 'disk-full', message: 'The disk of the sandbox is full.' }
  if (exit.ended !== undefined || exit.exitCode === 137 || exit.exitCode === 143)
    return { kind: 'interrupted', cause: 'sandbox', message: 'The agent was ended from outside.' }
  const said = shortened(stderr.trim(), 2000)
  const message = `Claude Code ended with code ${exit.exitCode} and without a result.${said && ` It said: ${said}`}`
  return { kind: 'failed', cause: 'exit', message }
}

const HUNG = { kind: 'hung', message: 'Claude Code said nothing for too long.' } as const
const DISK_FULL = /\b(ENOSPC|EDQUOT)\b|no space left on device|disk quota exceeded/i

function failureOf(result: Result, facts: Facts): TaskOutcome {
  const message = shortened([result.result, ...(result.errors ?? [])].filter(Boolean).join('\n'), 4000)
  if (result.startup_failure_reason !== undefined)
    return {
      kind: 'failed',
      cause: NOT_PERMITTED.has(result.startup_failure_reason) ? 'not-permitted' : 'exit',
      message: `Claude Code did not start (${result.startup_failure_reason}): ${message}`,
    }
  if (result.subtype === 'error_max_turns')
    return { kind: 'failed', cause: 'max-turns', message: message || 'The turns of the job are used up.' }
  if (isOverBudget(result, facts)) return { kind: 'over-budget', message }
  if (facts.diskFull) return { kind: 'failed', cause: 'disk-full', message }
  const status = result.api_error_status
  if (status === 403) return { kind: 'failed', cause: 'not-permitted', message }
  if (status === 429 || (typeof status === 'number' && status >= 500))
    return { kind: 'interrupted', cause: 'gateway', message }
  if (typeof status === 'number') return { kind: 'failed', cause: 'api-error', message }
  // An error of the API without a status is a connection that could not be made or was cut.
  if (result.terminal_reason === 'api_error' || facts.apiError !== undefined)
    return facts.apiError === undefined || AWAY.has(facts.apiError)
      ? { kind: 'interrupted', cause: 'gateway', message }
      : { kind: 'failed', cause: 'api-error', message }
  return { kind: 'failed', cause: 'exit', message: message || `Claude Code ended with ${result.subtype}.` }
}

/**
 * Claude Code calls each 429 a rate limit, whatever the body says. But it gives up a 429 without another try only when
 * told `x-should-retry: false`, and the gateway says that for money alone.
 */
function isOverBudget(result: Result, facts: Facts): boolean {
  if (facts.apiError === 'billing_error' || result.api_error_status === 402) return true
  return result.api_error_status === 429 && facts.retriedStatus !== 429
}

const NOT_PERMITTED = new Set(['bypass_root', 'provider_not_allowed', 'gateway_access_denied'])
const AWAY = new Set(['server_error', 'overloaded', 'rate_limit', 'unknown'])

/** From modelUsage, which counts subagents too; `usage` of a result is the main loop only. */
function usageOf(result: Result): AgentUsage {
  return {
    turns: result.num_turns,
    estimatedNanoDollars: Math.round(result.total_cost_usd * 1e9),
    models: Object.fromEntries(
      Object.entries(result.modelUsage).map(([model, used]) => [
        model,
        {
          inputTokens: used.inputTokens,
          outputTokens: used.outputTokens,
          cacheReadTokens: used.cacheReadInputTokens,
          cacheWriteTokens: used.cacheCreationInputTokens,
        },
      ]),
    ),
  }
}
