/**
 * What needs no knowledge of any language: lines, then inside a clash white space, neighbours and tokens.
 *
 * Each step only ever takes what is settled beyond taste: both sides' edits survive, or one side's edit is wholly
 * contained in the other's.
 */
import { diff3, type Three } from '../text/diff3.ts'
import { splitLines } from '../text/lines.ts'
import type { Piece } from '../text/pieces.ts'
import { tokens } from '../text/tokens.ts'

export type TrivialOptions = {
  /** White space at the beginning of a line has a meaning (Python, YAML, Makefile): it is never evened out. */
  readonly indentationMatters: boolean
  /** Lines only, as git merges: none of the finer steps. */
  readonly plain?: boolean
  /** A try at what the steps here leave: more knowing rungs hang in here. */
  readonly inside?: (clash: Three<string>) => readonly Piece[] | undefined
}

/** Merges by lines, as git does, and tries each step on what clashes. */
export function mergeLines(three: Three<string>, options: TrivialOptions): Piece[] {
  const lines = {
    base: splitLines(three.base),
    ours: splitLines(three.ours),
    theirs: splitLines(three.theirs),
  }
  const pieces: Piece[] = []
  for (const chunk of diff3(lines)) {
    const base = lines.base.slice(chunk.b0, chunk.b1).join('')
    const ours = lines.ours.slice(chunk.o0, chunk.o1).join('')
    const theirs = lines.theirs.slice(chunk.t0, chunk.t1).join('')
    if (chunk.kind === 'clash') pieces.push(...resolveClash({ base, ours, theirs }, options))
    else pieces.push(chunk.kind === 'theirs' ? theirs : ours)
  }
  return pieces
}

/** The steps, in the order of their certainty. */
function resolveClash(clash: Three<string>, options: TrivialOptions): readonly Piece[] {
  if (options.plain) return [clash]
  return (
    whiteSpaceOnly(clash, options) ??
    neighbours(clash, options) ??
    byTokens(clash, options) ??
    options.inside?.(clash) ?? [clash]
  )
}

/** One side differs from base only in white space: the other side's text, if that side kept the white space. */
function whiteSpaceOnly(clash: Three<string>, { indentationMatters }: TrivialOptions): readonly Piece[] | undefined {
  const bare = (text: string): string =>
    indentationMatters ? text.replaceAll(/[ \t]+$/gm, '') : text.replaceAll(/[ \t]+/g, '')
  const [base, ours, theirs] = [bare(clash.base), bare(clash.ours), bare(clash.theirs)]
  if (ours === theirs) return [ours === base || clash.ours !== clash.base ? clash.ours : clash.theirs]
  return undefined
}

/** Changes of neighbouring lines that share none. */
function neighbours(clash: Three<string>, options: TrivialOptions): readonly Piece[] | undefined {
  const lines = {
    base: splitLines(clash.base),
    ours: splitLines(clash.ours),
    theirs: splitLines(clash.theirs),
  }
  const chunks = diff3(lines, { apart: true })
  if (chunks.length === 1) return undefined
  const pieces: Piece[] = []
  for (const chunk of chunks) {
    const base = lines.base.slice(chunk.b0, chunk.b1).join('')
    const ours = lines.ours.slice(chunk.o0, chunk.o1).join('')
    const theirs = lines.theirs.slice(chunk.t0, chunk.t1).join('')
    if (chunk.kind === 'clash') {
      const smaller = { base, ours, theirs }
      pieces.push(...(byTokens(smaller, options) ?? options.inside?.(smaller) ?? [smaller]))
    } else pieces.push(chunk.kind === 'theirs' ? theirs : ours)
  }
  return pieces
}

/** A token is a word, a number, a run of spaces or one other character: edits of different tokens of one line go together. */
function byTokens(clash: Three<string>, { indentationMatters }: TrivialOptions): readonly Piece[] | undefined {
  // Without a base there is nothing to tell an edit from a coincidence.
  if (clash.base.trim() === '' || clash.base.length > 20_000) return undefined
  const parts = { base: tokens(clash.base), ours: tokens(clash.ours), theirs: tokens(clash.theirs) }
  const pieces: Piece[] = []
  for (const chunk of diff3(parts)) {
    const base = parts.base.slice(chunk.b0, chunk.b1).join('')
    const ours = parts.ours.slice(chunk.o0, chunk.o1).join('')
    const theirs = parts.theirs.slice(chunk.t0, chunk.t1).join('')
    if (chunk.kind === 'clash') {
      const blank = (text: string): boolean => text.trim() === ''
      if (indentationMatters || !blank(base) || !blank(ours) || !blank(theirs)) return undefined
      pieces.push(ours)
    } else pieces.push(chunk.kind === 'theirs' ? theirs : ours)
  }
  return pieces
}
