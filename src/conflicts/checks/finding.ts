/**
 * What a rule saw. A finding that blocks fails its layer; a note is said and kept, but does not.
 */
import type { Layer } from '../conflict.ts'

export type Finding = {
  readonly layer: Layer
  /** Name of the rule, as in docs/validator-benchmark.md. */
  readonly rule: string
  readonly severity: 'blocks' | 'note'
  /** One sentence, without the repository's text beyond a short quotation. */
  readonly says: string
  /** Line of the result, from 1. */
  readonly line?: number
}

/** Shortens a piece of the repository's text for a sentence and takes control characters off. */
export function quote(text: string): string {
  const plain = text.trim().replaceAll(/[\p{C}\s]+/gu, ' ')
  return `"${plain.length > 60 ? `${plain.slice(0, 57)}...` : plain}"`
}
