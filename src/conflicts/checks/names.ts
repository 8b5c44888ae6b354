/**
 * Names and keys: nothing is declared twice that was not, nothing is used that is declared no longer.
 *
 * Python, JavaScript and TypeScript are asked by their parsers. In Go and Java a name may live in a neighbour file, so
 * that only the merged tree can tell; without one the finding is a note.
 */
import { extname } from 'node:path/posix'
import { declarationsOf } from './declarations.ts'
import type { Finding } from './finding.ts'
import { quote } from './finding.ts'
import type { Language } from './language.ts'
import type { Subject } from './subject.ts'

export async function checkNames(subject: Subject): Promise<readonly Finding[]> {
  const result = await subject.parse('result')
  const findings: Finding[] = []
  // Python 2 and dialects: what the language's own parser refuses, a grammar may still read.
  if (result.kind === 'broken') return subject.language === 'python' ? twiceInTree(subject) : []
  if (result.kind === 'parsed') {
    const unknown = Object.entries(result.unknown ?? {})
    const twice = Object.entries(result.twice ?? {})
    if (unknown.length > 0 || twice.length > 0) {
      const sides = ['ours', 'theirs'] as const
      const parents = await Promise.all(sides.map((side) => subject.parse(side)))
      const before = parents.filter((parent) => parent.kind === 'parsed')
      // A side that the parser cannot read is asked for the bare word instead.
      const unread = sides.filter((_, i) => parents[i]?.kind !== 'parsed').map((side) => subject.texts[side])
      for (const [name, line] of unknown) {
        if (before.length === 0 || before.some((parent) => parent.unknown?.[name] !== undefined)) continue
        if (unread.some((text) => text.includes(name))) continue
        findings.push(blocks('undefined-name', `${quote(name)} is used and nothing defines it`, line))
      }
      for (const [name, [count, line]] of twice) {
        const most = Math.max(0, ...before.map((parent) => parent.twice?.[name]?.[0] ?? 0))
        if (before.length > 0 && count > most)
          findings.push(blocks('duplicate', `${quote(name)} stands more than once`, line))
      }
    }
  }
  if (subject.language === 'go' || subject.language === 'java')
    findings.push(...twiceInTree(subject), ...(await looseNames(subject)))
  return findings
}

/** Declarations that stand more often than on either side. */
function twiceInTree(subject: Subject): readonly Finding[] {
  const { language, texts } = subject
  if (texts.result === texts.ours || texts.result === texts.theirs) return []
  // Building a tree costs more than all else; a name that is declared once by any reading is not declared twice.
  if (language === 'go' && !hasRepeats(subject.four.result)) return []
  const counts = (text: string): Map<string, [number, number]> => {
    const seen = new Map<string, [number, number]>()
    for (const { key, line } of declarationsOf(language, text))
      seen.set(key, [(seen.get(key)?.[0] ?? 0) + 1, line])
    return seen
  }
  const twice = [...counts(texts.result)].filter(([, [count]]) => count > 1)
  if (twice.length === 0) return []
  const [ours, theirs] = [counts(texts.ours), counts(texts.theirs)]
  return twice
    .filter(([key, [count]]) => count > Math.max(ours.get(key)?.[0] ?? 0, theirs.get(key)?.[0] ?? 0, 1))
    .map(([key, [, line]]) => blocks('duplicate', `${quote(key)} is declared more than once`, line))
}

