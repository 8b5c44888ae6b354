/**
 * A merge on its way: settled text and what still clashes. Markers are made here and nowhere else.
 *
 * The markers are git's diff3 style, always around whole lines, and only around what really remains: what the two sides
 * have in common at the beginning and the end of a clash stands outside.
 */
import type { Three } from './diff3.ts'
import { splitLines } from './lines.ts'

export type Clash = Three<string>
export type Piece = string | Clash

export type MarkerNames = Three<string>
const NAMES: MarkerNames = { base: 'base', ours: 'ours', theirs: 'theirs' }

/** The whole text, or undefined when something still clashes. */
export function settledText(pieces: readonly Piece[]): string | undefined {
  let text = ''
  for (const piece of pieces) {
    if (typeof piece !== 'string') return undefined
    text += piece
  }
  return text
}

export function clashesOf(pieces: readonly Piece[]): Clash[] {
  return pieces.filter((piece) => typeof piece !== 'string')
}

/** How many lines stand between markers: the fewer, the better the merge. */
export function clashSize(pieces: readonly Piece[]): number {
  return clashesOf(pieces).reduce(
    (sum, { ours, theirs, base }) =>
      sum + splitLines(ours).length + splitLines(theirs).length + splitLines(base).length + 1,
    0,
  )
}

export function withMarkers(pieces: readonly Piece[], names: MarkerNames = NAMES): string {
  let text = ''
  for (const piece of wholeLines(pieces)) {
    if (typeof piece === 'string') {
      text += piece
      continue
    }
    const { before, clash, after } = narrowed(piece)
    text += before
    if (clash.ours !== clash.theirs) {
      text += `<<<<<<< ${names.ours}\n${ended(clash.ours)}||||||| ${names.base}\n${ended(clash.base)}`
      text += `=======\n${ended(clash.theirs)}>>>>>>> ${names.theirs}\n`
    }
    text += after
  }
  return text
}

const ended = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`)

/** Extends each clash to whole lines: the settled rest of a line is copied into all three versions. */
export function wholeLines(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = []
  let clash: Clash | undefined
  let settled = ''
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      if (!clash) {
        settled += piece
        continue
      }
      const end = endsLine(clash) ? 0 : piece.indexOf('\n') + 1
      if (end === 0 && !endsLine(clash)) {
        clash = extended(clash, piece)
        continue
      }
      out.push(extended(clash, piece.slice(0, end)))
      clash = undefined
      settled = piece.slice(end)
    } else if (clash) {
      clash = {
        base: clash.base + piece.base,
        ours: clash.ours + piece.ours,
        theirs: clash.theirs + piece.theirs,
      }
    } else {
      const line = settled.lastIndexOf('\n') + 1
      const head = settled.slice(line)
      if (line > 0) out.push(settled.slice(0, line))
      settled = ''
      clash = { base: head + piece.base, ours: head + piece.ours, theirs: head + piece.theirs }
    }
  }
  if (clash) out.push(clash)
  if (settled) out.push(settled)
  return out
}

const extended = (clash: Clash, text: string): Clash => ({
  base: clash.base + text,
  ours: clash.ours + text,
  theirs: clash.theirs + text,
})

const endsLine = (clash: Clash): boolean =>
  [clash.base, clash.ours, clash.theirs].every((text) => text === '' || text.endsWith('\n'))

/** Takes off what both sides begin and end with. */
function narrowed(clash: Clash): { before: string; clash: Clash; after: string } {
  const base = splitLines(clash.base)
  const ours = splitLines(clash.ours)
  const theirs = splitLines(clash.theirs)
  let from = 0
  while (from < ours.length && from < theirs.length && ours[from] === theirs[from]) from++
  let drop = 0
  while (
    drop < ours.length - from &&
    drop < theirs.length - from &&
    ours[ours.length - 1 - drop] === theirs[theirs.length - 1 - drop]
  )
    drop++
  const cut = (lines: string[]): string => lines.slice(from, lines.length - drop).join('')
  let baseFrom = 0
  while (baseFrom < from && base[baseFrom] === ours[baseFrom]) baseFrom++
  let baseDrop = 0
  while (
    baseDrop < drop &&
    baseDrop < base.length - baseFrom &&
    base[base.length - 1 - baseDrop] === ours[ours.length - 1 - baseDrop]
  )
    baseDrop++
  return {
    before: ours.slice(0, from).join(''),
    clash: {
      base: base.slice(baseFrom, base.length - baseDrop).join(''),
      ours: cut(ours),
      theirs: cut(theirs),
    },
    after: ours.slice(ours.length - drop).join(''),
  }
}
