/** Compares what the engine made with what people committed. */

export type Verdict = {
  /** Byte for byte. */
  readonly bytes: boolean
  /** White space aside. */
  readonly equal: boolean
  /** The same lines in another order: imports or declarations that may stand either way. */
  readonly reordered: boolean
  /** People wrote lines that are in none of the three versions: no merge could have known them. */
  readonly humanOwn: boolean
}

export function compare(result: Buffer, human: Buffer, versions: readonly Buffer[]): Verdict {
  const bytes = result.equals(human)
  const known = new Set(versions.flatMap(trimmedLines))
  return {
    bytes,
    reordered: sorted(result) === sorted(human),
    equal: bytes || bare(result) === bare(human),
    humanOwn: trimmedLines(human).some((line) => line !== '' && !known.has(line)),
  }
}

const bare = (content: Buffer): string => content.toString('latin1').replaceAll(/\s+/g, '')
const sorted = (content: Buffer): string =>
  trimmedLines(content)
    .filter(Boolean)
    .map((line) => line.replace(/[,;]$/, ''))
    .toSorted()
    .join('\n')
const trimmedLines = (content: Buffer): string[] =>
  content
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim())
