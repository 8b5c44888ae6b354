/** Why a run or landing is told to stop: carried as the reason of an AbortSignal. */
export type StopReason = 'cancelled' | 'lost' | 'shutdown' | 'time-limit'

export class Stop extends Error {
  override readonly name = 'Stop'
  readonly why: StopReason

  constructor(why: StopReason) {
    super(`stopped: ${why}`)
    this.why = why
  }
}

/** The reason in this signal; undefined while it is not aborted. */
export function stopReasonOf(signal: AbortSignal): StopReason | undefined {
  if (!signal.aborted) return undefined
  if (signal.reason instanceof Stop) return signal.reason.why
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    ? 'time-limit'
    : 'lost'
}

/** A program that was ended because the job is to stop did not fail. */
export function throwIfStopped(signal: AbortSignal): void {
  const why = stopReasonOf(signal)
  if (why) throw signal.reason instanceof Stop ? signal.reason : new Stop(why)
}
