/** What is thrown in the middle of a story: a stop, an outage or a full disk ends it as a value; anything else is a bug. */
import { isOutage } from '#db'
import { RemoteAway } from '#git'
import { StaleClaim, type Claim } from './claim.ts'
import { backOff, infrastructureFailed } from './retry.ts'
import type { End } from './settle.ts'
import { Stop } from './stop.ts'

/** Undefined for a bug. Throws StaleClaim when the job has gone to another. */
export function endOfThrown(claim: Claim, error: unknown): End | undefined {
  if (error instanceof StaleClaim) throw error
  if (error instanceof Stop) return endOfStop(error)
  if (isDiskFull(error)) {
    return again(claim, {
      cause: 'disk_full',
      message:
        'No space is left on the disk of FLOWFORGE_HOME. Free some, or set FLOWFORGE_HOME to a larger disk; the job is tried again.',
    })
  }
  if (error instanceof RemoteAway) return again(claim, { cause: 'unreachable', message: error.message })
  return isOutage(error) ? again(claim, { cause: 'database', message: 'The database was away.' }) : undefined
}

function endOfStop({ why }: Stop): End {
  switch (why) {
    case 'cancelled':
      return { kind: 'cancelled', message: 'Cancelled.' }
    case 'shutdown':
    case 'time-limit':
      return {
        kind: 'again',
        cause: 'worker_stopping',
        message: 'The worker was stopped; another goes on.',
        delayMs: 0,
      }
    case 'lost':
      throw new StaleClaim()
  }
}

/**
 * A fault of ours while a landing is written. The push may have been made, so nobody knows yet how the job ends: the
 * lane asks the remote again, however long the fault lasts.
 */
export function endWhileLanding(claim: Claim): End {
  return {
    kind: 'again',
    cause: 'internal',
    message: `FlowForge failed while this job landed (execution ${claim.executionId}); the worker's log has the cause. It is tried again.`,
    counts: 'infrastructure',
    delayMs: backOff(claim.job.infrastructure_failures, 5_000),
  }
}

/** A landing keeps trying: its result is there. A run gives up after a while. */
function again(claim: Claim, why: { readonly cause: string; readonly message: string }): End {
  const end = infrastructureFailed(claim.job, why)
  return end.kind === 'failed' && claim.phase === 'land'
    ? { kind: 'again', ...why, counts: 'infrastructure', delayMs: 60_000 }
    : end
}

function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && (at.code === 'ENOSPC' || at.code === 'EDQUOT')) return true
    if (/\bENOSPC\b|No space left on device|Disk quota exceeded/i.test(at.message)) return true
  }
  return false
}
