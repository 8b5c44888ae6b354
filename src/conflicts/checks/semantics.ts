/** Layer 3. Nothing got lost, nothing stands twice, nothing hangs in the air, nothing else was touched. */
import { conservation } from './conservation.ts'
import type { Finding } from './finding.ts'
import { checkNames } from './names.ts'
import { checkSignatures } from './signatures.ts'
import type { Subject } from './subject.ts'

const DETERMINISTIC: ReadonlySet<string> = new Set(['trivial', 'format', 'structural'])

export type SemanticsReport = {
  readonly findings: readonly Finding[]
  readonly says: string
  readonly unread?: string
}

export async function checkSemantics(subject: Subject): Promise<SemanticsReport> {
  const { candidate, options } = subject
  if (subject.isGenerated)
    return {
      findings: [],
      says: '',
      unread: 'a generated file: only running its generator again can prove it',
    }
  const findings = [
    ...conservation(subject.four, {
      language: subject.language,
      prose: subject.isProse,
      ownLines: options.ownLines ?? (DETERMINISTIC.has(candidate.rung) ? 'blocked' : 'noted'),
      drops: candidate.drops ?? [],
      ...(options.whole && { whole: options.whole }),
    }),
    ...(await checkNames(subject)),
    ...(await checkSignatures(subject)),
  ]
  return { findings, says: 'every change of both sides is there, nothing else changed' }
}
