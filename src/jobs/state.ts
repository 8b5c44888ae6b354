/**
 * The life of a job as one table. The code, the SQL table `job_transitions` (which a trigger asks) and
 * docs/reference/job-states.md all come from here; tests hold the three together.
 */
export const TRANSITIONS = {
  queued: ['running', 'cancelled'],
  running: ['merging', 'queued', 'paused', 'failed', 'cancelled'],
  merging: ['succeeded', 'needs_review', 'queued', 'paused', 'failed', 'cancelled'],
  paused: ['queued', 'cancelled'],
  needs_review: ['merging', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>

export type JobState = keyof typeof TRANSITIONS

export const JOB_STATES = Object.keys(TRANSITIONS) as readonly JobState[]

export function canMove(from: JobState, to: JobState): boolean {
  return (TRANSITIONS[from] as readonly JobState[]).includes(to)
}

/** Only succeeded, failed and cancelled are final: nothing leads out of them. */
export function isFinal(state: JobState): boolean {
  return TRANSITIONS[state].length === 0
}
