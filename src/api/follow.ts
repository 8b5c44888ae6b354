/** Follows a job: every event after a number, exactly once and in order, until the job has ended. */
import { sleep } from '#lib/clock.ts'
import type { Job, JobEvent, Jobs } from '#jobs'
import type { Principal } from '#tenants'
import type { Live } from './live.ts'

export type Followed =
  | { readonly kind: 'event'; readonly event: JobEvent }
  /** Nothing happened for a while; the reader hears that the line still stands. */
  | { readonly kind: 'quiet' }
  | { readonly kind: 'end'; readonly job: Job }

export type FollowOptions = {
  readonly jobs: Pick<Jobs, 'read' | 'events'>
  readonly live: Live
  readonly name: string
  readonly after: number
  /** Asked again after each quiet time, so that a revoked key ends the stream. */
  readonly authenticate: () => Promise<Principal>
  readonly quietMs?: number
  readonly signal: AbortSignal
}

/** Events read at once: what one slow reader can hold in memory. */
export const BATCH = 200
/** At most 40 looks a second for each reader, however many notifications come. */
const BREATH_MS = 25
const QUIET_MS = 15_000

export async function* follow(options: FollowOptions): AsyncGenerator<Followed> {
  const { jobs, live, name, authenticate, signal, quietMs = QUIET_MS } = options
  let principal = await authenticate()
  let after = options.after
  const readJob = () => live.inTurn(() => jobs.read(principal, name))
  const readEvents = () => live.inTurn(() => jobs.events(principal, name, after, BATCH))
  using moment = live.now((await readJob()).id)
  while (!signal.aborted) {
    // The job first, its events after: what made it final is then among the events.
    const job = await readJob()
    for (let batch = await readEvents(); ;) {
      for (const event of batch) yield { kind: 'event', event }
      after = batch.at(-1)?.number ?? after
      if (batch.length < BATCH) break
      batch = await readEvents()
    }
    if (job.finishedAt !== null) return yield { kind: 'end', job }
    const before = Date.now()
    await moment.next(quietMs, signal)
    if (Date.now() - before >= quietMs) {
      yield { kind: 'quiet' }
      principal = await authenticate()
    } else await sleep(BREATH_MS, signal)
  }
}
