/**
 * One side did what the other did, and more: a fix that was picked to both branches and then built upon, two additions of
 * which one went on. Measured on 4,600 regions of nine histories, people took the larger edit in 88 % of these cases;
 * no other rule without a language comes near that.
 */
import { diff } from './diff.ts'
import { createNumbering, splitLines } from './lines.ts'
import type { Three } from './diff3.ts'
import { tokens } from './tokens.ts'

type Edit = { readonly added: readonly string[]; readonly removed: readonly string[] }

/** The side whose edit contains the other's. */
export function largerEdit(three: Three<string>): 'ours' | 'theirs' | undefined {
  const byLines = larger(three, (text) =>
    splitLines(text)
      .map((line) => line.trim())
      .filter(Boolean),
  )
  if (byLines || three.base.trim() === '' || three.base.length > 20_000) return byLines
  return larger(three, (text) => tokens(text).filter((token) => token.trim() !== ''))
}

function larger(three: Three<string>, cut: (text: string) => string[]): 'ours' | 'theirs' | undefined {
  const base = cut(three.base)
  const ours = editOf(base, cut(three.ours))
  const theirs = editOf(base, cut(three.theirs))
  if (contains(ours, theirs)) return 'ours'
  return contains(theirs, ours) ? 'theirs' : undefined
}

function editOf(base: readonly string[], side: readonly string[]): Edit {
  const number = createNumbering()
  const matches = diff(number(base), number(side))
  const kept = new Set(matches)
  return {
    added: side.filter((_, index) => !kept.has(index)),
    removed: base.filter((_, index) => (matches[index] ?? -1) < 0),
  }
}

/** An edit that only removes proves nothing: the smaller one must have added a word. */
function contains(large: Edit, small: Edit): boolean {
  if (!small.added.some((part) => /[\p{L}\p{N}]/u.test(part))) return false
  let next = 0
  for (const part of large.added) if (part === small.added[next]) next++
  if (next < small.added.length) return false
  const left = new Map<string, number>()
  for (const part of large.removed) left.set(part, (left.get(part) ?? 0) + 1)
  return small.removed.every((part) => {
    const count = left.get(part) ?? 0
    left.set(part, count - 1)
    return count > 0
  })
}
