/** What is checked: a candidate with its three versions as text, lined up once and parsed at most once each. */
import type { Candidate, Versions } from '../conflict.ts'
import { lineUp } from './four-way.ts'
import type { FourWay, Side } from './four-way.ts'
import { isGenerated, isProse, isTest, languageOf } from './language.ts'
import type { Language } from './language.ts'
import { parserOf } from './parsers.ts'
import type { Parsed } from './parsers.ts'

/** Reads files of one tree (the merged one, or a side's): how the checks look beyond one file. */
export type TreeReader = {
  read(path: string): Promise<Buffer | undefined>
  /** Paths of files with this extension (`.go`) that hold the word. At most 200. */
  search(word: string, extension: string): Promise<readonly string[]>
}

export type CheckOptions = {
  /** The merged tree and both sides', where there are any. */
  readonly trees?: { readonly result: TreeReader; readonly ours: TreeReader; readonly theirs: TreeReader }
  /** The side whose file was chosen whole on purpose (a policy, a person): the other side's losses are explained by that. */
  readonly whole?: Side
  /** Lines of nobody's outside clashes. By default blocked for the deterministic rungs and noted for the others. */
  readonly ownLines?: 'blocked' | 'noted'
  /** Runs semgrep, bandit and gosec where they are installed. They read one file and take seconds. Off by default. */
  readonly scanners?: boolean
  readonly signal?: AbortSignal
}

export type Version = 'base' | Side | 'result'

export type Subject = {
  readonly path: string
  readonly language: Language
  readonly isTest: boolean
  readonly isProse: boolean
  readonly isGenerated: boolean
  readonly candidate: Candidate
  readonly texts: Readonly<Record<Version, string>>
  readonly four: FourWay
  readonly options: CheckOptions
  parse(version: Version): Promise<Parsed>
}

export function createSubject(candidate: Candidate, versions: Versions, options: CheckOptions): Subject {
  const { path } = versions
  const texts = {
    base: versions.base.toString('utf8'),
    ours: versions.ours.toString('utf8'),
    theirs: versions.theirs.toString('utf8'),
    result: candidate.result.toString('utf8'),
  }
  const language = languageOf(path)
  const parsed = new Map<string, Promise<Parsed>>()
  return {
    path,
    language,
    isTest: isTest(path),
    isProse: isProse(path),
    isGenerated: isGenerated(path),
    candidate,
    texts,
    four: lineUp({ ...texts, base: versions.baseless ? null : texts.base }),
    options,
    parse(version) {
      // Versions with the same text share an answer: a candidate often is one side, whole.
      const known = parsed.get(texts[version])
      if (known) return known
      const parser = parserOf(language)
      const answer = parser
        ? parser(texts[version], path)
        : Promise.resolve<Parsed>({ kind: 'unread', reason: `no parser for ${path}` })
      parsed.set(texts[version], answer)
      return answer
    },
  }
}
