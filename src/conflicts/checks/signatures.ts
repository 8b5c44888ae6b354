/**
 * Signatures: one side changed how a function is called, the other side calls it.
 *
 * Looks at calls that the other side added, in this file and, where trees can be read, in the other files that this side
 * does not have the same. Only the number of arguments is compared, and only for names declared once: what needs types is
 * the compiler's to say.
 */
import { extname } from 'node:path/posix'
import type { Finding } from './finding.ts'
import { quote } from './finding.ts'
import { isCode } from './language.ts'
import type { Subject } from './subject.ts'
import type { Side } from './four-way.ts'

type Signature = { readonly least: number; readonly most: number; readonly line: string }

const DECLARED =
  /^[ \t]*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:def|function\*?|func(?:\s*\([^)]*\))?)\s+([A-Za-z_$][\w$]*)\s*(?:\[[^\]]*\]|<[^>]*>)?\s*\(/gm

export async function checkSignatures(subject: Subject): Promise<readonly Finding[]> {
  if (!isCode(subject.language) || subject.language === 'java') return []
  const { texts, four } = subject
  if (texts.result === texts.ours || texts.result === texts.theirs) return []
  const changedLines = [...four.ours, ...four.theirs].some((line) => /\b(def|function|func)\b/.test(line))
  if (!changedLines) return []
  const findings: Finding[] = []
  const base = signaturesOf(texts.base)
  const result = signaturesOf(texts.result)
  for (const side of ['ours', 'theirs'] as const) {
    const other: Side = side === 'ours' ? 'theirs' : 'ours'
    const mine = signaturesOf(texts[side])
    const yours = signaturesOf(texts[other])
    for (const [name, now] of result) {
      const [was, here, there] = [base.get(name), mine.get(name), yours.get(name)]
      if (!was || !here || !there || !same(here, now) || same(was, here) || !same(was, there)) continue
      findings.push(...brokenCalls(name, now, { text: texts.result, before: new Set(four[side]) }))
      findings.push(...(await brokenElsewhere(subject, name, now, side)))
    }
  }
  return findings
}

function same(a: Signature, b: Signature): boolean {
  return a.least === b.least && a.most === b.most
}

/** Functions declared once, with how many arguments they take. */
function signaturesOf(text: string): ReadonlyMap<string, Signature> {
  const found = new Map<string, Signature | undefined>()
  for (const match of text.matchAll(DECLARED)) {
    const name = match[1] ?? ''
    const list = argumentsAt(text, match.index + match[0].length)
    const signature = list && arity(list, match[0])
    found.set(name, found.has(name) ? undefined : signature)
  }
  return new Map([...found].flatMap(([name, one]) => (one ? [[name, one] as const] : [])))
}

function arity(list: readonly string[], line: string): Signature | undefined {
  if (list.some((one) => /^(\*|\.\.\.)|\.\.\./.test(one))) return undefined
  // Methods get their object unasked; which one a bare name means cannot be told, so only functions count.
  if (/^(self|cls|this)\b/.test(list[0] ?? '')) return undefined
  const required = list.filter((one) => one !== '/' && !/=|\?\s*:|\?$/.test(one))
  const all = list.filter((one) => one !== '/')
  return { least: required.length, most: all.length, line }
}

/** The comma-separated texts up to the closing bracket; undefined when it is not found soon. */
function argumentsAt(text: string, from: number): readonly string[] | undefined {
  const list: string[] = []
  let depth = 0
  let start = from
  let quoted = ''
  for (let at = from; at < Math.min(text.length, from + 4000); at++) {
    const sign = text[at] ?? ''
    if (quoted) {
      if (sign === '\\') at++
      else if (sign === quoted) quoted = ''
      continue
    }
    if (sign === '"' || sign === "'" || sign === '`') quoted = sign
    else if ('([{'.includes(sign)) depth++
    else if (')]}'.includes(sign)) {
      if (depth-- > 0) continue
      const last = text.slice(start, at).trim()
      return last === '' ? list : [...list, last]
    } else if (sign === ',' && depth === 0) {
      list.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  return undefined
}

/** Calls on lines that the changing side does not have, with a number of arguments that no longer fits. */
function brokenCalls(
  name: string,
  signature: Signature,
  where: { readonly text: string; readonly before: ReadonlySet<string>; readonly path?: string },
): readonly Finding[] {
  const calls = new RegExp(
    `(?<![.\\w$])(?<!\\b(?:def|function|func|class|new)\\s+)${name.replaceAll('$', '\\$')}\\s*\\(`,
    'g',
  )
  for (const match of where.text.matchAll(calls)) {
    const lineStart = where.text.lastIndexOf('\n', match.index) + 1
    const lineEnd = where.text.indexOf('\n', match.index)
    const line = where.text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).replace(/\r$/, '')
    if (where.before.has(line) || /^\s*(#|\/\/|\*)/.test(line)) continue
    const list = argumentsAt(where.text, match.index + match[0].length)
    if (!list || list.some((one) => /^(\*|\.\.\.)|\.\.\.$/.test(one))) continue
    if (list.length >= signature.least && list.length <= signature.most) continue
    const number = where.text.slice(0, match.index).split('\n').length
    return [
      {
        layer: 'semantics',
        rule: 'signature',
        severity: 'blocks',
        says: `${quote(line)}${where.path ? ` in ${where.path}` : ''} calls ${name} with ${list.length} arguments; one side made it take ${signature.least === signature.most ? signature.most : `${signature.least} to ${signature.most}`}`,
        line: number,
      },
    ]
  }
  return []
}

async function brokenElsewhere(
  subject: Subject,
  name: string,
  signature: Signature,
  side: Side,
): Promise<readonly Finding[]> {
  const { trees } = subject.options
  if (!trees) return []
  const findings: Finding[] = []
  for (const path of await trees.result.search(name, extname(subject.path))) {
    if (path === subject.path) continue
    const [merged, own] = await Promise.all([trees.result.read(path), trees[side].read(path)])
    if (!merged || (own && merged.equals(own))) continue
    const text = merged.toString('utf8')
    // The name must mean this function there: imported, or of the same package.
    if (subject.language !== 'go' && !new RegExp(`(import|require|from)\\b[^;]*\\b${name}\\b`).test(text))
      continue
    const before = new Set((own?.toString('utf8') ?? '').split(/\r?\n/))
    findings.push(...brokenCalls(name, signature, { text, before, path }))
  }
  return findings
}
