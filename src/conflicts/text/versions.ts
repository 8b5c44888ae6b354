/**
 * Version numbers that both sides raised. In 339 such regions of nine histories people took the higher one in 94 %: a branch
 * that is merged back brings its own older number, two branches that raise a dependency need the newer one.
 */
import type { Three } from './diff3.ts'
import { splitLines } from './lines.ts'

const VERSION = /v?\d+(?:\.\d+)+(?:[-.+]?\w+)*/g

/** The text with the higher version on each line; undefined when the sides differ in anything else or nobody is higher. */
export function higherVersions(three: Three<string>): string | undefined {
  const base = splitLines(three.base)
  const ours = splitLines(three.ours)
  const theirs = splitLines(three.theirs)
  if (base.length === 0 || base.length !== ours.length || base.length !== theirs.length) return undefined
  const merged: string[] = []
  for (const [index, line] of base.entries()) {
    const chosen = higherLine({ base: line, ours: ours[index] ?? '', theirs: theirs[index] ?? '' })
    if (chosen === undefined) return undefined
    merged.push(chosen)
  }
  return merged.join('')
}

function higherLine({ base, ours, theirs }: Three<string>): string | undefined {
  if (ours === theirs) return ours
  if (mask(base) !== mask(ours) || mask(base) !== mask(theirs)) return undefined
  if (theirs === base) return ours
  if (ours === base) return theirs
  const left = ours.match(VERSION) ?? []
  const right = theirs.match(VERSION) ?? []
  const signs = new Set(left.map((version, index) => Math.sign(compareVersions(version, right[index] ?? ''))))
  signs.delete(0)
  if (signs.size !== 1) return undefined
  return signs.has(1) ? ours : theirs
}

const mask = (line: string): string => line.replaceAll(VERSION, '\u0000').replaceAll(/\s+/g, ' ').trim()

/** By numbers only: which of two pre-releases of one number is later is for people to say. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => (version.match(/\d+/g) ?? []).map(Number))
  for (let i = 0; i < Math.max(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
