/** Characters that make code look like something else. */

/** Bidirectional controls, invisible signs, tag characters, separators that some readers take for line ends. */
const HIDDEN =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFE00-\uFE0E\uFEFF\uFFA0\uFFF9-\uFFFB\u{1BCA0}-\u{1BCA3}\u{1D173}-\u{1D17A}\u{E0000}-\u{E01EF}]/gu
const CONTROL = /[\u0000-\u0008\u000B\u000E-\u001F\u007F-\u009F]/gu
/** A word of Latin letters with a Cyrillic or Greek one among them. */
const MIXED =
  /[\p{Script=Latin}\d_]+[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]+|[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]+[\p{Script=Latin}_]+|[\uFF21-\uFF3A\uFF41-\uFF5A]/gu

export type Hidden = { readonly name: string; readonly line: number }

/** Signs that the text holds more often than each of the versions. */
export function newHidden(text: string, versions: readonly string[]): readonly Hidden[] {
  // Nearly all source is ASCII, and then there is nothing to look for. eslint-style control classes stay readable this way.
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
