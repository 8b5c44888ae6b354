/** The structural rung: the three versions as syntax trees, merged from the root down. */
import type { RungAnswer } from '../../ladder.ts'
import type { Language } from '../../languages.ts'
import type { MergeText } from '../../text/encoding.ts'
import { clashesOf, settledText, type Piece } from '../../text/pieces.ts'
import type { Three } from '../../text/diff3.ts'
import { mergeTrees } from '../../tree/merge.ts'
import { createInterner } from '../../tree/tree.ts'
import { mergeLines } from '../trivial.ts'
import { GRAMMARS } from './grammars.ts'
import { openParser, parse } from './parse.ts'

/** Three trees of more than this take longer than anybody waits. */
const MAX_CHARACTERS = 1_500_000

export async function mergeStructure(text: MergeText, language: Language): Promise<RungAnswer> {
  if (text.base.length + text.ours.length + text.theirs.length > MAX_CHARACTERS)
    return { kind: 'stopped', reason: 'too large for syntax trees' }
  const parser = await openParser(language).catch((error: unknown) => String(error))
  // An installation without the grammar merges by lines; it does not fail.
  if (typeof parser === 'string')
    return { kind: 'stopped', reason: `the grammar could not be loaded: ${parser}` }
  const interner = createInterner()
  const trees: {
    base?: ReturnType<typeof parse>
    ours?: ReturnType<typeof parse>
    theirs?: ReturnType<typeof parse>
  } = {}
  for (const side of ['base', 'ours', 'theirs'] as const) {
    const parsed = parse(parser, language, text[side], interner)
    if (parsed.kind === 'errors') return { kind: 'stopped', reason: `${side} has syntax errors` }
    if (parsed.kind === 'too-deep')
      return { kind: 'stopped', reason: `${side} is nested too deep or takes too long to parse` }
    trees[side] = parsed
  }
  const { base, ours, theirs } = trees
  if (base?.kind !== 'tree' || ours?.kind !== 'tree' || theirs?.kind !== 'tree')
    return { kind: 'stopped', reason: 'no tree' }
  const grammar = GRAMMARS[language]
  const notes = new Set<string>()
  const pieces = mergeTrees(
    { base: base.tree, ours: ours.tree, theirs: theirs.tree },
    {
      grammar: { shapeOf: ({ kind }) => grammar.lists[kind] },
      source: text,
      inside: (clash) => byLines(clash),
      notes,
    },
  )
  const how = ['syntax tree', ...notes].join('; ')
  if (clashesOf(pieces).length === 0) {
    const merged = settledText(pieces) ?? ''
    if (parse(parser, language, merged, interner).kind !== 'tree')
      return { kind: 'stopped', reason: 'the merged text has syntax errors' }
  }
  return { kind: 'merged', pieces, how }
}

/** What the tree could not settle may still be settled by lines, when it has several. */
function byLines(clash: Three<string>): readonly Piece[] {
  const several = [clash.base, clash.ours, clash.theirs].every((text) => text.includes('\n'))
  return several ? mergeLines(clash, { indentationMatters: true, plain: true }) : [clash]
}
