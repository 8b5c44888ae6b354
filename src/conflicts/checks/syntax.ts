/**
 * Layer 1. The result parses with the language's own parser, and no marker is left in it.
 *
 * A file that did not parse before does not blame the candidate: its parents are asked too. Lines that look like markers
 * and stood in a parent (a test of a merge tool, an underlined heading) are not markers.
 */
import type { Finding } from './finding.ts'
import { isPlainText } from './parsers.ts'
import type { Subject } from './subject.ts'

export type SyntaxReport = {
  readonly findings: readonly Finding[]
  /** What was looked at, in words. */
  readonly says: string
  /** Set when nobody could parse it: markers were looked for, nothing more. */
  readonly unread?: string
}

export async function checkSyntax(subject: Subject): Promise<SyntaxReport> {
  const findings = [...leftMarkers(subject), ...lineEndings(subject)]
  const result = await subject.parse('result')
  if (result.kind === 'unread') {
    if (isPlainText(subject.path)) return { findings, says: 'plain text, no markers left' }
    return { findings, says: 'no markers left', unread: result.reason }
  }
  if (result.kind === 'parsed') return { findings, says: `parses (${result.by})` }
  const parents = await Promise.all([subject.parse('ours'), subject.parse('theirs')])
  const broken: Finding = {
    layer: 'syntax',
    rule: 'syntax',
    severity: 'blocks',
    says: `it does not parse (${result.by}): ${result.says}`,
    line: result.line,
  }
  if (parents.every((parent) => parent.kind === 'parsed'))
    return { findings: [...findings, broken], says: '' }
  // With a parent that the parser cannot read, a broken result says nothing, unless it breaks elsewhere or otherwise.
  const inherited = parents.some(
    (parent) =>
      parent.kind === 'broken' && parent.says === result.says && sameLine(subject, parent.line, result.line),
  )
  if (inherited)
    return {
      findings: [...findings, { ...broken, rule: 'syntax-before', severity: 'note' }],
      says: '',
      unread: `a parent does not parse either (${result.by}: ${result.says})`,
    }
  return { findings: [...findings, broken], says: '' }
}

/** The line that the parser stumbles over stood in a parent too. */
function sameLine(subject: Subject, _parentLine: number, resultLine: number): boolean {
  const line = subject.four.result[resultLine - 1]?.trim() ?? ''
  return [subject.four.ours, subject.four.theirs].some((lines) => lines.some((one) => one.trim() === line))
}

const MARKERS = [/^<{7}(\s|$)/, /^>{7}(\s|$)/, /^\|{7}(\s|$)/, /^={7}\s*$/] as const
const NAMES = ['<<<<<<<', '>>>>>>>', '|||||||', '======='] as const

export function leftMarkers(subject: Subject): readonly Finding[] {
  const { four } = subject
  // Cheap before exact: most files hold no such run at all.
  if (!/^([<>|])\1{6}|^={7}\s*$/m.test(subject.texts.result)) return []
  const findings: Finding[] = []
  MARKERS.forEach((marker, kind) => {
    const count = (lines: readonly string[]): number => lines.filter((line) => marker.test(line)).length
    const allowed = Math.max(count(four.base), count(four.ours), count(four.theirs))
    const at = four.result.flatMap((line, index) => (marker.test(line) ? [index] : []))
    const extra = kind === 3 ? at.filter((index) => !isUnderline(four.result, index)) : at
    if (at.length > allowed && extra.length > 0)
      findings.push({
        layer: 'syntax',
        rule: 'marker',
        severity: 'blocks',
        says: `a conflict marker ${NAMES[kind] ?? ''} is left`,
        line: (extra.at(-1) ?? 0) + 1,
      })
  })
  return findings
}

/** A heading of at most seven characters, underlined: reStructuredText, Markdown, docstrings. */
function isUnderline(lines: readonly string[], index: number): boolean {
  const title = lines[index - 1]?.trim() ?? ''
  const above = lines[index - 2]?.trim() ?? ''
  return title.length > 0 && title.length <= 7 && /^\w/.test(title) && (above === '' || /^={7}$/.test(above))
}

function lineEndings(subject: Subject): readonly Finding[] {
  const { ours, theirs, result } = subject.texts
  if (!result.includes('\r')) return []
  const isMixed = (text: string): boolean => /\r\n/.test(text) && /(^|[^\r])\n/.test(text)
  if (!isMixed(result) || isMixed(ours) || isMixed(theirs)) return []
  return [
    {
      layer: 'syntax',
      rule: 'line-endings',
      severity: 'blocks',
      says: 'line endings are mixed, as in neither side',
    },
  ]
}
