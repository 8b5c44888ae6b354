/**
 * Bytes to text and back without losing one. Text that is not UTF-8 is carried byte by byte (latin1): it merges by lines,
 * and comes out as it went in.
 *
 * Line endings and the last line's missing line feed are taken off first and merged by themselves: otherwise a file whose
 * line endings one side changed clashes on every line, and the last line of one side is glued to the first of the other.
 */
import { isUtf8 } from 'node:buffer'
import type { Versions } from '../conflict.ts'
import type { Three } from './diff3.ts'
import { lineEndingOf } from './lines.ts'

export type MergeText = Three<string> & {
  readonly path: string
  readonly baseless: boolean
  readonly utf8: boolean
  /** The sides' line endings differ and were evened out. */
  readonly lineEndingsDiffer: boolean
  /** Gives the merged text its line endings, its end and its bytes back. */
  encode(text: string): Buffer
}

export function toText(versions: Versions): MergeText {
  const utf8 = isUtf8(versions.base) && isUtf8(versions.ours) && isUtf8(versions.theirs)
  const encoding = utf8 ? 'utf8' : 'latin1'
  const raw = {
    base: versions.base.toString(encoding),
    ours: versions.ours.toString(encoding),
    theirs: versions.theirs.toString(encoding),
  }
  const endings = [lineEndingOf(raw.base), lineEndingOf(raw.ours), lineEndingOf(raw.theirs)]
  const known = endings.filter((ending) => ending !== 'none')
  const differ = new Set(known).size > 1 && !known.includes('mixed')
  const even = differ || (known.length > 0 && known.every((ending) => ending === 'crlf'))
  const [base = 'none', ours = 'none', theirs = 'none'] = endings
  const crlf = even && choose(base === 'none' ? ours : base, ours, theirs) === 'crlf'
  const open = choose(isOpen(raw.base), isOpen(raw.ours), isOpen(raw.theirs))
  const prepare = (text: string): string => {
    const evened = even ? text.replaceAll('\r\n', '\n') : text
    return isOpen(evened) ? `${evened}\n` : evened
  }
  return {
    base: prepare(raw.base),
    ours: prepare(raw.ours),
    theirs: prepare(raw.theirs),
    path: versions.path,
    baseless: versions.baseless ?? false,
    utf8,
    lineEndingsDiffer: differ,
    encode: (text) => {
      const ended = open && text.endsWith('\n') ? text.slice(0, -1) : text
      return Buffer.from(crlf ? ended.replaceAll('\n', '\r\n') : ended, encoding)
    },
  }
}

const isOpen = (text: string): boolean => text !== '' && !text.endsWith('\n')

/** The side that changed it decides; when both changed it, ours. */
function choose<T>(base: T, ours: T, theirs: T): T {
  return ours === base ? theirs : ours
}
