/**
 * Calls that wait on this machine's disk for the database: one line each, appended before the call counts as recorded.
 * A process that dies leaves its file behind; the next one on this machine takes it over. Writing a call that is in the
 * ledger already changes nothing, so nothing must be known of how far the dead one came.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#telemetry'
import type { ModelCall } from './store.ts'

export type Spool = {
  /** Calls that were put in and not yet taken out, of this process. */
  readonly size: number
  put(calls: readonly ModelCall[]): void
  /** Before a call is sent that nothing is reserved for: its estimate, for the case that this process dies before its end. */
  begin(estimate: ModelCall): void
  /** It is in the ledger, or was put in. */
  end(id: string): void
  /** Hands over what is there, some at a time, and forgets each file when all of it was taken. Throws what `take` throws. */
  drain(take: (calls: readonly ModelCall[]) => Promise<void>): Promise<void>
  close(): void
}

const CALLS_AT_ONCE = 500
const OWN = /^spool-(\d+)-\d+\.jsonl$/
const JOURNAL = /^journal-(\d+)-\d+\.jsonl$/
const BEGUN_PER_JOURNAL = 2000

/** A file of calls that were begun; it goes when all of them have ended. */
type Journal = { readonly fd: number; readonly path: string; readonly open: Set<string>; begun: number }

export function createSpool(folder: string, log: Log): Spool {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  let file: { readonly fd: number; readonly path: string } | undefined
  let number = 0
  let size = 0

  let journal: Journal | undefined
  const begun = new Map<string, Journal>()
  // Those of processes that died, and of one that had our number before us.
  let journalsLeft = readdirSync(folder).filter((name) => {
    const pid = Number(JOURNAL.exec(name)?.[1] ?? 0)
    return pid > 0 && (pid === process.pid || !isAlive(pid))
  })

  function leave(old: Journal): void {
    if (old.open.size > 0 || old === journal) return
    closeSync(old.fd)
    rmSync(old.path, { force: true })
  }

  const left = (): string[] =>
    readdirSync(folder)
      .filter((name) => {
        const pid = Number(OWN.exec(name)?.[1] ?? 0)
        return pid > 0 && (pid === process.pid || !isAlive(pid))
      })
      .toSorted((a, b) => a.localeCompare(b))

  return {
    get size() {
      return size
    },
    put(calls) {
      if (file === undefined) {
        const path = join(folder, `spool-${process.pid}-${Date.now()}${number++}.jsonl`)
        file = { fd: openSync(path, 'a', 0o600), path }
      }
      writeSync(file.fd, calls.map((call) => `${JSON.stringify(call)}\n`).join(''))
      size += calls.length
    },
    begin(estimate) {
      if (journal === undefined || journal.begun >= BEGUN_PER_JOURNAL) {
        const old = journal
        const path = join(folder, `journal-${process.pid}-${Date.now()}${number++}.jsonl`)
        journal = { fd: openSync(path, 'a', 0o600), path, open: new Set(), begun: 0 }
        if (old !== undefined) leave(old)
      }
      writeSync(journal.fd, `${JSON.stringify(estimate)}\n`)
      journal.begun++
      journal.open.add(estimate.id)
      begun.set(estimate.id, journal)
    },
    end(id) {
      const its = begun.get(id)
      if (its === undefined) return
      begun.delete(id)
      its.open.delete(id)
      leave(its)
    },
    async drain(take) {
      if (file !== undefined) {
        closeSync(file.fd)
        file = undefined
      }
      // What has ended goes before what had only begun: the first that is written of a call is what counts.
      for (const name of [...left(), ...journalsLeft]) {
        const mine = takeOver(folder, name, number++)
        if (mine === undefined) continue
        const bytes = statSync(mine).size
        let calls: ModelCall[] = []
        const hand = await open(mine)
        try {
          for await (const line of hand.readLines()) {
            const call = parse(line)
            if (call) calls.push(call)
            if (calls.length < CALLS_AT_ONCE) continue
            await take(calls)
            calls = []
          }
          if (calls.length > 0) await take(calls)
        } finally {
          await hand.close().catch(() => undefined)
        }
        unlinkSync(mine)
        log.info({ file: name, bytes }, 'costs.spool_written')
      }
      journalsLeft = []
      if (file === undefined) size = 0
    },
    close() {
      if (file !== undefined) closeSync(file.fd)
      file = undefined
      const last = journal
      journal = undefined
      if (last !== undefined) leave(last)
    },
  }
}

/** Under a name of this process: of two that find the file of a dead one, one gets it. */
function takeOver(folder: string, name: string, number: number): string | undefined {
  const mine = join(folder, `spool-${process.pid}-${Date.now()}${number}.jsonl`)
  try {
    renameSync(join(folder, name), mine)
    return mine
  } catch {
    return undefined
  }
}

/** A line that a kill cut in two is no call: its reservation, or nothing, tells of it. */
function parse(line: string): ModelCall | undefined {
  try {
    const call = JSON.parse(line) as Omit<ModelCall, 'occurredAt'> & { readonly occurredAt: string }
    return { ...call, occurredAt: new Date(call.occurredAt) }
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
