/** The rungs in the order in which they are climbed, each loaded only when a file needs it. */
import type { Drop, Operation, RungName } from './conflict.ts'
import type { MergeText } from './text/encoding.ts'
import type { Piece } from './text/pieces.ts'
import { mergeLines } from './rungs/trivial.ts'
import { indentationMatters, languageOf } from './languages.ts'

export type RungAnswer =
  /** All pieces settled: a candidate. Some clash: as far as this rung came. */
  | {
      readonly kind: 'merged'
      readonly pieces: readonly Piece[]
      readonly how: string
      readonly drops?: readonly Drop[]
    }
  | { readonly kind: 'stopped'; readonly reason: string }
  /** No rung may touch this file: generated files and lock files. */
  | { readonly kind: 'declined'; readonly reason: string }

export type RungContext = { readonly operation: Operation }

export type Rung = {
  readonly name: RungName
  climb(text: MergeText, context: RungContext): Promise<RungAnswer>
}

const trivial: Rung = {
  name: 'trivial',
  async climb(text) {
    const notes = new Set<string>()
    const pieces = mergeLines(text, {
      indentationMatters: indentationMatters(text.path),
      notes,
    })
    return { kind: 'merged', pieces, how: ['lines', ...notes].join('; ') }
  },
}

const structural: Rung = {
  name: 'structural',
  async climb(text) {
    const language = languageOf(text.path)
    if (!language) return { kind: 'stopped', reason: 'no grammar for this language' }
    if (!text.utf8) return { kind: 'stopped', reason: 'not UTF-8' }
    const { mergeStructure } = await import('./rungs/structural/structural.ts')
    return mergeStructure(text, language)
  },
}

const format: Rung = {
  name: 'format',
  async climb(text) {
    const { formatOf, whyGenerated } = await import('./rungs/format/formats.ts')
    const generated = whyGenerated(text.path, text.ours)
    if (generated !== undefined) return { kind: 'declined', reason: generated }
    const known = formatOf(text.path)
    if (!known) return { kind: 'stopped', reason: 'no reader for this format' }
    if (!text.utf8) return { kind: 'stopped', reason: 'not UTF-8' }
    const { mergeFormat } = await import('./rungs/format/format.ts')
    return mergeFormat(text, known)
  },
}

export function rungsFor(only?: readonly RungName[]): readonly Rung[] {
  return [trivial, format, structural].filter(({ name }) => !only || only.includes(name))
}
