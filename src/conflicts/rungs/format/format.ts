/** The format rung: files that are data. One reader for each format, the tree merge for all. */
import type { RungAnswer } from '../../ladder.ts'
import type { MergeText } from '../../text/encoding.ts'
import type { Piece } from '../../text/pieces.ts'
import type { Three } from '../../text/diff3.ts'
import { mergeTrees } from '../../tree/merge.ts'
import { createInterner, type ListShape, type Tree } from '../../tree/tree.ts'
import { resolveClash } from '../trivial.ts'
import { versionRank } from './changelog.ts'
import type { Format } from './formats.ts'

const MAX_CHARACTERS = 3_000_000

const SHAPES: Readonly<Record<string, ListShape>> = {
  lines: { kind: 'ordered' },
  sections: { kind: 'ordered' },
  section: { kind: 'ordered' },
  block: { kind: 'ordered' },
  object: { kind: 'ordered', separator: ',' },
  array: { kind: 'ordered', separator: ',' },
  element: { kind: 'ordered' },
  changelog: { kind: 'ordered', rank: newestFirst },
  subsections: { kind: 'ordered', rank: newestFirst },
  entries: { kind: 'ordered' },
}

export function mergeFormat(text: MergeText, format: Format): RungAnswer {
  if (text.base.length + text.ours.length + text.theirs.length > MAX_CHARACTERS)
    return { kind: 'stopped', reason: 'too large to be read as a document' }
  const interner = createInterner()
  const [base, ours, theirs] = [text.base, text.ours, text.theirs].map((source) =>
    format.read(source, interner),
  )
  if (!base || !ours || !theirs)
    return { kind: 'stopped', reason: `not all versions can be read as ${format.name}` }
  const notes = new Set<string>()
  const pieces = mergeTrees(
    { base, ours, theirs },
    {
      grammar: { shapeOf: ({ kind }) => SHAPES[kind] },
      source: text,
      inside: (clash) => settle(clash, notes),
      notes,
    },
  )
  return { kind: 'merged', pieces, how: [format.name, ...notes].join('; ') }
}

function settle(clash: Three<string>, notes: Set<string>): readonly Piece[] {
  return resolveClash(clash, { indentationMatters: true, notes })
}

function newestFirst(tree: Tree): readonly number[] | undefined {
  return tree.key === undefined ? undefined : versionRank(tree.key)
}
