/** Those who wait for a place: the highest priority first, and among equals who came first. */

export type Look<Place> =
  | { readonly kind: 'open'; readonly place: Place }
  /** Undefined: it opens when somebody leaves, and then `look` is called. */
  | { readonly kind: 'closed'; readonly opensInMs: number | undefined }

export type Wait<Place> = {
  readonly priority: number
  /** How long it waits at most. */
  readonly ms: number
  readonly signal: AbortSignal
  /** A place it does not take. */
  readonly isRefused: (place: Place) => boolean
  /** It refuses some. */
  readonly isPicky: boolean
}

export type Line<Place> = {
  readonly length: number
  /** Undefined: it waited long enough, or was called away. A place that is answered is taken, and must be left. */
  enter(wait: Wait<Place>): Promise<Place | undefined>
  /** Something may have opened. */
  look(): void
  /** Sends everybody away. */
  close(): void
}

type Waiting<Place> = Wait<Place> & { readonly go: (place: Place | undefined) => void }

/** `find` takes the best place for somebody who refuses some, if there is one. */
export function createLine<Place>(find: (isRefused: (place: Place) => boolean) => Look<Place>): Line<Place> {
  const waiting: Waiting<Place>[] = []
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    clearTimeout(timer)
    let soonest = Infinity
    for (const one of [...waiting]) {
      const found = find(one.isRefused)
      if (found.kind === 'open') {
        one.go(found.place)
        continue
      }
      soonest = Math.min(soonest, found.opensInMs ?? Infinity)
      // Where one who takes any place finds none, nobody behind it does.
      if (!one.isPicky) break
    }
    if (soonest === Infinity) return
    timer = setTimeout(look, Math.min(soonest + 1, 60_000))
    timer.unref()
  }

  function remove(one: Waiting<Place>): void {
    const at = waiting.indexOf(one)
    if (at !== -1) waiting.splice(at, 1)
  }

  return {
    get length() {
      return waiting.length
    },
    look,
    close() {
      clearTimeout(timer)
      for (const one of [...waiting]) one.go(undefined)
    },
    enter(wait) {
      if (waiting.length === 0) {
        const found = find(wait.isRefused)
        if (found.kind === 'open') return Promise.resolve(found.place)
      }
      if (wait.ms <= 0 || wait.signal.aborted) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        const patience = setTimeout(() => end(undefined), wait.ms)
        const abort = (): void => end(undefined)
        const one: Waiting<Place> = { ...wait, go: end }
        function end(place: Place | undefined): void {
          clearTimeout(patience)
          wait.signal.removeEventListener('abort', abort)
          remove(one)
          resolve(place)
        }
        wait.signal.addEventListener('abort', abort, { once: true })
        const behind = waiting.findIndex((other) => other.priority < one.priority)
        if (behind === -1) waiting.push(one)
        else waiting.splice(behind, 0, one)
        look()
      })
    },
  }
}
