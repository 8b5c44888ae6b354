/** Text as lines and lines as numbers. A line keeps its line feed, so that joining gives back the text. */

export function splitLines(text: string): string[] {
  const lines: string[] = []
  let from = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
    lines.push(text.slice(from, at + 1))
    from = at + 1
  }
  if (from < text.length) lines.push(text.slice(from))
  return lines
}

/** Gives equal strings equal numbers, across several sequences. */
export function createNumbering(
  sameAs: (text: string) => string = (text) => text,
): (parts: readonly string[]) => Int32Array {
  const numbers = new Map<string, number>()
  return (parts) => {
    const out = new Int32Array(parts.length)
    for (let i = 0; i < parts.length; i++) {
      const key = sameAs(parts[i] ?? '')
      let number = numbers.get(key)
      if (number === undefined) {
        number = numbers.size
        numbers.set(key, number)
      }
      out[i] = number
    }
    return out
  }
}

export type LineEnding = 'lf' | 'crlf' | 'mixed' | 'none'

export function lineEndingOf(text: string): LineEnding {
  let lf = false
  let crlf = false
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
    if (at > 0 && text.charCodeAt(at - 1) === 13) crlf = true
    else lf = true
    if (lf && crlf) return 'mixed'
  }
  return crlf ? 'crlf' : lf ? 'lf' : 'none'
}
