/** Counts over all organizations, for /metrics. */
import { sql } from 'kysely'
import { asSystem, type Databases } from '#db'
import { isFinal, JOB_STATES, type JobState } from './state.ts'

const OPEN_STATES = JOB_STATES.filter((state) => !isFinal(state))

export type JobFigures = {
  /** Only states that are not final: they are few, however long the table grows. */
  readonly byState: Readonly<Partial<Record<JobState, number>>>
  /** How long the longest waiting queued job that may run now has waited, in seconds. 0 when none waits. */
  readonly longestWaitSeconds: number
}

export async function readJobFigures(databases: Databases): Promise<JobFigures> {
  return asSystem(databases, async (trx) => {
    const states = await trx
      .selectFrom('jobs')
      .select(['state', sql<number>`count(*)::int`.as('count')])
      .where('state', 'in', OPEN_STATES)
      .groupBy('state')
      .execute()
    const waiting = await trx
      .selectFrom('jobs')
      .select(sql<number>`coalesce(extract(epoch from now() - min(run_after)), 0)::float8`.as('seconds'))
      .where('state', '=', 'queued')
      .where('run_after', '<=', sql<Date>`now()`)
      .executeTakeFirstOrThrow()
    return {
      byState: Object.fromEntries([
        ...OPEN_STATES.map((state) => [state, 0]),
        ...states.map(({ state, count }) => [state, count]),
      ]),
      longestWaitSeconds: waiting.seconds,
    }
  })
}
