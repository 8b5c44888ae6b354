/**
 * Lines the candidate up with the three versions: which stretch of the result answers to which chunk of the merge.
 *
 *   expected   what the merge holds when every clash shows ours' lines and then theirs'
 *   departure  where the result is not what is expected, outside clashes
 *   novel      a line that none of the three versions holds, white space aside
 *
 * The diff is the engine's own, which is safe: a diff only ever pairs equal lines, so a poor one makes these checks
 * stricter, never blinder.
 */
import { diff } from '../text/diff.ts'
import { diff3 } from '../text/diff3.ts'
import type { Chunk, Three } from '../text/diff3.ts'
import { createNumbering, splitLines } from '../text/lines.ts'

export type Side = 'ours' | 'theirs'

export type FourTexts = {
  /** Null for a file that both sides added. */
  readonly base: string | null
  readonly ours: string
  readonly theirs: string
  readonly result: string
}

export type FourWay = Three<readonly string[]> & {
  readonly result: readonly string[]
  readonly chunks: readonly Chunk[]
  /** For each clash (by its index in `chunks`) the result's lines, by index. */
  readonly resolved: ReadonlyMap<number, readonly number[]>
  readonly departures: readonly Departure[]
  /** Indices of the result's novel lines. */
  readonly novel: readonly number[]
}

export type Departure = {
  /** Lines that should have stayed, with what made them: a side's change, or nobody's. */
  readonly gone: readonly { readonly line: string; readonly kind: Chunk['kind'] }[]
  /** Indices of the result's lines that stand there instead. */
  readonly come: readonly number[]
  /** The base's lines of the chunks that lost lines, where one side had changed them: what an undone change looks like. */
  readonly undoneTo: readonly string[]
  /** Where lines are gone next to changes of the other side, and the result shows exactly one side there: that side, and what it added. */
  readonly chosen?: { readonly side: Side; readonly added: readonly string[] }
  /** It touches a clash. */
  readonly besideClash: boolean
  /** Where it is in the result, from 0. */
  readonly at: number
}

export function lineUp(texts: FourTexts): FourWay {
  const [ours, theirs, result] = [texts.ours, texts.theirs, texts.result].map(linesOf) as [
    string[],
    string[],
    string[],
  ]
  const base = texts.base === null ? shared(ours, theirs) : linesOf(texts.base)
  const three = { base, ours, theirs }
  // Changes that only touch are kept apart: each of them can be held, so each of them is due.
  const chunks = diff3(three, { apart: true })
  return { ...three, result, chunks, ...place(three, chunks, result), novel: novelLines(result, three) }
}

/** Line feeds and carriage returns are compared elsewhere. */
function linesOf(text: string): string[] {
  return splitLines(text).map((line) => line.replace(/\r?\n$/, ''))
}

/** Files added on both sides have no base: what both hold serves as one, as in git. */
function shared(ours: readonly string[], theirs: readonly string[]): string[] {
  const number = createNumbering()
  const partners = diff(number(ours), number(theirs))
  return ours.filter((_, at) => (partners[at] ?? -1) >= 0)
}

/** Compares the result with the merge that shows both sides of every clash. */
function place(
  three: Three<readonly string[]>,
  chunks: readonly Chunk[],
  result: readonly string[],
): Pick<FourWay, 'resolved' | 'departures'> {
  const expected: string[] = []
  const owner: number[] = []
  chunks.forEach((chunk, index) => {
    const show = (lines: readonly string[]): void => {
      for (const line of lines) {
        expected.push(line)
        owner.push(index)
      }
    }
    if (chunk.kind !== 'theirs') show(three.ours.slice(chunk.o0, chunk.o1))
    if (chunk.kind === 'theirs' || chunk.kind === 'clash') show(three.theirs.slice(chunk.t0, chunk.t1))
  })
  const number = createNumbering()
  const partners = diff(number(expected), number(result))
  const resolved = new Map<number, number[]>()
  chunks.forEach((chunk, index) => chunk.kind === 'clash' && resolved.set(index, []))
  const departures: Departure[] = []
  const resultText = `\n${result.join('\n')}\n`
  let at = 0
  let to = 0
  while (at < expected.length || to < result.length) {
    if (at < expected.length && partners[at] === to) {
      resolved.get(owner[at++] ?? -1)?.push(to++)
      continue
    }
    const from = at
    while (at < expected.length && (partners[at] ?? -1) < 0) at++
    const end = at < expected.length ? (partners[at] ?? 0) : result.length
    const come = Array.from({ length: end - to }, (_, i) => to + i)
    const owners = [...new Set(owner.slice(Math.max(0, from - 1), at + 1))]
    const clash = owners.find((index) => chunks[index]?.kind === 'clash')
    if (clash !== undefined) resolved.get(clash)?.push(...come)
    const gone = expected.slice(from, at).flatMap((line, i) => {
      const kind = chunks[owner[from + i] ?? -1]?.kind
      return kind && kind !== 'clash' ? [{ line, kind }] : []
    })
    if (gone.length > 0 || come.length > 0)
      departures.push({
        gone,
        come,
        undoneTo: owners.flatMap((index) => {
          const chunk = chunks[index]
          return chunk && chunk.kind !== 'same' ? three.base.slice(chunk.b0, chunk.b1) : []
        }),
        ...chosenAt(
          three,
          chunks,
          owners.filter((index) => chunks[index]?.kind !== 'same'),
          resultText,
        ),
        besideClash: clash !== undefined,
        at: to,
      })
    to = end
  }
  return { resolved, departures }
}

/** Git joins changes that touch into one conflict, and people take one side of it. */
function chosenAt(
  three: Three<readonly string[]>,
  chunks: readonly Chunk[],
  changed: readonly number[],
  result: string,
): Pick<Departure, 'chosen'> {
  const [first] = changed
  if (first === undefined) return {}
  let from = first
  let to = changed.at(-1) ?? first
  while (from > 0 && chunks[from - 1]?.kind !== 'same') from--
  while (to + 1 < chunks.length && chunks[to + 1]?.kind !== 'same') to++
  const [head, tail] = [chunks[from], chunks[to]]
  if (!head || !tail || from === to) return {}
  const base = new Set(three.base.slice(head.b0, tail.b1))
  for (const side of ['ours', 'theirs'] as const) {
    const [start, end] = side === 'ours' ? [head.o0, tail.o1] : [head.t0, tail.t1]
    const shown = three[side].slice(Math.max(0, start - 1), end + 1)
    if (!result.includes(`\n${shown.join('\n')}\n`)) continue
    const added = three[side].slice(start, end).filter((line) => !base.has(line))
    if (added.length > 0 || end - start < tail.b1 - head.b0) return { chosen: { side, added } }
  }
  return {}
}

function novelLines(result: readonly string[], three: Three<readonly string[]>): readonly number[] {
  const known = new Set([...three.base, ...three.ours, ...three.theirs])
  const unknown = result.flatMap((line, at) => (known.has(line) ? [] : [at]))
  if (unknown.length === 0) return unknown
  const squeezed = new Set([...known].map(squeeze))
  return unknown.filter((at) => !squeezed.has(squeeze(result[at] ?? '')))
}

/** A line without its white space: what stays the same when code is indented anew. */
export function squeeze(line: string): string {
  return line.replaceAll(/\s+/g, '')
}
