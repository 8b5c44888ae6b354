/** Characters that make code look like something else. */

/** As pairs of code points: the signs themselves would be as invisible here as anywhere. */
function classOf(ranges: readonly (readonly [from: number, to: number])[]): RegExp {
  const sign = (point: number): string => `\\u{${point.toString(16)}}`
  return new RegExp(`[${ranges.map(([from, to]) => `${sign(from)}-${sign(to)}`).join('')}]`, 'gu')
}

/** Bidirectional controls, invisible signs, tag characters, separators that some readers take for line ends. */
const HIDDEN = classOf([
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0e],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff9, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe01ef],
])
/** Control characters other than tab, line feed, form feed and carriage return. */
const CONTROL = classOf([
  [0x0, 0x8],
  [0xb, 0xb],
  [0xe, 0x1f],
  [0x7f, 0x9f],
])
/** A word of Latin letters with a Cyrillic or Greek one among them. */
const MIXED =
  /[\p{Script=Latin}\d_]+[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]+|[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]+[\p{Script=Latin}_]+|[\uFF21-\uFF3A\uFF41-\uFF5A]/gu

export type Hidden = { readonly name: string; readonly line: number }

/** Signs that the text holds more often than each of the versions. */
export function newHidden(text: string, versions: readonly string[]): readonly Hidden[] {
  // Nearly all source is ASCII, and then there is nothing to look for.
  if (!/[^\t\n\f\r -~]/.test(text)) return []
  const found: Hidden[] = []
  for (const pattern of [HIDDEN, CONTROL, MIXED]) {
    const now = count(text, pattern)
    if (now.size === 0) continue
    const before = versions.map((version) => count(version, pattern))
    for (const [sign, { times, at }] of now) {
      // A byte order mark at the very start is an encoding, not a hiding place.
      if (sign === '\uFEFF' && at === 0 && times === 1) continue
      const most = Math.max(0, ...before.map((counts) => counts.get(sign)?.times ?? 0))
      if (times > most) found.push({ name: nameOf(sign), line: lineOf(text, at) })
    }
  }
  return found
}

function count(text: string, pattern: RegExp): Map<string, { times: number; at: number }> {
  const counts = new Map<string, { times: number; at: number }>()
  for (const match of text.matchAll(pattern)) {
    const known = counts.get(match[0])
    counts.set(match[0], { times: (known?.times ?? 0) + 1, at: match.index })
  }
  return counts
}

function nameOf(sign: string): string {
  if (Array.from(sign).length > 1) return `mixed alphabets in one word (${Array.from(sign, code).join(' ')})`
  return code(sign)
}

function code(sign: string): string {
  return `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
