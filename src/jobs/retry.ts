/** When a failed run is tried again by itself, and how long it waits: a rule for each kind of cause. */
import type { JobRow } from './store.ts'
import type { End, Why } from './settle.ts'

/** After so many infrastructure failures of one job it ends: it may be the job that breaks the infrastructure. */
export const INFRASTRUCTURE_LIMIT = 8

const MAX_DELAY_MS = 5 * 60_000

/** What failed was ours (network, sandbox, gateway): try again with back-off, without counting it against the agent. */
export function infrastructureFailed(job: Pick<JobRow, 'infrastructure_failures'>, why: Why): End {
  return job.infrastructure_failures + 1 >= INFRASTRUCTURE_LIMIT
    ? { kind: 'failed', ...why, message: `${why.message} It was tried ${INFRASTRUCTURE_LIMIT} times.` }
    : {
        kind: 'again',
        ...why,
        counts: 'infrastructure',
        delayMs: backOff(job.infrastructure_failures, 2_000),
      }
}

/** What failed was the agent's work: tried again only as often as the job asked for. Runs that were cut off do not count. */
export function agentFailed(job: Pick<JobRow, 'agent_failures' | 'max_attempts'>, why: Why): End {
  return job.agent_failures + 1 >= job.max_attempts
    ? { kind: 'failed', ...why }
    : { kind: 'again', ...why, counts: 'agent', delayMs: backOff(job.agent_failures, 5_000) }
}

/** Doubles from `firstMs`, at most five minutes, less up to a fifth so that many jobs do not come back at once. */
export function backOff(failures: number, firstMs: number, random: () => number = Math.random): number {
  return Math.round(Math.min(firstMs * 2 ** Math.max(failures, 0), MAX_DELAY_MS) * (1 - random() / 5))
}
