/**
 * The words of the conflict engine.
 *
 *   version    one of the three contents a merge starts from: base (what both sides began with), ours, theirs
 *   side       ours or theirs
 *   region     a stretch of the file that both sides changed; what lies between regions merges by itself
 *   kind       what sort of conflict it is: content, modify/delete, mode … (the file as a whole)
 *   rung       one way to resolve a file; the ladder tries them from the surest to the most inventive
 *   candidate  what a rung proposes for the whole file; nothing is resolved before the checks agree
 *   check      one look at a candidate by one layer; `skipped` says that nothing was looked at and never counts as passed
 *   drop       something that a side added and the result does not hold, with the reason why that is right
 *   outcome    resolved (proven), conflicts (markers around what remains), declined (we do not even try, with the reason)
 */

/** The three contents of one file. An added file has an empty base, and `baseless` says so. */
export type Versions = {
  readonly base: Buffer
  readonly ours: Buffer
  readonly theirs: Buffer
  /** Path in the repository, forward slashes. Chooses language, format and policy. */
  readonly path: string
  readonly baseless?: boolean
}

export const CONFLICT_KINDS = [
  'content',
  'add/add',
  'modify/delete',
  'rename/delete',
  'rename/rename',
  'rename/add',
  'directory-rename',
  'file/directory',
  'mode',
  'symlink',
  'submodule',
  'lfs-pointer',
  'binary',
  'line-endings',
  'encoding',
  'too-large',
] as const
export type ConflictKind = (typeof CONFLICT_KINDS)[number]

/** How the two sides came together: it decides which side a version number is taken from. */
export type Operation = 'merge' | 'back-merge' | 'rebase' | 'cherry-pick'

export const RUNGS = ['remembered', 'trivial', 'format', 'structural', 'claude', 'fallback'] as const
export type RungName = (typeof RUNGS)[number]

/** What one rung did for one file, kept whether it helped or not. */
export type RungReport = {
  readonly rung: RungName
  readonly outcome: 'candidate' | 'partial' | 'stopped' | 'skipped' | 'rejected'
  /** Why it stopped, was skipped or was rejected; for a candidate, what it did. */
  readonly reason: string
  readonly ms: number
}

/** A stretch of the file that both sides changed. Lines count from 1 and `to` is inclusive; an empty stretch has to = from - 1. */
export type Region = {
  readonly base: LineRange
  readonly ours: LineRange
  readonly theirs: LineRange
  readonly resolvedBy?: RungName
  readonly reason: string
}
export type LineRange = { readonly from: number; readonly to: number }

/** Something a side added that is not in the result on purpose. */
export type Drop = { readonly side: 'ours' | 'theirs'; readonly what: string; readonly reason: string }

/** What a rung proposes: the whole file. */
export type Candidate = {
  readonly result: Buffer
  readonly rung: RungName
  /** One sentence about how it came about. */
  readonly how: string
  readonly regions: readonly Region[]
  readonly drops?: readonly Drop[]
  /** 0 to 1, only where a model gave it. */
  readonly confidence?: number
}

export const LAYERS = ['syntax', 'security', 'semantics', 'tests'] as const
export type Layer = (typeof LAYERS)[number]

export type Check = {
  readonly layer: Layer
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly reason: string
  readonly ms: number
}

/** What is said about one file in the end. */
export type FileOutcome = {
  readonly outcome: 'resolved' | 'conflicts' | 'declined'
  readonly path: string
  readonly kind: ConflictKind
  /** Resolved: the merged file. Conflicts: with diff3 markers. Declined: absent when no text could be made. */
  readonly result?: Buffer
  /** The rung that resolved it. */
  readonly rung?: RungName
  readonly rungs: readonly RungReport[]
  readonly regions: readonly Region[]
  readonly checks: readonly Check[]
  /** One sentence for people: why resolved, why not. */
  readonly reason: string
}
