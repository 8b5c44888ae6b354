/**
 * Layer 2. What is new relative to both sides and the base: dangerous calls, secrets, hidden characters, weakened checks,
 * edits of files that decide what runs, new dependencies.
 *
 * What a side brought is that side's to answer for; a merge answers for what it makes up. Lines from none of the three
 * versions are scanned hardest, and so is what stands more often than both sides together explain.
 */
import type { Finding } from './finding.ts'
import { quote } from './finding.ts'
import { squeeze } from './four-way.ts'
import { isCode, isStatement } from './language.ts'
import { newDependencies } from './manifests.ts'
import { findSecrets } from './secrets.ts'
import { ASSERTION, GUARD, powerOf, SECURITY_RULES, TEST_WEAKENERS } from './security-rules.ts'
import type { Language } from './language.ts'
import type { SecurityRule } from './security-rules.ts'
import type { Subject, Version } from './subject.ts'
import { treeOf } from './tree.ts'
import { newHidden } from './unicode.ts'

export async function checkSecurity(subject: Subject): Promise<readonly Finding[]> {
  const { texts, four, path } = subject
  const fresh = freshLines(subject)
  const findings: Finding[] = [
    ...hidden(subject),
    ...dangerousCalls(subject, fresh),
    ...lostGuards(subject),
    ...weakenedTests(subject, fresh),
    ...newDependencies(path, texts.result, [texts.base, texts.ours, texts.theirs]).map((name) =>
      blocks(
        'new-dependency',
        `${quote(name)} is a dependency of none of the versions`,
        lineOf(four.result, name),
      ),
    ),
  ]
  const power = powerOf(path)
  const statement = fresh.find(([, text]) => isStatement(text, subject.language))
  if (power !== undefined && statement)
    findings.push(
      blocks('powerful-file', `${power} gets a line of nobody's: ${quote(statement[1])}`, statement[0]),
    )
  // Secrets in lines that only moved or were indented anew are not new.
  for (const { says, line } of await findSecrets(fresh)) findings.push(blocks('secret', says, line))
  return findings
}

/** [line number, text] of lines from none of the versions, and of lines that stand more often than both sides together. */
function freshLines(subject: Subject): readonly (readonly [number, string])[] {
  const { four } = subject
  const novel = four.novel.map((index) => [index + 1, four.result[index] ?? ''] as const)
  return novel
}

function hidden(subject: Subject): readonly Finding[] {
  const { base, ours, theirs, result } = subject.texts
  return newHidden(result, [base, ours, theirs]).map(({ name, line }) =>
    blocks(
      'hidden-character',
      `it holds ${name}, which changes how the text looks but not what it does`,
      line,
    ),
  )
}

function appliesTo(rule: SecurityRule, subject: Subject): boolean {
  return rule.languages === 'any'
    ? !subject.isProse
    : rule.languages.includes(subject.language) && !subject.isProse
}

function dangerousCalls(subject: Subject, fresh: readonly (readonly [number, string])[]): readonly Finding[] {
  const findings: Finding[] = []
  for (const rule of SECURITY_RULES) {
    if (!appliesTo(rule, subject)) continue
    const suspects = fresh.filter(([, text]) => rule.hint.test(text))
    if (suspects.length === 0) continue
    const count = (version: Version): number => occurrences(rule, subject, version)
    const [ours, theirs, base] = [count('ours'), count('theirs'), count('base')]
    // Both sides may each have brought one; the merge holds both.
    const explained = Math.max(ours, theirs, ours + theirs - base)
    if (count('result') <= explained) continue
    const [line, text] = suspects[0] ?? [1, '']
    findings.push(blocks(rule.id, `${quote(text)} ${rule.says}`, line))
  }
  return findings
}

/**
 * How often the version does it: by structure, and by the words outside comments and texts. The larger number counts, so
 * that neither an unusual spelling nor a word in a text decides alone.
 */
function occurrences(rule: SecurityRule, subject: Subject, version: Version): number {
  const text = subject.texts[version]
  const hint = new RegExp(rule.hint.source, `${rule.hint.flags.replace('g', '')}g`)
  const root = isCode(subject.language) ? treeOf(subject.language, text) : undefined
  if (!root) return text.match(hint)?.length ?? 0
  const found = rule.patterns
    ? root.findAll({ rule: { any: rule.patterns.map((pattern) => ({ pattern })) } }).length
    : 0
  const silent = root
    .findAll({ rule: { any: (SILENT[subject.language] ?? []).map((kind) => ({ kind })) } })
    .map((node) => node.range())
  const said = [...text.matchAll(hint)].filter(
    ({ index }) => !silent.some(({ start, end }) => start.index < index && index < end.index),
  )
  return Math.max(found, said.length)
}

