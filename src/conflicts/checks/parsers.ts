/** The parser of each language: what it says about a text, and what it found in it on the way. */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { extname } from 'node:path/posix'
import { fileURLToPath } from 'node:url'
import type { Language } from './language.ts'
import { readScript } from './javascript.ts'
import { createResident } from './resident.ts'
import { errorLines, hasGrammar } from './tree.ts'

export type Parsed =
  | {
      readonly kind: 'parsed'
      /** Which parser said so. */
      readonly by: string
      /** Names used that nothing in the file binds, with a line; undefined when the parser does not look. */
      readonly unknown?: Readonly<Record<string, number>>
      /** Declarations and keys that stand more than once in one scope: how many too many, and a line. */
      readonly twice?: Readonly<Record<string, readonly [count: number, line: number]>>
    }
  | { readonly kind: 'broken'; readonly by: string; readonly line: number; readonly says: string }
  | { readonly kind: 'unread'; readonly reason: string }

export type Parser = (text: string, path: string) => Promise<Parsed>

const require = createRequire(import.meta.url)
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

// -I and -S: no user packages, no site file, nothing from the current folder.
const python = createResident(['python3', '-I', '-S', beside('./python-reader.py')], 'python3')
const java = createResident(
  [
    'java',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Xshare:auto',
    '-Xmx256m',
    beside('./JavaReader.java'),
  ],
  'java',
)

/** Ends the resident parsers; they start anew at the next question. For tests and for the end of a replay. */
export function closeParsers(): void {
  python.close()
  java.close()
}

export function parserOf(language: Language): Parser | undefined {
  return PARSERS[language]
}

const PARSERS: Readonly<Partial<Record<Language, Parser>>> = {
  python: (text) => residentOr(python, 'python', "python's ast", text),
  java: (text) => residentOr(java, 'java', "javac's parser", text),
  go: readGo,
  javascript: here('oxc-parser', readScript),
  typescript: here('oxc-parser', readScript),
  tsx: here('oxc-parser', readScript),
  json: here('jsonc-parser', readJson),
  yaml: here('yaml', readYaml),
  toml: here('smol-toml', readToml),
  xml: here('fast-xml-parser', readXml),
}

/** Parsers that work in this process descend by calling themselves; what is nested too deeply ends as a broken file. */
function here(by: string, read: (text: string, path: string) => Parsed): Parser {
  return (text, path) => {
    try {
      return Promise.resolve(read(text, path))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return Promise.resolve({ kind: 'broken', by, line: 1, says: 'it is nested too deeply' })
    }
  }
}

type ReaderAnswer = {
  readonly error: { readonly line: number; readonly says: string } | null
  readonly unknown?: Readonly<Record<string, number>>
  readonly twice?: Readonly<Record<string, readonly [number, number]>>
}

async function residentOr(
  resident: ReturnType<typeof createResident>,
  language: Language,
  by: string,
  text: string,
): Promise<Parsed> {
  const answer = (await resident.ask(text)) as ReaderAnswer | undefined
  if (answer === undefined) return readTree(language, text, resident.problem())
  if (answer.error) return { kind: 'broken', by, ...answer.error }
  return {
    kind: 'parsed',
    by,
    ...(answer.unknown && { unknown: answer.unknown }),
    ...(answer.twice && { twice: answer.twice }),
  }
}

function readTree(language: Language, text: string, why: string): Parsed {
  if (!hasGrammar(language)) return { kind: 'unread', reason: why }
  const [line] = errorLines(language, text)
  const by = `tree-sitter (${why})`
  return line === undefined
    ? { kind: 'parsed', by }
    : { kind: 'broken', by, line, says: 'the grammar does not fit' }
}

let noGofmt = ''
const GO_PLACES = '/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:/usr/lib/go/bin'

