/** What a path says about its content: the language, and how much of it is meant to be read by machines. */
import { basename, extname } from 'node:path/posix'

export type Language =
  | 'python'
  | 'javascript'
  | 'typescript'
  | 'tsx'
  | 'go'
  | 'java'
  | 'json'
  | 'yaml'
  | 'toml'
  | 'xml'
  | 'shell'
  | 'text'

const BY_EXTENSION: Readonly<Record<string, Language>> = {
  '.py': 'python',
  '.pyi': 'python',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.jsx': 'javascript',
  '.ts': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.tsx': 'tsx',
  '.go': 'go',
  '.java': 'java',
  '.json': 'json',
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.toml': 'toml',
  '.xml': 'xml',
  '.svg': 'xml',
  '.sh': 'shell',
  '.bash': 'shell',
}

const CODE: ReadonlySet<Language> = new Set(['python', 'javascript', 'typescript', 'tsx', 'go', 'java'])

export function languageOf(path: string): Language {
  return BY_EXTENSION[extname(path).toLowerCase()] ?? 'text'
}

export function isCode(language: Language): boolean {
  return CODE.has(language)
}

/** Prose is edited by hand in merges: a reworded sentence breaks nothing. */
export function isProse(path: string): boolean {
  return (
    /\.(md|mdx|rst|txt|adoc|html?|tex)$/i.test(path) ||
    /^(changes|changelog|authors|contributors|credits|history|news|readme|todo|release[-_ ]?notes)\b/i.test(
      basename(path),
    ) ||
    /(^|\/)(release-notes|changelogs?|newsfragments)\//i.test(path)
  )
}

/** Written by a program from other files: only running that program again can prove it. */
export function isGenerated(path: string): boolean {
  return (
    /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|pdm\.lock|pipfile\.lock|cargo\.lock|composer\.lock|gemfile\.lock|go\.sum)$/i.test(
      path,
    ) ||
    /\.(snap|min\.js|min\.css|map|pb\.go|pb\.gw\.go|pb\.cc|pb\.h)$|_pb2(_grpc)?\.pyi?$|(^|[._])generated\.[a-z]+$|(^|\/)(dist|__snapshots__|generated)\//i.test(
      path,
    )
  )
}

export function isTest(path: string): boolean {
  return (
    /(^|\/)(tests?|__tests__|spec|testing)\//i.test(path) ||
    /(^|\/)(test_[^/]*\.py|[^/]*_test\.(py|go)|[^/]*[.-](test|spec)\.[cm]?[jt]sx?|[^/]*Tests?\.java|Test[^/]*\.java|conftest\.py)$/.test(
      path,
    )
  )
}

const LINE_COMMENT: Readonly<Partial<Record<Language, RegExp>>> = {
  python: /^\s*(#|$)/,
  yaml: /^\s*(#|$)/,
  toml: /^\s*(#|$)/,
  shell: /^\s*(#(?!!)|$)/,
  xml: /^\s*(<!--.*-->|$)/,
  text: /^\s*(#|;|$)/,
}
const C_COMMENT = /^\s*(\/\/|\/\*|\*\/|\*(\s|$)|$)/

/** A line that says something: not blank, not a comment, not only brackets and separators. */
export function isStatement(line: string, language: Language): boolean {
  if (
    /^[\s\W_]*$/.test(line) ||
    /^\s*(else|end|pass|try|do|then|fi|done|return;?|break;?|continue;?)\W*$/.test(line)
  )
    return false
  // What only speaks to readers and compilers' warnings.
  if (/^\s*@(SuppressWarnings|Override)\b[^;{]*$|^\s*[rRuU]?("""|''')/.test(line)) return false
  return !(LINE_COMMENT[language] ?? C_COMMENT).test(line)
}

/** Words, numbers and single signs, in order: what is left of code when white space is not. */
export function wordsOf(text: string): string[] {
  return text.match(/[\p{L}_$][\p{L}\p{N}_$]*|\d[\w.]*|[^\s\p{L}\p{N}_$]/gu) ?? []
}

/** Names only. */
export function namesOf(text: string): string[] {
  return text.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu) ?? []
}