/** Some top-level name, some method of a receiver, or some whole line of a struct stands twice. */
function hasRepeats(lines: readonly string[]): boolean {
  const seen = new Set<string>()
  for (const line of lines) {
    const match =
      /^(?:func\s+(?:\(\s*\w*\s*\*?(\w+)[^)]*\)\s*)?|type\s+|var\s+|const\s+|\t)(\w+)(?=[\s([,=])/.exec(line)
    if (!match) continue
    const key = line.startsWith('\t') ? line : `${match[1] ?? ''}.${match[2] ?? ''}`
    if (seen.has(key) && match[2] !== 'init') {
      if (!line.startsWith('\t') || /^\t\w+\s+[\w*[\].]+(\s+`.*`)?$/.test(line)) return true
    }
    seen.add(key)
  }
  return false
}

/** Used bare: not a member, not a key. */
const BARE = /(?<![.\w$'"`@])([A-Za-z_]\w*)(?!\w|\s*:(?!=))/g

/** Names that a merge may have cut loose: new ones, and those whose declaring line is gone. */
async function looseNames(subject: Subject): Promise<readonly Finding[]> {
  const { four, language, texts } = subject
  const known = new Set(`${texts.base}\n${texts.ours}\n${texts.theirs}`.match(/[A-Za-z_]\w*/g))
  const findings: Finding[] = []
  const done = new Set<string>()
  for (const index of four.novel) {
    const line = (four.result[index] ?? '')
      .replace(/\/\/.*$/, '')
      .replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""')
    if (/^\s*(\*|\/\*|import\b|package\b|")/.test(line)) continue
    for (const [, name = ''] of line.matchAll(BARE)) {
      if (known.has(name) || done.has(name) || RESERVED.has(name) || binds(texts.result, name)) continue
      done.add(name)
      findings.push(await loose(subject, name, index + 1))
    }
  }
  const kept = new Set(four.result)
  for (const line of new Set([...four.ours, ...four.theirs])) {
    if (kept.has(line)) continue
    const isImport = language === 'go' && /^\s*(\w+\s+)?"/.test(line)
    for (const name of boundBy(line, language)) {
      if (done.has(name) || binds(texts.result, name)) continue
      done.add(name)
      const at = four.result.findIndex((one) => usesBare(one, name))
      if (at < 0 || !bothSidesBind(subject, name)) continue
      // Go's imports are the file's own: no neighbour brings them in.
      if (isImport)
        findings.push(blocks('undefined-name', `${quote(name)} is used and no longer imported`, at + 1))
      else findings.push(await loose(subject, name, at + 1))
    }
  }
  return findings.filter(({ rule }) => rule !== 'defined')
}

function bothSidesBind(subject: Subject, name: string): boolean {
  // A side that uses the name without binding it finds it in another file.
  return [subject.texts.ours, subject.texts.theirs].every(
    (text) => binds(text, name) || !new RegExp(`(?<![.\\w$])${name}(?!\\w)`).test(text),
  )
}

async function loose(subject: Subject, name: string, line: number): Promise<Finding> {
  const says = `${quote(name)} is used and nothing in the file defines it`
  const tree = subject.options.trees?.result
  if (!tree) return { layer: 'semantics', rule: 'undefined-name', severity: 'note', says, line }
  const elsewhere = (await tree.search(name, extname(subject.path))).filter((path) => path !== subject.path)
  for (const path of elsewhere.slice(0, 40)) {
    const text = (await tree.read(path))?.toString('utf8') ?? ''
    if (binds(text, name)) return { layer: 'semantics', rule: 'defined', severity: 'note', says, line }
  }
  return blocks('undefined-name', `${quote(name)} is used and nothing in the tree defines it`, line)
}

function usesBare(line: string, name: string): boolean {
  const code = line.replace(/\/\/.*$/, '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  if (/^\s*(\*|\/\*|import\b|package\b)/.test(code)) return false
  return new RegExp(`(?<![.\\w$@])${name}(?!\\w|\\s*:(?!=))`).test(code)
}

/** Some line of the text declares, assigns, imports or takes the name. Generous: a wrong yes only hides a finding. */
function binds(text: string, name: string): boolean {
  return new RegExp(
    [
      `\\b(func|type|var|const|class|interface|enum|record|package|label|@interface)\\s+${name}\\b`,
      `\\bfunc\\s*\\([^)]*\\)\\s*${name}\\b`,
      `(?<![.\\w$])${name}\\s*(,\\s*[\\w.]+\\s*)*(:=|=(?!=))`,
      `,\\s*${name}\\s*(,\\s*\\w+\\s*)*(:=|=(?!=))`,
      // A type before it (Java) or behind it (Go): a declaration, a parameter, a field.
      `[\\w>\\]](\\[\\])*(\\s+|\\.\\.\\.\\s*)${name}\\s*([;,)=:({\\[]|$)(?<!\\b(return|throw|new|else|case|goto|range|go|defer|in)\\s+${name}\\s*.?)`,
      `(^|[(,\\s])${name}(\\s*,\\s*\\w+)*\\s+(\\*|\\[|\\.\\.\\.|func\\b|map\\b|chan\\b|interface\\b|struct\\b|[A-Za-z_][\\w.]*\\s*([,)\`{=]|//|$))`,
      `\\bimport\\b[^;\\n]*[.\\s]${name}\\s*;`,
      `^\\s*(\\w+\\s+)?"([\\w.@-]+/)*(go-)?${name}(\\.v\\d+|/v\\d+|-go)?"`,
      `^\\s*${name}\\s+"[\\w./@-]+"`,
      `^\\s*${name}\\s*(\\(|,|;|$)`,
      // A star brings types, a static star anything.
      `\\bimport\\s+static\\s+[\\w.]+\\.\\*`,
      ...(/^[A-Z]/.test(name) ? [`\\bimport\\s+[\\w.]+\\.\\*`] : []),
      `<[^<>]*\\b${name}\\b[^<>]*>\\s+[\\w<]`,
      `\\[${name}\\s+[\\w~]`,
      `\\b${name}\\s*->`,
    ].join('|'),
    'm',
  ).test(text)
}

/** Names that a line declares on its own: whole declarations and imports, not every assignment. */
function boundBy(line: string, language: Language): readonly string[] {
  const patterns =
    language === 'go'
      ? [
          /^func\s+(?:\([^)]*\)\s*)?(\w+)/,
          /^\s*(?:type|var|const)\s+(\w+)/,
          /^\s*(\w+)(?:,\s*\w+)*\s*:=/,
          /^\s*(?:\w+\s+)?"(?:[\w.@-]+\/)*(\w+)"$/,
        ]
      : [
          /^import\s+(?:static\s+)?[\w.]+\.(\w+);/,
          /\b(?:class|interface|enum|record)\s+(\w+)/,
          /^\s*[\w<>[\],.? ]+\s+(\w+)\s*(?:=|;)/,
        ]
  return patterns.flatMap((pattern) => pattern.exec(line)?.[1] ?? [])
}

const RESERVED: ReadonlySet<string> = new Set(
  `abstract any append assert bool boolean break byte cap case catch chan char class clear close complex complex128 complex64
  const continue copy default defer delete do double else enum error extends fallthrough false final finally float float32
  float64 for func go goto if imag implements import instanceof int int16 int32 int64 int8 interface iota len long make map
  max min native new nil non_sealed null package panic permits print println private protected public range real record
  recover return rune sealed select short static strictfp string struct super switch synchronized this throw throws
  transient true try type uint uint16 uint32 uint64 uint8 uintptr var void volatile while yield comparable _ it
  Object String Integer Long Boolean Double Float Short Byte Character Number Math System Thread Runnable Iterable Class
  Exception RuntimeException IllegalArgumentException IllegalStateException NullPointerException Error Throwable
  UnsupportedOperationException IndexOutOfBoundsException ClassCastException InterruptedException AssertionError
  StringBuilder StringBuffer CharSequence Comparable Cloneable Override Deprecated SuppressWarnings FunctionalInterface
  SafeVarargs Void Enum Record Process ProcessBuilder Runtime ThreadLocal AutoCloseable Iterator ClassNotFoundException
  NumberFormatException ArithmeticException CloneNotSupportedException NoSuchMethodException NoSuchFieldException
  IllegalAccessException InstantiationException LinkageError StackOverflowError OutOfMemoryError ClassLoader Package Module
  ReflectiveOperationException SecurityException ArrayIndexOutOfBoundsException NegativeArraySizeException StackTraceElement`.split(
    /\s+/,
  ),
)

function blocks(rule: string, says: string, line: number): Finding {
  return { layer: 'semantics', rule, severity: 'blocks', says, line }
}
