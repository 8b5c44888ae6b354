/** Lays two diffs against the same base over each other: what is settled, and what both sides changed. */
import { diff, type Matches } from './diff.ts'
import { createNumbering } from './lines.ts'

/** Three sequences of elements (lines, tokens). */
export type Three<T> = { readonly base: T; readonly ours: T; readonly theirs: T }

/** Half-open ranges into the three sequences. */
export type Chunk = {
  readonly kind: 'same' | 'ours' | 'theirs' | 'both' | 'clash'
  readonly b0: number
  readonly b1: number
  readonly o0: number
  readonly o1: number
  readonly t0: number
  readonly t1: number
}

export type Diff3Options = {
  /** What makes two elements equal; the text itself by default. */
  readonly sameAs?: (text: string) => string
  /** Changes that touch but share no element are kept apart. Git joins them. */
  readonly apart?: boolean
  readonly budget?: number
}

type Hunk = { readonly b0: number; readonly b1: number; readonly s0: number; readonly s1: number }

export function diff3(three: Three<readonly string[]>, options: Diff3Options = {}): Chunk[] {
  const number = createNumbering(options.sameAs)
  const base = number(three.base)
  const ours = number(three.ours)
  const theirs = number(three.theirs)
  const toOurs = diff(base, ours, options.budget)
  const toTheirs = diff(base, theirs, options.budget)
  const isSame = (chunk: Chunk): boolean => {
    if (chunk.o1 - chunk.o0 !== chunk.t1 - chunk.t0) return false
    for (let i = 0; i < chunk.o1 - chunk.o0; i++)
      if (ours[chunk.o0 + i] !== theirs[chunk.t0 + i]) return false
    return true
  }
  return overlay(
    hunks(toOurs, ours.length),
    hunks(toTheirs, theirs.length),
    base.length,
    options.apart ?? false,
  ).map((chunk) => (chunk.kind === 'clash' && isSame(chunk) ? { ...chunk, kind: 'both' } : chunk))
}

function hunks(matches: Matches, sideLength: number): Hunk[] {
  const found: Hunk[] = []
  let s = 0
  let b = 0
  while (b < matches.length || s < sideLength) {
    if (b < matches.length && matches[b] === s) {
      b++
      s++
      continue
    }
    const b0 = b
    while (b < matches.length && (matches[b] ?? -1) < 0) b++
    const s1 = b < matches.length ? (matches[b] ?? 0) : sideLength
    found.push({ b0, b1: b, s0: s, s1 })
    s = s1
  }
  return found
}

function overlay(
  ours: readonly Hunk[],
  theirs: readonly Hunk[],
  baseLength: number,
  apart: boolean,
): Chunk[] {
  const chunks: Chunk[] = []
  let b = 0
  let o = 0
  let t = 0
  const settled = (until: number): void => {
    const length = until - b
    if (length > 0)
      chunks.push({ kind: 'same', b0: b, b1: until, o0: o, o1: o + length, t0: t, t1: t + length })
    b = until
    o += length
    t += length
  }
  let i = 0
  let j = 0
  while (i < ours.length || j < theirs.length) {
    const first = Math.min(ours[i]?.b0 ?? Infinity, theirs[j]?.b0 ?? Infinity)
    settled(first)
    let end = first
    const fromI = i
    const fromJ = j
    for (;;) {
      const side = earlier(ours[i], theirs[j])
      const hunk = side === 'ours' ? ours[i] : theirs[j]
      if (!hunk || !(joins(hunk, first, end, apart) || (i === fromI && j === fromJ))) break
      end = Math.max(end, hunk.b1)
      if (side === 'ours') i++
      else j++
    }
    const o1 = sideEnd(ours, fromI, i, end, b, o)
    const t1 = sideEnd(theirs, fromJ, j, end, b, t)
    const kind = i === fromI ? 'theirs' : j === fromJ ? 'ours' : 'clash'
    chunks.push({ kind, b0: b, b1: end, o0: o, o1, t0: t, t1 })
    b = end
    o = o1
    t = t1
  }
  settled(baseLength)
  return chunks
}

/** Of an insertion and a replacement at the same place, the insertion comes first. */
function earlier(ours: Hunk | undefined, theirs: Hunk | undefined): 'ours' | 'theirs' {
  if (!ours || !theirs) return ours ? 'ours' : 'theirs'
  if (ours.b0 !== theirs.b0) return ours.b0 < theirs.b0 ? 'ours' : 'theirs'
  return ours.b1 <= theirs.b1 ? 'ours' : 'theirs'
}

function joins(hunk: Hunk, first: number, end: number, apart: boolean): boolean {
  if (hunk.b0 < end) return true
  if (hunk.b0 > end) return false
  // Touching. Two insertions at one place always belong together; apart, all else that only touches does not.
  return !apart || (first === end && hunk.b1 === end)
}

/** Where the side's range ends when the base's range ends at `end`. */
function sideEnd(side: readonly Hunk[], from: number, to: number, end: number, b: number, s: number): number {
  let position = s
  let at = b
  for (let i = from; i < to; i++) {
    const hunk = side[i]
    if (!hunk) break
    position = hunk.s1
    at = hunk.b1
  }
  return position + (end - at)
}
