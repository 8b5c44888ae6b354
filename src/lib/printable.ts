/**
 * Text from outside made safe to show: what an agent, a repository or a remote wrote may carry escape sequences that
 * move the cursor, change the title or the clipboard of a terminal, and marks that reorder what a person reads.
 */
/* oxlint-disable no-control-regex -- control characters are exactly what is looked for here */

const SEQUENCES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)|[ -/]*[0-~])/g
// Control characters but tab and line feed, bidirectional marks, invisible separators, and the byte order mark.
const UNPRINTABLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g

/** Keeps lines and tabs; whole terminal sequences go, single characters that remain are shown as \u{1b}. */
export function toPrintable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(SEQUENCES, '')
    .replaceAll(UNPRINTABLE, (found) => `\\u{${found.codePointAt(0)!.toString(16)}}`)
}

/** The same on one line of at most `columns` characters. */
export function toPrintableLine(text: string, columns = 200): string {
  const line = toPrintable(text).replaceAll(/\s+/g, ' ').trim()
  return line.length > columns ? `${line.slice(0, columns - 1)}…` : line
}
