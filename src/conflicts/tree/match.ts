/** Pairs the children of two versions of a node: equal ones first, then those of one key, then the similar ones. */
import { diff } from '../text/diff.ts'
import type { Tree } from './tree.ts'

/** For each child of `a` the index of its partner in `b`, or -1. Keyed children may pair across others (moves). */
export function matchChildren(a: readonly Tree[], b: readonly Tree[]): Int32Array {
  const partner = new Int32Array(a.length).fill(-1)
  const taken = new Uint8Array(b.length)
  const pair = (i: number, j: number): void => {
    partner[i] = j
    taken[j] = 1
  }
  byKey(a, b, taken, pair)
  const equal = diff(
    Int32Array.from(a, ({ id }, i) => (partner[i] === -1 ? id : -1 - i)),
    Int32Array.from(b, ({ id }, j) => (taken[j] ? -1_000_000_000 - j : id)),
    2_000_000,
  )
  for (let i = 0; i < a.length; i++) {
    const j = equal[i] ?? -1
    if (j >= 0 && partner[i] === -1 && !taken[j]) pair(i, j)
  }
  // A keyed child that found nobody may have been renamed: what lies between the same neighbours is compared.
  for (let i = 0; i < a.length;) {
    if ((partner[i] ?? -1) >= 0) {
      i++
      continue
    }
    let end = i
    while (end < a.length && (partner[end] ?? -1) < 0) end++
    const from = i === 0 ? 0 : (partner[i - 1] ?? -1) + 1
    let to = from
    while (to < b.length && !taken[to]) to++
    bySimilarity(a, b, { a0: i, a1: end, b0: from, b1: to }, pair)
    i = end
  }
  return partner
}

function byKey(
  a: readonly Tree[],
  b: readonly Tree[],
  taken: Uint8Array,
  pair: (i: number, j: number) => void,
): void {
  const places = new Map<string, number[]>()
  for (const [j, { key }] of b.entries())
    if (key !== undefined) places.set(key, [...(places.get(key) ?? []), j])
  const seen = new Map<string, number>()
  for (const { key } of a) if (key !== undefined) seen.set(key, (seen.get(key) ?? 0) + 1)
  for (const [i, { key }] of a.entries()) {
    if (key === undefined || seen.get(key) !== 1) continue
    const at = places.get(key)
    if (at?.length === 1 && at[0] !== undefined && !taken[at[0]]) pair(i, at[0])
  }
}

function bySimilarity(
  a: readonly Tree[],
  b: readonly Tree[],
  { a0, a1, b0, b1 }: { a0: number; a1: number; b0: number; b1: number },
  pair: (i: number, j: number) => void,
): void {
  // The same kinds in the same order: the places are fixed (operands, clauses, a signature and its body).
  const sameShape =
    a1 - a0 === b1 - b0 &&
    Array.from({ length: a1 - a0 }, (_, n) => n).every((n) => a[a0 + n]?.kind === b[b0 + n]?.kind)
  let next = b0
  for (let i = a0; i < a1; i++) {
    const left = a[i]
    if (!left) continue
    if (sameShape && left.children.length === 0) {
      pair(i, b0 + i - a0)
      continue
    }
    let best = -1
    let score = 0.5
    for (let j = next; j < Math.min(b1, next + 20); j++) {
      const right = b[j]
      if (right?.kind !== left.kind) continue
      const s =
        sameShape && j - b0 === i - a0 && left.key === undefined
          ? Math.max(0.51, similarity(left, right))
          : similarity(left, right)
      if (s > score) {
        best = j
        score = s
      }
    }
    if (best >= 0) {
      pair(i, best)
      next = best + 1
    }
  }
}

/** Share of common tokens, 0 to 1. */
export function similarity(a: Tree, b: Tree): number {
  if (a.id === b.id) return 1
  if (Math.min(a.size, b.size) * 3 < Math.max(a.size, b.size)) return 0
  const counts = new Map<number, number>()
  const leaves = (tree: Tree, visit: (id: number) => void): void => {
    if (tree.children.length === 0) visit(tree.id)
    else for (const child of tree.children) leaves(child, visit)
  }
  leaves(a, (id) => counts.set(id, (counts.get(id) ?? 0) + 1))
  let common = 0
  leaves(b, (id) => {
    const left = counts.get(id) ?? 0
    if (left === 0) return
    common++
    counts.set(id, left - 1)
  })
  return (2 * common) / (a.size + b.size)
}
