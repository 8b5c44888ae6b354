/** For the tests of this room: a candidate and its versions from plain text. */
import type { Candidate, RungName, Versions } from '../conflict.ts'
import { checkCandidate } from './index.ts'
import type { CheckOptions, CheckReport, Finding } from './index.ts'

export type Texts = {
  readonly path: string
  readonly base?: string
  readonly ours: string
  readonly theirs: string
  readonly result: string
  readonly rung?: RungName
  readonly drops?: Candidate['drops']
}

export function checksOf(texts: Texts, options: CheckOptions = {}): Promise<readonly CheckReport[]> {
  const versions: Versions = {
    base: Buffer.from(texts.base ?? ''),
    ours: Buffer.from(texts.ours),
    theirs: Buffer.from(texts.theirs),
    path: texts.path,
    baseless: texts.base === undefined,
  }
  const candidate: Candidate = {
    result: Buffer.from(texts.result),
    rung: texts.rung ?? 'claude',
    how: 'for a test',
    regions: [],
    ...(texts.drops && { drops: texts.drops }),
  }
  return checkCandidate(candidate, versions, options)
}

/** Names of the rules that block. */
export async function blockedBy(texts: Texts, options: CheckOptions = {}): Promise<readonly string[]> {
  const blocking = (await checksOf(texts, options)).flatMap(({ findings }) => findings.filter(isBlocking))
  return [...new Set(blocking.map(({ rule }) => rule))]
}

function isBlocking({ severity }: Finding): boolean {
  return severity === 'blocks'
}

/** Lines joined, with a line feed at the end. */
export function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
