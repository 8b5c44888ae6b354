/**
 * Finds which elements of two sequences are the same. Works on numbers (equal number: equal element).
 *
 * Histogram first: the rarest run that both hold splits the problem, as a reader would split it. Where everything is
 * frequent, Myers' shortest edit. All work is counted; when the budget is used up, what is left counts as different,
 * so that hostile input ends in a coarse answer instead of a hang.
 */

/** For each element of `a` its partner in `b`, or -1. Partners ascend. */
export type Matches = Int32Array

type Span = { readonly a0: number; readonly a1: number; readonly b0: number; readonly b1: number }

const RARE = 64
const LONGEST_EDIT = 700
/** About a second on a slow core; ordinary files of 20,000 lines use a hundredth of it. */
const DEFAULT_BUDGET = 30_000_000

export function diff(a: Int32Array, b: Int32Array, budget = DEFAULT_BUDGET): Matches {
  const matches: Matches = new Int32Array(a.length).fill(-1)
  const work = { left: budget }
  const todo: Span[] = [{ a0: 0, a1: a.length, b0: 0, b1: b.length }]
  for (let span = todo.pop(); span; span = todo.pop()) {
    let { a0, a1, b0, b1 } = span
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) matches[a0++] = b0++
    while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) matches[--a1] = --b1
    if (a0 === a1 || b0 === b1 || work.left <= 0) continue
    const run = rarestRun(a, b, { a0, a1, b0, b1 }, work)
    if (run === 'nothing-common') continue
    if (run === 'all-frequent') {
      shortestEdit(a, b, { a0, a1, b0, b1 }, matches, work)
      continue
    }
    for (let i = 0; i < run.length; i++) matches[run.a + i] = run.b + i
    todo.push({ a0, a1: run.a, b0, b1: run.b }, { a0: run.a + run.length, a1, b0: run.b + run.length, b1 })
  }
  slideDown(a, b, matches)
  return matches
}

/** The longest common run that holds the rarest element, or why there is none. */
function rarestRun(
  a: Int32Array,
  b: Int32Array,
  { a0, a1, b0, b1 }: Span,
  work: { left: number },
): { a: number; b: number; length: number } | 'nothing-common' | 'all-frequent' {
  const places = new Map<number, number[]>()
  for (let i = a0; i < a1; i++) {
    const at = places.get(a[i] ?? 0)
    if (at === undefined) places.set(a[i] ?? 0, [i])
    else if (at.length <= RARE) at.push(i)
  }
  work.left -= a1 - a0 + b1 - b0
  let best = { a: 0, b: 0, length: 0 }
  let rarity = RARE + 1
  let common = false
  for (let j = b0; j < b1;) {
    let next = j + 1
    const at = places.get(b[j] ?? 0)
    if (at) common = true
    if (at && at.length <= RARE && at.length <= rarity && work.left > 0) {
      let reached = 0
      for (const i of at) {
        if (i < reached) continue
        let s = i
        let t = j
        let rare = at.length
        while (s > a0 && t > b0 && a[s - 1] === b[t - 1]) {
          s--
          t--
          rare = Math.min(rare, places.get(a[s] ?? 0)?.length ?? rare)
        }
        let e = i + 1
        let f = j + 1
        while (e < a1 && f < b1 && a[e] === b[f]) {
          rare = Math.min(rare, places.get(a[e] ?? 0)?.length ?? rare)
          e++
          f++
        }
        work.left -= e - s
        reached = e
        if (f > next) next = f
        if (rare < rarity || (rare === rarity && e - s > best.length)) {
          best = { a: s, b: t, length: e - s }
          rarity = rare
        }
      }
    }
    j = next
  }
  if (best.length > 0) return best
  return common ? 'all-frequent' : 'nothing-common'
}

/** Myers' greedy algorithm, up to LONGEST_EDIT steps. Past that the span stays unmatched. */
function shortestEdit(
  a: Int32Array,
  b: Int32Array,
  { a0, a1, b0, b1 }: Span,
  matches: Matches,
  work: { left: number },
): void {
  const n = a1 - a0
  const m = b1 - b0
  const limit = Math.min(n + m, LONGEST_EDIT)
  const offset = limit + 1
  const reach = new Int32Array(2 * offset + 1)
  const trace: Int32Array[] = []
  for (let d = 0; d <= limit; d++) {
    trace.push(reach.slice(offset - d - 1, offset + d + 2))
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach[offset + k - 1] ?? 0) < (reach[offset + k + 1] ?? 0))
      let x = down ? (reach[offset + k + 1] ?? 0) : (reach[offset + k - 1] ?? 0) + 1
      let y = x - k
      const from = x
      while (x < n && y < m && a[a0 + x] === b[b0 + y]) {
        x++
        y++
      }
      work.left -= 1 + x - from
      reach[offset + k] = x
      if (x >= n && y >= m) {
        walkBack(trace, { d, x: n, y: m }, a0, b0, matches)
        return
      }
    }
    if (work.left <= 0) return
  }
}

function walkBack(
  trace: readonly Int32Array[],
  end: { d: number; x: number; y: number },
  a0: number,
  b0: number,
  matches: Matches,
): void {
  let { x, y } = end
  for (let d = end.d; d >= 0; d--) {
    const reach = trace[d] ?? new Int32Array(0)
    const at = (k: number): number => reach[k + d + 1] ?? 0
    const k = x - y
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1))
    const previousK = down ? k + 1 : k - 1
    const previousX = d === 0 ? 0 : at(previousK)
    const previousY = d === 0 ? 0 : previousX - previousK
    while (x > previousX && y > previousY && (d === 0 || x > (down ? previousX : previousX + 1))) {
      x--
      y--
      matches[a0 + x] = b0 + y
    }
    x = previousX
    y = previousY
  }
}

/** Moves pure insertions and deletions as far down as they go, so that both sides' diffs speak of the same places. */
function slideDown(a: Int32Array, b: Int32Array, matches: Matches): void {
  const back = new Int32Array(b.length).fill(-1)
  for (let i = 0; i < a.length; i++) if ((matches[i] ?? -1) >= 0) back[matches[i] ?? 0] = i
  slide(b, back, matches)
  slide(a, matches, back)
}

/** In `x`, a run without partners [from, to) may move down by one when x[from] equals x[to] and x[to] has a partner. */
function slide(x: Int32Array, partner: Int32Array, other: Int32Array): void {
  let i = x.length
  while (i > 0) {
    if ((partner[i - 1] ?? -1) >= 0) {
      i--
      continue
    }
    let to = i
    let from = i
    while (from > 0 && (partner[from - 1] ?? -1) < 0) from--
    i = from
    while (to < x.length && x[from] === x[to] && (partner[to] ?? -1) >= 0) {
      const mate = partner[to] ?? 0
      // On the other side something without a partner may lie between: then this is a replacement, not an insertion.
      if (from > 0 && (partner[from - 1] ?? -1) !== mate - 1) break
      if (from === 0 && mate !== 0) break
      partner[from] = mate
      other[mate] = from
      partner[to] = -1
      from++
      to++
    }
  }
}
