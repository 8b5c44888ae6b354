/** What a budget says to a client: in words, and in the headers that Claude Code shows to people. */
import { toUsd, type Standing } from '#costs'
import { apiError, type ApiError } from './errors.ts'

/** Claude Code shows what stands at these shares of a limit. */
const NOTICE_SHARES = [0.95, 0.75]
const DAY_SECONDS = 86_400

const NAMES = {
  organization: 'organization',
  user: 'user',
  repository: 'repository',
  job: 'job',
  api_key: 'API key',
} as const satisfies Record<Standing['scope'], string>

/** Claude Code stops at once at this one, and shows the message as it is. */
export function overBudget(standing: Standing, now: number): ApiError {
  return apiError(
    'billing_error',
    `The ${nameOf(standing)} has no room for this call: $${toUsd(standing.spentNano)} of $${toUsd(standing.limitNano)} are spent. ${resetOf(standing)}`,
    {
      'retry-after': String(secondsToReset(standing, now)),
      'anthropic-ratelimit-unified-status': 'rejected',
      ...resetHeaders(standing),
      'anthropic-ratelimit-unified-overage-utilization': '1',
      'anthropic-ratelimit-unified-overage-surpassed-threshold': '1',
      'anthropic-ratelimit-unified-overage-disabled-reason': 'org_spend_cap_reached',
    },
  )
}

/** Money is there, but calls under way hold it; a client may try again by itself. */
export function crowded(standing: Standing): ApiError {
  return apiError(
    'rate_limit_error',
    `Calls under way hold what is left of the ${nameOf(standing)} ($${toUsd(standing.limitNano)}). Try again when some of them have ended.`,
    { 'retry-after': '10' },
  )
}

/** Headers for an answer that is served, when a budget above it is nearly spent. */
export function warningHeaders(standings: readonly Standing[]): readonly string[] {
  let most: Standing | undefined
  let share = 0
  for (const one of standings) {
    const of = one.limitNano === 0 ? 1 : one.spentNano / one.limitNano
    if (of > share) [most, share] = [one, of]
  }
  const threshold = NOTICE_SHARES.find((one) => share >= one)
  if (most === undefined || threshold === undefined) return []
  return Object.entries({
    'anthropic-ratelimit-unified-status': 'allowed_warning',
    ...resetHeaders(most),
    'anthropic-ratelimit-unified-overage-utilization': String(Math.min(share, 9.99).toFixed(2)),
    'anthropic-ratelimit-unified-overage-surpassed-threshold': String(threshold),
  }).flat()
}

function resetHeaders({ period, resetsAt }: Standing): Record<string, string> {
  const reset = resetsAt === null ? {} : resetPair(String(Math.ceil(resetsAt.getTime() / 1000)))
  return { ...reset, ...(period === 'total' ? {} : { 'anthropic-ratelimit-unified-overage-period': period }) }
}

function resetPair(seconds: string): Record<string, string> {
  return {
    'anthropic-ratelimit-unified-reset': seconds,
    'anthropic-ratelimit-unified-overage-reset': seconds,
  }
}

function nameOf({ scope, scopeId, period }: Standing): string {
  const whose = scope === 'organization' ? 'organization' : `${NAMES[scope]} ${scopeId}`
  return `${period} budget of the ${whose}`
}

function resetOf({ resetsAt }: Standing): string {
  return resetsAt === null
    ? 'It does not reset by itself; `flowforge budget set` raises it.'
    : `It resets at ${resetsAt.toISOString()}; \`flowforge budget set\` raises it.`
}

function secondsToReset({ resetsAt }: Standing, now: number): number {
  return resetsAt === null ? DAY_SECONDS : Math.max(1, Math.ceil((resetsAt.getTime() - now) / 1000))
}
