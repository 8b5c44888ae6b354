/** The stretches that both sides changed, by line numbers: what a reader wants to look at, resolved or not. */
import type { Region, RungName } from './conflict.ts'
import { diff3 } from './text/diff3.ts'
import type { MergeText } from './text/encoding.ts'
import { splitLines } from './text/lines.ts'

export function regionsOf(text: MergeText, resolvedBy: RungName | undefined, reason: string): Region[] {
  const lines = { base: splitLines(text.base), ours: splitLines(text.ours), theirs: splitLines(text.theirs) }
  return diff3(lines)
    .filter(({ kind }) => kind === 'clash')
    .map(({ b0, b1, o0, o1, t0, t1 }) => ({
      base: { from: b0 + 1, to: b1 },
      ours: { from: o0 + 1, to: o1 },
      theirs: { from: t0 + 1, to: t1 },
      ...(resolvedBy && { resolvedBy }),
      reason,
    }))
}
