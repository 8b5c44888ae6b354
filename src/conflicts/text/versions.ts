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

/** The three differ in version numbers only. Which is right is then a matter of versions, not of words. */
export function differInVersionsOnly(three: Three<string>): boolean {
  const bare = mask(three.base)
  return bare.includes('\u0000') && bare === mask(three.ours) && bare === mask(three.theirs)
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

/** Releases by their numbers. Two stages of one release compare only when they are of one kind: rc.1 and rc.2. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [cut(a), cut(b)]
  const byRelease = compareNumbers(left.release, right.release)
  if (byRelease !== 0) return byRelease
  const kind = (stage: string): string => stage.replaceAll(/\d+/g, '#')
  return kind(left.stage) === kind(right.stage) ? compareNumbers(left.stage, right.stage) : 0
}

function cut(version: string): { release: string; stage: string } {
  const [, release = '', stage = ''] = /^v?(\d+(?:\.\d+)*)(.*)$/.exec(version) ?? []
  return { release, stage }
}

function compareNumbers(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => (text.match(/\d+/g) ?? []).map(Number))
  for (let i = 0; i < Math.max(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
