/** Who gets money now: a pure function over the counters, for one batch of calls in their order. */
import type { CounterId } from './budget.ts'

export type CounterState = {
  readonly hard: boolean
  readonly limitNano: number
  readonly spentNano: number
  readonly reservedNano: number
}

export type Want = {
  readonly counters: readonly CounterId[]
  /** The most the call can cost as it came. */
  readonly wantedNano: number
  /** What it is given without waiting for more, when not all of it is there. */
  readonly comfortableNano: number
  /** Below this it cannot be sent at all. */
  readonly leastNano: number
  /** It has waited long enough: `leastNano` will do. */
  readonly isLate: boolean
}

export type Decision =
  | { readonly kind: 'grant'; readonly nano: number }
  /** Not even when everything that is open now were to cost nothing. */
  | { readonly kind: 'refuse'; readonly counter: CounterId }
  /** Calls under way hold the money; what of it they leave is not known yet. */
  | { readonly kind: 'wait'; readonly counter: CounterId }

/**
 * Decides in order, each call on what those before it leave. A call behind one that waits for the same counter waits
 * too, or small calls would pass a large one for ever. A counter that is not in `states` sets no limit.
 */
export function decide(
  wants: readonly Want[],
  states: ReadonlyMap<CounterId, CounterState>,
): readonly Decision[] {
  const taken = new Map<CounterId, number>()
  const awaited = new Set<CounterId>()
  return wants.map((want): Decision => {
    let room = Infinity
    let scarce: CounterId | undefined
    let isOpen = false
    for (const counter of want.counters) {
      const state = states.get(counter)
      if (!state?.hard) continue
      const left = state.limitNano - state.spentNano
      if (left < want.leastNano) return { kind: 'refuse', counter }
      const reserved = state.reservedNano + (taken.get(counter) ?? 0)
      if (reserved > 0) isOpen = true
      if (left - reserved < room) {
        room = left - reserved
        scarce = counter
      }
    }
    const enough = want.isLate || !isOpen ? want.leastNano : want.comfortableNano
    const ahead = want.counters.find((counter) => awaited.has(counter))
    if (scarce !== undefined && (room < Math.min(want.wantedNano, enough) || ahead !== undefined)) {
      for (const counter of want.counters) if (states.get(counter)?.hard) awaited.add(counter)
      return { kind: 'wait', counter: ahead ?? scarce }
    }
    const nano = Math.min(want.wantedNano, room)
    for (const counter of want.counters) taken.set(counter, (taken.get(counter) ?? 0) + nano)
    return { kind: 'grant', nano }
  })
}
