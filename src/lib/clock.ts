import { setTimeout as sleepFor } from 'node:timers/promises'

/** Time as a dependency, so that a test can hold it still. Milliseconds since 1970. */
export type Clock = { now(): number }

export const systemClock: Clock = { now: () => Date.now() }

/** Waits, and ends early without an error when the signal is aborted. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, signal ? { signal } : {}).catch(() => undefined)
}
