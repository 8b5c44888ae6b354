/**
 * Writes the calls of a gateway to the ledger: those that come while a write is under way go together with the next,
 * so that a busy gateway makes few writes and a quiet one waits for none. While the database is away they are kept.
 */
import type { Databases } from '#db'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import { recordUsage, type ModelCall } from './store.ts'

/** About 20 MB of memory. What comes above that is lost, and logged with its cost. */
const KEPT_CALLS = 50_000
const CALLS_PER_WRITE = 500
/** A busy gateway gathers for this long between two writes: a write costs PostgreSQL as much as twenty calls in it. */
const GATHER_MS = 20

export type Ledger = {
  /** Resolves when the call is in the database. */
  record(call: ModelCall): Promise<void>
  /** Writes what is left; gives up after `ms` and logs what is lost. */
  close(ms?: number): Promise<void>
}

type Waiting = { readonly call: ModelCall; readonly done: () => void }

export function createLedger(
  databases: Pick<Databases, 'system'>,
  log: Log,
  /** Called after each write: settled money is free for others. */
  onWritten: (calls: readonly ModelCall[]) => void = () => undefined,
): Ledger {
  let waiting: Waiting[] = []
  let writing: Promise<void> | undefined
  const stop = new AbortController()

  const write = async (): Promise<void> => {
    for (let pauseMs = 50; waiting.length > 0 && !stop.signal.aborted;) {
      const batch = waiting.slice(0, CALLS_PER_WRITE)
      try {
        await recordUsage(
          databases.system,
          batch.map(({ call }) => call),
        )
        waiting = waiting.slice(batch.length)
        for (const { done } of batch) done()
        onWritten(batch.map(({ call }) => call))
        pauseMs = 50
        if (waiting.length > 0 && waiting.length < CALLS_PER_WRITE) await sleep(GATHER_MS, stop.signal)
      } catch (error) {
        log.error({ error: String(error), waiting: waiting.length }, 'costs.ledger_write_failed')
        await sleep(pauseMs, stop.signal)
        pauseMs = Math.min(pauseMs * 2, 2000)
      }
    }
    writing = undefined
  }

  return {
    record(call) {
      if (waiting.length >= KEPT_CALLS || stop.signal.aborted) {
        log.error({ call: call.id, nanoDollars: call.nanoDollars, job: call.jobId }, 'costs.call_lost')
        return Promise.resolve()
      }
      return new Promise((done) => {
        waiting.push({ call, done })
        writing ??= write()
      })
    },
    async close(ms = 5000) {
      const timer = setTimeout(() => stop.abort(), ms)
      await writing
      clearTimeout(timer)
      stop.abort()
      for (const { call, done } of waiting) {
        log.error({ call: call.id, nanoDollars: call.nanoDollars, job: call.jobId }, 'costs.call_lost')
        done()
      }
    },
  }
}
