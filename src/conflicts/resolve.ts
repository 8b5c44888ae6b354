/** The story of one conflicted file: look what it is, climb the ladder, let the checks judge, say what came out. */
import { classifyContent } from './classify.ts'
import type {
  Candidate,
  Check,
  ConflictKind,
  FileOutcome,
  Operation,
  RungName,
  RungReport,
  Versions,
} from './conflict.ts'
import { rungsFor } from './ladder.ts'
import { regionsOf } from './regions.ts'
import type { Resolutions } from './resolutions.ts'
import { mergeLines } from './rungs/trivial.ts'
import { toText, type MergeText } from './text/encoding.ts'
import { clashSize, settledText, withMarkers, type Piece } from './text/pieces.ts'

export type CheckFile = (candidate: Candidate, versions: Versions) => Promise<readonly Check[]>

export type ResolveOptions = {
  readonly operation?: Operation
  readonly check?: CheckFile
  /** Names in the conflict markers. */
  readonly names?: { readonly base: string; readonly ours: string; readonly theirs: string }
  readonly rungs?: readonly RungName[]
  /** What was resolved before. */
  readonly resolutions?: Resolutions
}

export async function resolveFile(versions: Versions, options: ResolveOptions = {}): Promise<FileOutcome> {
  const kind = classifyContent(versions)
  const declined = whyDeclined(kind)
  if (declined !== undefined) return decline(versions, kind, declined)

  const text = toText(versions)
  const reports: RungReport[] = []
  const remembered = await recall(versions, { text, kind, options, reports })
  if (remembered) return remembered
  let best: readonly Piece[] = [{ base: text.base, ours: text.ours, theirs: text.theirs }]
  let rejected: readonly Check[] = []
  const untouched = oneSideUntouched(versions)
  for (const rung of rungsFor(options.rungs)) {
    const started = performance.now()
    const report = (outcome: RungReport['outcome'], reason: string): void => {
      reports.push({ rung: rung.name, outcome, reason, ms: performance.now() - started })
    }
    const answer = await rung.climb(text, { operation: options.operation ?? 'merge' })
    if (answer.kind === 'declined') {
      report('stopped', answer.reason)
      const plain = withMarkers(mergeLines(text, { indentationMatters: true, plain: true }), options.names)
      return { ...decline(versions, kind, answer.reason), rungs: reports, result: text.encode(plain) }
    }
    if (answer.kind === 'stopped') {
      report('stopped', answer.reason)
      continue
    }
    const merged = untouched ? '' : settledText(answer.pieces)
    if (merged === undefined) {
      report('partial', answer.how)
      if (clashSize(answer.pieces) < clashSize(best)) best = answer.pieces
      continue
    }
    const candidate: Candidate = {
      result: untouched ?? text.encode(merged),
      rung: rung.name,
      how: answer.how,
      regions: regionsOf(text, rung.name, answer.how),
      ...(answer.drops && { drops: answer.drops }),
    }
    const checks = (await options.check?.(candidate, versions)) ?? []
    const failed = checks.find(({ outcome }) => outcome === 'failed')
    if (failed) {
      report('rejected', `${failed.layer}: ${failed.reason}`)
      rejected = checks
      continue
    }
    report('candidate', answer.how)
    return {
      outcome: 'resolved',
      path: versions.path,
      kind,
      result: candidate.result,
      rung: rung.name,
      rungs: reports,
      regions: candidate.regions,
      checks,
      reason: answer.how,
    }
  }
  return conflicts({ versions, kind, text, best, reports, rejected, options })
}

/** The first rung: what was accepted for this very conflict, if it still passes the checks. */
async function recall(
  versions: Versions,
  {
    text,
    kind,
    options,
    reports,
  }: { text: MergeText; kind: ConflictKind; options: ResolveOptions; reports: RungReport[] },
): Promise<FileOutcome | undefined> {
  const started = performance.now()
  const result = await options.resolutions?.find(versions)
  if (!result) return undefined
  const how = 'the same conflict was resolved before'
  const candidate: Candidate = {
    result,
    rung: 'remembered',
    how,
    regions: regionsOf(text, 'remembered', how),
  }
  const checks = (await options.check?.(candidate, versions)) ?? []
  const failed = checks.find(({ outcome }) => outcome === 'failed')
  const reason = failed ? `${failed.layer}: ${failed.reason}` : how
  reports.push({
    rung: 'remembered',
    outcome: failed ? 'rejected' : 'candidate',
    reason,
    ms: performance.now() - started,
  })
  if (failed) return undefined
  const { path } = versions
  return {
    outcome: 'resolved',
    path,
    kind,
    result,
    rung: 'remembered',
    rungs: reports,
    regions: candidate.regions,
    checks,
    reason,
  }
}

/** Byte for byte the same as base, or as the other side: then there is nothing to merge, line endings included. */
function oneSideUntouched({ base, ours, theirs, baseless }: Versions): Buffer | undefined {
  if (ours.equals(theirs)) return ours
  if (baseless) return undefined
  if (ours.equals(base)) return theirs
  return theirs.equals(base) ? ours : undefined
}

function conflicts(left: {
  versions: Versions
  kind: ConflictKind
  text: MergeText
  best: readonly Piece[]
  reports: readonly RungReport[]
  rejected: readonly Check[]
  options: ResolveOptions
}): FileOutcome {
  const last = left.reports.findLast(({ outcome }) => outcome === 'rejected' || outcome === 'partial')
  const reason = last?.reason ?? 'no rung could merge it'
  return {
    outcome: 'conflicts',
    path: left.versions.path,
    kind: left.kind,
    result: left.text.encode(withMarkers(left.best, left.options.names)),
    rungs: left.reports,
    regions: regionsOf(left.text, undefined, reason),
    checks: left.rejected,
    reason,
  }
}

function decline(versions: Versions, kind: ConflictKind, reason: string): FileOutcome {
  return { outcome: 'declined', path: versions.path, kind, rungs: [], regions: [], checks: [], reason }
}

function whyDeclined(kind: ConflictKind): string | undefined {
  switch (kind) {
    case 'too-large':
      return 'larger than 8 MiB: not merged as text'
    case 'binary':
      return 'binary content: choose a side'
    case 'lfs-pointer':
      return 'a Git LFS pointer: merging it as text would name a file that does not exist'
    case 'encoding':
      return 'the versions have different encodings'
    default:
      return undefined
  }
}