function readGo(text: string): Promise<Parsed> {
  if (noGofmt) return Promise.resolve(readTree('go', text, noGofmt))
  return new Promise((done) => {
    const child = execFile(
      'gofmt',
      ['-e'],
      { timeout: 10_000, maxBuffer: 64 << 20, cwd: '/', env: { PATH: GO_PLACES } },
      (error, _stdout, stderr) => {
        if (!error) return done({ kind: 'parsed', by: 'gofmt' })
        if (error.code === 'ENOENT') noGofmt = 'gofmt is not on this machine'
        const found = /^<standard input>:(\d+):\d+: (.*)$/m.exec(stderr)
        if (!found) return done(readTree('go', text, noGofmt || 'gofmt did not answer'))
        done({ kind: 'broken', by: 'gofmt', line: Number(found[1]), says: found[2] ?? '' })
      },
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(text)
  })
}

function readJson(text: string): Parsed {
  const { parseTree, printParseErrorCode } = require('jsonc-parser') as typeof import('jsonc-parser')
  const by = 'jsonc-parser'
  const errors: import('jsonc-parser').ParseError[] = []
  const strict = strictJson(text)
  const root = parseTree(text, errors, {
    allowTrailingComma: !strict,
    disallowComments: strict,
    allowEmptyContent: true,
  })
  const [first] = errors
  if (first)
    return { kind: 'broken', by, line: lineAt(text, first.offset), says: printParseErrorCode(first.error) }
  const twice: Record<string, [number, number]> = {}
  const todo = [{ node: root, at: '' }]
  for (let next = todo.pop(); next; next = todo.pop()) {
    const seen = new Set<string>()
    for (const child of next.node?.children ?? []) {
      const [key, value] = child.type === 'property' ? (child.children ?? []) : []
      const name = typeof key?.value === 'string' ? key.value : ''
      const at = key ? `${next.at}.${name}` : next.at
      if (key && seen.has(name)) twice[at] = [(twice[at]?.[0] ?? 0) + 1, lineAt(text, key.offset)]
      if (key) seen.add(name)
      todo.push({ node: key ? value : child, at })
    }
  }
  return { kind: 'parsed', by, twice }
}

/** JSON proper; a file that begins with a comment or has trailing commas is read as JSON with comments. */
function strictJson(text: string): boolean {
  return !/^\s*\/[/*]/m.test(text) && !/,\s*[}\]]/.test(text)
}

function readYaml(text: string): Parsed {
  const { parseAllDocuments } = require('yaml') as typeof import('yaml')
  const by = 'yaml'
  const documents = parseAllDocuments(text, { logLevel: 'silent', uniqueKeys: true })
  const errors = Array.isArray(documents) ? documents.flatMap((document) => document.errors) : []
  const twice: Record<string, [number, number]> = {}
  for (const error of errors) {
    const line = error.linePos?.[0].line ?? 1
    if (error.code !== 'DUPLICATE_KEY')
      return { kind: 'broken', by, line, says: error.message.split('\n')[0] ?? '' }
    const key = text.slice(error.pos[0], error.pos[1])
    twice[key] = [(twice[key]?.[0] ?? 0) + 1, line]
  }
  return { kind: 'parsed', by, twice }
}

function readToml(text: string): Parsed {
  const { parse, TomlError } = require('smol-toml') as typeof import('smol-toml')
  try {
    parse(text)
    return { kind: 'parsed', by: 'smol-toml' }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    return { kind: 'broken', by: 'smol-toml', line: error.line, says: error.message.split('\n')[0] ?? '' }
  }
}

function readXml(text: string): Parsed {
  const { XMLValidator } = require('fast-xml-parser') as typeof import('fast-xml-parser')
  const answer = XMLValidator.validate(text.replace(/^\uFEFF/, ''))
  return answer === true
    ? { kind: 'parsed', by: 'fast-xml-parser' }
    : { kind: 'broken', by: 'fast-xml-parser', line: answer.err.line, says: answer.err.msg }
}

export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** Plain text has no syntax to break; a language without a parser here has, and nobody looked. */
export function isPlainText(path: string): boolean {
  return (
    /^\.(md|mdx|rst|txt|adoc|csv|tsv|log|po|pot|snap|lock|sum|mod|cfg|ini|properties|gitignore|env|)$/i.test(
      extname(path),
    ) || /(^|\/)\.[a-z]*ignore$/i.test(path)
  )
}
