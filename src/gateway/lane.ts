/**
 * How many calls one upstream (an address and a key) takes at once, learned from its answers: one more for each that
 * goes well, half when it says that it is overloaded, and none until the time it asks for.
 */
import type { Clock } from '#lib/clock.ts'

export type Lane = {
  /** When it takes a call: now (0), in so many milliseconds, or when one of those under way ends (undefined). */
  opensInMs(): number | undefined
  enter(): void
  /** `overloaded`: 429, 529 or out of reach; with what the upstream asked to wait. */
  leave(how: 'well' | 'overloaded' | 'otherwise', retryAfterMs?: number): void
  readonly limit: number
}

const MOST = 1024
const LONGEST_PAUSE_MS = 60_000
const FIRST_PAUSE_MS = 500
const LONGEST_BACKOFF_MS = 8_000

export function createLane(clock: Clock, random: () => number = Math.random): Lane {
  let limit = MOST
  let inside = 0
  let closedUntil = 0
  let failures = 0
  return {
    get limit() {
      return limit
    },
    opensInMs() {
      const now = clock.now()
      if (now < closedUntil) return closedUntil - now
      return inside < Math.floor(limit) ? 0 : undefined
    },
    enter() {
      inside++
    },
    leave(how, retryAfterMs) {
      const before = inside--
      if (how === 'well') {
        failures = 0
        limit = Math.min(MOST, limit + 1 / limit)
      } else if (how === 'overloaded') {
        const now = clock.now()
        // Calls that were under way when it began to refuse tell the same thing once more, not something worse.
        if (now >= closedUntil) {
          limit = Math.max(1, Math.min(limit, before) / 2)
          failures++
        }
        const backoff =
          Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_BACKOFF_MS) * (0.75 + random() / 2)
        closedUntil = Math.max(closedUntil, now + Math.min(retryAfterMs ?? backoff, LONGEST_PAUSE_MS))
      }
    },
  }
}
