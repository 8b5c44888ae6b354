/**
 * What the people decided, said the way a rung says it: where a conflict of git was answered with one side's lines whole,
 * the other side's lines were dropped on purpose. A rung that takes a side says so in `drops`; people said it with their
 * commit. Nothing else is declared: what is lost between conflicts, or half of a conflict, has to be explained.
 */
import type { Drop } from '../../src/conflicts/conflict.ts'
import { diff3 } from '../../src/conflicts/text/diff3.ts'
import type { Sample } from './collect.ts'

export function declaredDrops(sample: Sample): readonly Drop[] {
  if (sample.base === null) return []
  const [base, ours, theirs] = [sample.base, sample.ours, sample.theirs].map((text) => text.split('\n')) as [
    string[],
    string[],
    string[],
  ]
  const human = `\n${sample.human}\n`
  const held = new Set(sample.human.split('\n'))
  const absent = (lines: readonly string[]): string => lines.filter((line) => !held.has(line)).join('\n')
  return diff3({ base, ours, theirs }).flatMap((chunk): readonly Drop[] => {
    if (chunk.kind !== 'clash') return []
    // One line of context on either side, so that the place is the right one.
    const shown = {
      ours: ours.slice(Math.max(0, chunk.o0 - 1), chunk.o1 + 1).join('\n'),
      theirs: theirs.slice(Math.max(0, chunk.t0 - 1), chunk.t1 + 1).join('\n'),
    }
    const [hasOurs, hasTheirs] = [human.includes(`\n${shown.ours}\n`), human.includes(`\n${shown.theirs}\n`)]
    if (hasOurs === hasTheirs) return []
    const reason = 'people took the other side of this conflict whole'
    return hasOurs
      ? [{ side: 'theirs', what: absent(theirs.slice(chunk.t0, chunk.t1)), reason }]
      : [{ side: 'ours', what: absent(ours.slice(chunk.o0, chunk.o1)), reason }]
  })
}
