/** Adds up a replay, and says it in words that a team can decide by. */
import type { ReplayedFile } from './replay-worker.ts'

export type Tally = {
  files: number
  resolved: number
  bytes: number
  equal: number
  wrong: number
  /** Of the wrong: the same lines in another order. */
  reordered: number
  /** Of the wrong: people added lines of their own, which nobody could have matched. */
  wrongHumanOwn: number
  unparseable: number
  declined: number
}

export type ReplaySummary = {
  merges: number
  conflicted: number
  unreadable: number
  /** Conflicts between three contents that people kept as a file: what the rates are of. */
  all: Tally
  otherConflicts: number
  byRung: Record<string, Tally>
  byLanguage: Record<string, Tally>
  byKind: Record<string, Tally>
  times: number[]
}

export const emptyTally = (): Tally => ({
  files: 0,
  resolved: 0,
  bytes: 0,
  equal: 0,
  wrong: 0,
  reordered: 0,
  wrongHumanOwn: 0,
  unparseable: 0,
  declined: 0,
})

export const emptySummary = (): ReplaySummary => ({
  merges: 0,
  conflicted: 0,
  unreadable: 0,
  all: emptyTally(),
  otherConflicts: 0,
  byRung: {},
  byLanguage: {},
  byKind: {},
  times: [],
})

export function addToSummary(summary: ReplaySummary, file: ReplayedFile): void {
  if (!file.threeVersions) {
    summary.otherConflicts++
    return
  }
  summary.times.push(file.ms)
  const tallies = [
    summary.all,
    (summary.byLanguage[file.language] ??= emptyTally()),
    (summary.byKind[file.kind] ??= emptyTally()),
    ...(file.rung ? [(summary.byRung[file.rung] ??= emptyTally())] : []),
  ]
  for (const tally of tallies) {
    tally.files++
    if (file.outcome === 'declined') tally.declined++
    if (file.outcome !== 'resolved' || !file.verdict) continue
    tally.resolved++
    if (file.verdict.bytes) tally.bytes++
    if (file.verdict.equal) tally.equal++
    else tally.wrong++
    if (!file.verdict.equal && file.verdict.reordered) tally.reordered++
    if (!file.verdict.equal && file.verdict.humanOwn) tally.wrongHumanOwn++
    if (file.unparseable) tally.unparseable++
  }
}

export function summaryJson(summary: ReplaySummary): object {
  const { times, ...rest } = summary
  return { ...rest, ms: quantiles(times) }
}

function quantiles(times: readonly number[]): { median: number; p95: number; max: number } {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10
  return { median: at(0.5), p95: at(0.95), max: at(1) }
}

export function summaryText(summary: ReplaySummary): string {
  const { all } = summary
  const share = (part: number, of: number): string => (of === 0 ? '-' : `${((100 * part) / of).toFixed(1)} %`)
  const lines = [
    `${summary.merges} merges replayed, ${summary.conflicted} of them conflicted${summary.unreadable > 0 ? `, ${summary.unreadable} could not be read (missing objects)` : ''}.`,
    `${all.files} conflicted files have three versions and were kept by people; ${summary.otherConflicts} other conflicts (deleted, renamed, binary …) are left to people.`,
    '',
    `Resolved without a model:   ${all.resolved} of ${all.files} (${share(all.resolved, all.files)})`,
    `  as people did:            ${all.equal} (${share(all.equal, all.resolved)} of the resolved; ${all.bytes} byte for byte)`,
    `  otherwise than people:    ${all.wrong} (${share(all.wrong, all.resolved)}); ${all.reordered} of these hold the same lines in another order, in ${all.wrongHumanOwn} people wrote lines of their own`,
    `  that do not parse:        ${all.unparseable}`,
    `Left with markers:          ${all.files - all.resolved - all.declined}`,
    `Declined untouched:         ${all.declined}`,
  ]
  const table = (title: string, tallies: Readonly<Record<string, Tally>>): void => {
    lines.push('', `${title.padEnd(22)}   files resolved as people otherwise`)
    const rows = Object.entries(tallies).toSorted(([, a], [, b]) => b.files - a.files)
    for (const [name, t] of rows.slice(0, 15))
      lines.push(
        `${name.padEnd(22)} ${String(t.files).padStart(7)} ${String(t.resolved).padStart(8)} ${String(t.equal).padStart(9)} ${String(t.wrong).padStart(9)}`,
      )
  }
  table('by rung', summary.byRung)
  table('by language', summary.byLanguage)
  table('by kind', summary.byKind)
  const { median, p95, max } = quantiles(summary.times)
  lines.push('', `Time for one file: median ${median} ms, 95 % below ${p95} ms, longest ${max} ms.`)
  return `${lines.join('\n')}\n`
}
