/** Ends a process that should have ended: the watchdog on silence, and the steps from a friendly word to SIGKILL. */
import type { GuestProcess } from '#sandbox'
import type { Watchdog } from './task.ts'

export const WATCHDOG: Watchdog = {
  silenceMs: 15 * 60_000,
  // Claude Code ends about a second after its input was closed; its background shells may take five.
  afterResultMs: 20_000,
  graceMs: 5_000,
}

export type Ender = {
  /** The process gave a sign of life; it may be silent for `ms` from now. */
  expectWithin(ms: number): void
  /** Ends it in steps of `graceMs`, beginning with a signal now, or with a grace when it was asked in words already. */
  stepDown(first: 'SIGINT' | 'SIGTERM' | 'grace'): void
  done(): void
}

export function createEnder(process: GuestProcess, graceMs: number, onSilence: () => void): Ender {
  let timer: NodeJS.Timeout | undefined
  let isEnding = false
  const after = (ms: number, work: () => void): void => {
    clearTimeout(timer)
    timer = setTimeout(work, ms)
  }
  const terminate = (): void => {
    process.signal('SIGTERM')
    after(graceMs, () => process.kill())
  }
  return {
    expectWithin(ms) {
      if (!isEnding) after(ms, onSilence)
    },
    stepDown(first) {
      if (isEnding) return
      isEnding = true
      if (first === 'SIGTERM') return terminate()
      if (first === 'SIGINT') process.signal('SIGINT')
      after(graceMs, terminate)
    },
    done() {
      isEnding = true
      clearTimeout(timer)
    },
  }
}
