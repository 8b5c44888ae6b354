/**
 * The checks that every candidate passes, whichever rung made it: syntax, security, semantics. They read; they never run
 * what they read. The fourth layer, the project's own tests, runs code and is apart (tests.ts).
 */
import type { Candidate, Check, Layer, Versions } from '../conflict.ts'
import type { Finding } from './finding.ts'
import { checkSecurity } from './security.ts'
import { checkSemantics } from './semantics.ts'
import { createSubject } from './subject.ts'
import type { CheckOptions } from './subject.ts'
import { checkSyntax } from './syntax.ts'

export type { Finding } from './finding.ts'
export type { CheckOptions, TreeReader } from './subject.ts'
export { closeParsers } from './parsers.ts'
export { detectProject, givenCheck, type ProjectCommand } from './detect-tests.ts'
export { runTests, type TestRequest } from './tests.ts'

/** A check with what its rules saw. */
export type CheckReport = Check & { readonly findings: readonly Finding[] }

const LARGEST_BYTES = 5 << 20

/** Looks at one candidate with layers 1 to 3, in order. The fourth is not part of the answer. */
export async function checkCandidate(
  candidate: Candidate,
  versions: Versions,
  options: CheckOptions = {},
): Promise<readonly CheckReport[]> {
  const contents = [versions.base, versions.ours, versions.theirs, candidate.result]
  if (contents.some((content) => content.length > LARGEST_BYTES || content.includes(0)))
    return (['syntax', 'security', 'semantics'] as const).map((layer) => ({
      layer,
      outcome: 'skipped',
      reason: contents.some((content) => content.includes(0)) ? 'it is binary' : 'it is larger than 5 MB',
      ms: 0,
      findings: [],
    }))
  const subject = createSubject(candidate, versions, options)
  const syntax = await timed('syntax', async () => {
    const { findings, says, unread } = await checkSyntax(subject)
    return { findings, says, ...(unread !== undefined && { unread }) }
  })
  const security = await timed('security', async () => {
    const own = await checkSecurity(subject)
    const scanned = options.scanners
      ? await (await import('./scanners.ts')).runScanners(subject)
      : { findings: [], skipped: [] }
    const novel = subject.four.novel.length
    const what = novel === 0 ? 'every line is of one of the versions' : `${novel} lines of nobody's, scanned`
    return { findings: [...own, ...scanned.findings], says: [what, ...scanned.skipped].join('; ') }
  })
  const semantics = await timed('semantics', () => checkSemantics(subject))
  return [syntax, security, semantics]
}

type Seen = { readonly findings: readonly Finding[]; readonly says: string; readonly unread?: string }

async function timed(layer: Layer, look: () => Promise<Seen>): Promise<CheckReport> {
  const start = performance.now()
  const { findings, says, unread } = await look()
  const ms = performance.now() - start
  const blocking = findings.filter(({ severity }) => severity === 'blocks')
  if (blocking.length > 0) return { layer, outcome: 'failed', reason: sentence(blocking), ms, findings }
  if (unread !== undefined)
    return { layer, outcome: 'skipped', reason: says ? `${unread}; ${says}` : unread, ms, findings }
  const notes = findings.length > 0 ? `; noted: ${sentence(findings)}` : ''
  return { layer, outcome: 'passed', reason: `${says}${notes}`, ms, findings }
}

function sentence(findings: readonly Finding[]): string {
  const shown = findings
    .slice(0, 3)
    .map(({ says, line }) => (line === undefined ? says : `line ${line}: ${says}`))
  const more = findings.length - shown.length
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}