const SCRIPT_TEXTS = ['comment', 'string', 'template_string', 'regex'] as const
/** Kinds of nodes in which a word does nothing. */
const SILENT: Readonly<Partial<Record<Language, readonly string[]>>> = {
  python: ['comment', 'string'],
  javascript: SCRIPT_TEXTS,
  typescript: SCRIPT_TEXTS,
  tsx: SCRIPT_TEXTS,
  go: ['comment', 'interpreted_string_literal', 'raw_string_literal'],
  java: ['line_comment', 'block_comment', 'string_literal'],
}

/** A guard that both sides had is gone. */
function lostGuards(subject: Subject): readonly Finding[] {
  if (
    subject.isProse ||
    subject.isTest ||
    subject.texts.result === subject.texts.ours ||
    subject.texts.result === subject.texts.theirs
  )
    return []
  const { four } = subject
  const result = new Set(four.result.map(squeeze))
  const theirs = new Set(four.theirs.map(squeeze))
  const gone = four.ours.find(
    (line) =>
      GUARD.test(line) &&
      isStatement(line, subject.language) &&
      theirs.has(squeeze(line)) &&
      !result.has(squeeze(line)),
  )
  return gone === undefined ? [] : [blocks('lost-guard', `${quote(gone)}, which both sides have, is gone`, 1)]
}

/** Tests that no longer tell: skipped, always true, or with another expectation than either side's. */
function weakenedTests(subject: Subject, fresh: readonly (readonly [number, string])[]): readonly Finding[] {
  if (!subject.isTest || subject.isProse) return []
  const findings: Finding[] = []
  for (const [pattern, what] of TEST_WEAKENERS) {
    const suspect = fresh.find(([, text]) => pattern.test(text) && isStatement(text, subject.language))
    if (!suspect) continue
    const all = new RegExp(pattern.source, 'g')
    const count = (version: Version): number => subject.texts[version].match(all)?.length ?? 0
    const [ours, theirs] = [count('ours'), count('theirs')]
    if (count('result') > Math.max(ours, theirs, ours + theirs - count('base')))
      findings.push(blocks('weakened-test', `${quote(suspect[1])} ${what}`, suspect[0]))
  }
  findings.push(...changedExpectations(subject, fresh))
  return findings
}

/** An assertion of nobody's that is one word away from an assertion that is gone, with a word that neither side has there. */
function changedExpectations(
  subject: Subject,
  fresh: readonly (readonly [number, string])[],
): readonly Finding[] {
  const assertions = fresh.filter(([, text]) => ASSERTION.test(text))
  if (assertions.length === 0) return []
  const result = new Set(subject.four.result.map(squeeze))
  const gone = [...new Set([...subject.four.ours, ...subject.four.theirs])].filter(
    (line) => ASSERTION.test(line) && !result.has(squeeze(line)),
  )
  const known = `${subject.texts.ours}\n${subject.texts.theirs}`
  for (const [line, text] of assertions) {
    const from = gone.find((old) => {
      const [before, after] = differing(bare(old), bare(text))
      if (before.length > 0.4 * bare(old).length) return false
      return (
        before.length + after.length > 0 &&
        before.length <= 24 &&
        after.length <= 24 &&
        !(after.length > 2 && known.includes(after))
      )
    })
    if (from !== undefined)
      return [blocks('weakened-test', `${quote(text)} expects something else than ${quote(from)}`, line)]
  }
  return []
}

function bare(line: string): string {
  return squeeze(line)
    .replaceAll(/['`]/g, '"')
    .replace(/[;,]+$/, '')
}

/** The middle in which two texts differ. */
function differing(a: string, b: string): readonly [string, string] {
  let from = 0
  while (from < a.length && from < b.length && a[from] === b[from]) from++
  let end = 0
  while (end < a.length - from && end < b.length - from && a[a.length - 1 - end] === b[b.length - 1 - end])
    end++
  return [a.slice(from, a.length - end), b.slice(from, b.length - end)]
}

function lineOf(lines: readonly string[], text: string): number {
  return lines.findIndex((line) => line.includes(text)) + 1 || 1
}

function blocks(rule: string, says: string, line: number): Finding {
  return { layer: 'security', rule, severity: 'blocks', says, line }
}
