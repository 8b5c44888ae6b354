/**
 * Writes the calls of a gateway to the ledger: those that come while a write is under way go together with the next,
 * so that a busy gateway makes few writes and a quiet one waits for none.
 *
 * While the database is away calls go to a spool on this machine's disk (memory stays small, and a kill loses
 * nothing), and from there into the ledger when it is back.
 */
import type { Databases } from '#db'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import type { Spool } from './spool.ts'
import { recordUsage, type ModelCall } from './store.ts'

/** Without a spool this is what memory holds, about 20 MB. What comes above that is lost, and logged with its cost. */
const KEPT_CALLS = 50_000
const CALLS_PER_WRITE = 500
/** A busy gateway gathers for this long between two writes: a write costs PostgreSQL as much as twenty calls in it. */
const GATHER_MS = 20

export type Ledger = {
  /** Resolves when the call is in the database; while that is away, when it is on the disk. */
  record(call: ModelCall): Promise<void>
  /** Before a call is sent that nothing is reserved for: what counts if this process dies before it is recorded. */
  begin(estimate: ModelCall): void
  /** It was never sent: its estimate counts no more. */
  forget(id: string): void
  /** Writes what is left; gives up after `ms`, and logs what is lost if there is no spool. */
  close(ms?: number): Promise<void>
}

export type LedgerOptions = {
  /** Called after each write: settled money is free for others. */
  readonly onWritten?: (calls: readonly ModelCall[]) => void
  readonly spool?: Spool
}

type Waiting = { readonly call: ModelCall; readonly done: () => void }

export function createLedger(
  databases: Pick<Databases, 'system'>,
  log: Log,
  { onWritten = () => undefined, spool }: LedgerOptions = {},
): Ledger {
  let waiting: Waiting[] = []
  let writing: Promise<void> | undefined
  /** The last write failed: what comes goes to the disk. */
  let isAway = false
  /** Something lies on the disk, perhaps of an earlier process. */
  let isSpooled = spool !== undefined
  const stop = new AbortController()
  const write = async (calls: readonly ModelCall[]): Promise<void> => {
    await recordUsage(databases.system, calls)
    for (const { id } of calls) spool?.end(id)
    onWritten(calls)
  }

  const work = async (): Promise<void> => {
    for (let pauseMs = 50; (waiting.length > 0 || isSpooled) && !stop.signal.aborted;) {
      const batch = waiting.slice(0, CALLS_PER_WRITE)
      try {
        await write(batch.map(({ call }) => call))
        waiting = waiting.slice(batch.length)
        for (const { done } of batch) done()
        if (spool !== undefined && isSpooled) await spool.drain(write)
        isAway = false
        // What was put there meanwhile is taken in the next round.
        isSpooled = spool !== undefined && spool.size > 0
        pauseMs = 50
        if (waiting.length > 0 && waiting.length < CALLS_PER_WRITE) await sleep(GATHER_MS, stop.signal)
      } catch (error) {
        log.error({ error: String(error), waiting: waiting.length }, 'costs.ledger_write_failed')
        isAway = true
        isSpooled = spool !== undefined
        toDisk()
        await sleep(pauseMs, stop.signal)
        pauseMs = Math.min(pauseMs * 2, 2000)
      }
    }
    writing = undefined
  }

  /** All that waits. A disk that is full or broken leaves it in memory. */
  function toDisk(): void {
    if (spool === undefined || waiting.length === 0) return
    try {
      spool.put(waiting.map(({ call }) => call))
      for (const { call, done } of waiting) {
        spool.end(call.id)
        done()
      }
      waiting = []
    } catch (error) {
      log.error({ error: String(error), waiting: waiting.length }, 'costs.spool_failed')
    }
  }

  function lose({ call, done }: Waiting): void {
    log.error({ call: call.id, nanoDollars: call.nanoDollars, job: call.jobId }, 'costs.call_lost')
    done()
  }

  // What an earlier process left on the disk.
  if (isSpooled) writing = work()

  return {
    record(call) {
      return new Promise((done) => {
        if (waiting.length >= KEPT_CALLS) return lose({ call, done })
        waiting.push({ call, done })
        if (isAway || stop.signal.aborted) toDisk()
        if (stop.signal.aborted) return waiting.splice(0).forEach(lose)
        writing ??= work()
      })
    },
    forget: (id) => spool?.end(id),
    begin(estimate) {
      try {
        spool?.begin(estimate)
      } catch (error) {
        // A full disk must not stop the calls: what is given up is their estimate after a kill.
        log.error({ error: String(error) }, 'costs.journal_failed')
      }
    },
    async close(ms = 5000) {
      const timer = setTimeout(() => stop.abort(), ms)
      await writing
      clearTimeout(timer)
      stop.abort()
      toDisk()
      waiting.splice(0).forEach(lose)
      spool?.close()
    },
  }
}
