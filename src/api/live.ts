/**
 * Who waits for news of which job. One LISTEN serves all readers of this process; a reader waits here and then reads
 * the events itself, so a lost or doubled notification costs nothing but a look.
 */
import type { Listener } from '#db'

export type Live = Disposable & {
  /** Remember now, read, then wait: whatever happens after `now` ends the wait at once. */
  now(jobId: string): Moment
  /** Runs a look of one reader when it is its turn: hundreds of readers leave connections for everybody else. */
  inTurn<T>(look: () => Promise<T>): Promise<T>
  readonly readers: number
}

export type Moment = Disposable & {
  /** Ends with the next event of the job, after `timeoutMs` at the latest, or when the signal is aborted. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>
}

/** Of the ten connections that this process has (see openDatabases). */
const LOOKS_AT_ONCE = 4

export async function createLive(listener: Pick<Listener, 'listen'>): Promise<Live> {
  const waiting = new Map<string, Set<() => void>>()
  let readers = 0
  const stopListening = await listener.listen('flowforge_job_events', (jobId) => {
    // Without an id the connection was renewed and anything may have been missed: all look anew.
    const concerned = jobId === undefined ? [...waiting.values()] : [waiting.get(jobId) ?? []]
    for (const wakes of concerned) for (const wake of wakes) wake()
  })

  function now(jobId: string): Moment {
    let news = false
    let resolve: (() => void) | undefined
    const wake = (): void => {
      news = true
      resolve?.()
    }
    const mates = waiting.get(jobId) ?? new Set()
    waiting.set(jobId, mates.add(wake))
    readers += 1
    return {
      async next(timeoutMs, signal) {
        if (!news && !signal.aborted) await waitFor((done) => (resolve = done), timeoutMs, signal)
        news = false
        resolve = undefined
      },
      [Symbol.dispose]() {
        readers -= 1
        mates.delete(wake)
        if (mates.size === 0) waiting.delete(jobId)
      },
    }
  }

  let looking = 0
  const queue: (() => void)[] = []
  async function inTurn<T>(look: () => Promise<T>): Promise<T> {
    // Whoever ends hands its place over, so nobody who comes meanwhile takes it.
    if (looking < LOOKS_AT_ONCE) looking += 1
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      return await look()
    } finally {
      const next = queue.shift()
      if (next) next()
      else looking -= 1
    }
  }

  return {
    now,
    inTurn,
    get readers() {
      return readers
    },
    [Symbol.dispose]: stopListening,
  }
}

async function waitFor(
  begin: (done: () => void) => void,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  const stop = (): void => resolve()
  signal.addEventListener('abort', stop, { once: true })
  begin(resolve)
  await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
}
