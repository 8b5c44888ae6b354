/**
 * Puts the text of a merged tree together. What is printed is always a stretch of one version's source, as it was.
 *
 * The white space before a stretch is merged like everything else: where two neighbours were neighbours in a version,
 * that version's white space counts; a stretch between new neighbours brings its own. A stretch that moves to another
 * depth takes its indentation along.
 */
import type { Three } from '../text/diff3.ts'
import type { Piece } from '../text/pieces.ts'

export const SIDES = ['base', 'ours', 'theirs'] as const
export type Side = (typeof SIDES)[number]

/** Where something stands in each version that has it. */
export type Places = { readonly [S in Side]?: { readonly start: number; readonly end: number } | undefined }

/** A stretch of source from one version, or a clash between the three. */
export type Unit = {
  readonly places: Places
  readonly from?: Side
  /** Text that stands in no version: a separator that a new neighbour makes necessary. */
  readonly text?: string
  readonly clash?: readonly Piece[]
}

export function printUnits(units: readonly Unit[], source: Three<string>): Piece[] {
  const pieces: Piece[] = []
  let text = ''
  let previous: Places = start()
  for (const unit of [...units, end(source)]) {
    const gap = gapBetween(previous, unit, source)
    if (unit.clash) {
      pieces.push(text + gap, ...unit.clash)
      text = ''
    } else text += gap + stretch(unit, gap, source)
    previous = unit.places
  }
  pieces.push(text)
  return pieces.filter((piece) => piece !== '')
}

const start = (): Places => ({
  base: { start: 0, end: 0 },
  ours: { start: 0, end: 0 },
  theirs: { start: 0, end: 0 },
})

function end(source: Three<string>): Unit {
  const at = (text: string) => ({ start: text.length, end: text.length })
  return { places: { base: at(source.base), ours: at(source.ours), theirs: at(source.theirs) }, text: '' }
}

function gapBetween(previous: Places, unit: Unit, source: Three<string>): string {
  const touching: Partial<Record<Side, string>> = {}
  const leading: Partial<Record<Side, string>> = {}
  for (const side of SIDES) {
    const here = unit.places[side]
    const before = previous[side]
    if (!here) continue
    leading[side] = ownSpace(source[side], here)
    if (before && before.end <= here.start) {
      const between = source[side].slice(before.end, here.start)
      if (between.trim() === '') touching[side] = between
    }
  }
  return mergeGap(touching) ?? (unit.text !== undefined ? '' : (mergeGap(leading) ?? ''))
}

/** What the stretch has before it; at the very beginning of the file, what it has behind it. */
function ownSpace(text: string, here: { readonly start: number; readonly end: number }): string {
  const before = leadingSpace(text, here.start)
  if (before.length < here.start) return before
  return /^\s+/.exec(text.slice(here.end))?.[0] ?? '\n'
}

function leadingSpace(text: string, at: number): string {
  let from = at
  while (from > 0 && /\s/.test(text.charAt(from - 1))) from--
  return text.slice(from, at)
}

function mergeGap(gaps: Partial<Record<Side, string>>): string | undefined {
  const { base, ours, theirs } = gaps
  if (ours === undefined) return theirs ?? undefined
  if (theirs === undefined) return ours
  return ours === base ? theirs : ours
}

function stretch(unit: Unit, gap: string, source: Three<string>): string {
  if (unit.text !== undefined) return unit.text
  const side = unit.from ?? 'ours'
  const place = unit.places[side]
  if (!place) return ''
  const text = source[side].slice(place.start, place.end)
  if (!text.includes('\n') || !gap.includes('\n')) return text
  const own = leadingSpace(source[side], place.start)
  const was = own.includes('\n') || place.start === own.length ? indentOf(own) : undefined
  const is = indentOf(gap)
  if (was === undefined || was === is || /`|"""|'''/.test(text)) return text
  return text
    .split('\n')
    .map((line, index) => (index > 0 && line.startsWith(was) ? is + line.slice(was.length) : line))
    .join('\n')
}

const indentOf = (gap: string): string => gap.slice(gap.lastIndexOf('\n') + 1)
