/**
 * Merges two commits of any repository in its object database: `flowforge merge`. No work tree is touched, and no ref
 * unless one is named; then it is moved only if it still has the value it had at the start.
 */
import { refuse } from '#lib/errors.ts'
import { classifyPath } from './classify.ts'
import type { CheckFile } from './resolve.ts'
import type { Check, ConflictKind, FileOutcome } from './conflict.ts'
import { mergeFile } from './merge-file.ts'
import { createFileResolutions } from './adapters/file.ts'
import type { Resolutions } from './resolutions.ts'
import { mergedByBoth } from './repository/both-changed.ts'
import { commitTree, moveRef, readMovableRef, writeTree, type NewFile } from './repository/commit.ts'
import { mergeTree, type TreeMerge, type UnmergedPath } from './repository/merge-tree.ts'
import { openObjects, type Objects } from './repository/objects.ts'
import { openShadow, resolveCommit, type Shadow } from './repository/shadow.ts'

export type MergeCommitsRequest = {
  readonly repository: string
  readonly ours: string
  readonly theirs: string
  /** The ref to move to the merge commit. Absent: no ref is written. */
  readonly update?: string
  readonly noModel?: boolean
  readonly message?: string
  readonly author?: { readonly name: string; readonly email: string }
  /** Looks at the merged tree as a whole: the project's own tests, checks across files. */
  readonly checkTree?: (tree: string, shadow: Shadow) => Promise<readonly Check[]>
  readonly checkFile?: CheckFile
  readonly signal?: AbortSignal
  /** What was resolved before. Default: what the repository's own git directory remembers. */
  readonly resolutions?: Resolutions
}

export type MergeReport = {
  readonly outcome: 'resolved' | 'conflicts'
  readonly ours: string
  readonly theirs: string
  /** Absent when something is left. */
  readonly tree?: string
  readonly commit?: string
  /** Every path that conflicted, and every path that git merged from both sides and the checks did not like. */
  readonly files: readonly FileOutcome[]
  /** Checks of the whole tree. */
  readonly checks: readonly Check[]
  readonly updated?: string
}

const MAX_BYTES = 50 * 1024 ** 2

export async function mergeCommits(request: MergeCommitsRequest): Promise<MergeReport> {
  await using shadow = await openShadow(request.repository, { keeps: true })
  using objects = openObjects(shadow)
  const ours = await resolveCommit(shadow, request.ours)
  const theirs = await resolveCommit(shadow, request.theirs)
  const ref = request.update === undefined ? undefined : await readMovableRef(shadow, request.update)
  const merge = await mergeTree(shadow, ours, theirs, request.signal)
  if (merge.kind === 'unrelated')
    throw refuse('invalid_request', {
      problem: `${request.ours} and ${request.theirs} have no common history.`,
    })

  const resolutions = request.resolutions ?? createFileResolutions(shadow.commonDir)
  const files: FileOutcome[] = []
  const written: NewFile[] = []
  for (const unmerged of merge.unmerged) {
    request.signal?.throwIfAborted()
    const outcome = await resolvePath(unmerged, merge, { objects, resolutions })
    files.push(outcome)
    if (outcome.outcome === 'resolved' && outcome.result)
      written.push({ rawPath: unmerged.rawPath, mode: modeOf(unmerged), content: outcome.result })
  }
  files.push(...(await doubtful(shadow, objects, { ours, theirs, merge })))
  const report = { ours, theirs, files, checks: [] }
  if (files.some(({ outcome }) => outcome !== 'resolved') || written.length < merge.unmerged.length)
    return { ...report, outcome: 'conflicts' }

  const tree = await writeTree(shadow, merge.tree, written)
  const checks = (await request.checkTree?.(tree, shadow)) ?? []
  if (checks.some(({ outcome }) => outcome === 'failed'))
    return { ...report, outcome: 'conflicts', tree, checks }
  const commit = await commitTree(shadow, {
    tree,
    parents: [ours, theirs],
    message: request.message ?? `Merge ${request.theirs} into ${request.ours}`,
    author: request.author ?? { name: 'FlowForge', email: 'flowforge@localhost' },
  })
  if (ref) await moveRef(shadow, ref, commit)
  return { ...report, outcome: 'resolved', tree, commit, checks, ...(ref && { updated: ref.name }) }
}

async function resolvePath(
  unmerged: UnmergedPath,
  merge: TreeMerge & { kind: 'merged' },
  { objects, resolutions }: { objects: Objects; resolutions: Resolutions },
): Promise<FileOutcome> {
  const { path } = unmerged
  const read = async (stage: UnmergedPath['base']): Promise<Buffer | 'too-large' | undefined> =>
    stage && stage.mode !== '160000' ? objects.read(stage.id, MAX_BYTES) : undefined
  const declined = (kind: ConflictKind, reason: string): FileOutcome => ({
    outcome: 'declined',
    path,
    kind,
    rungs: [],
    regions: [],
    checks: [],
    reason,
  })
  const base = await read(unmerged.base)
  const ours = await read(unmerged.ours)
  const theirs = await read(unmerged.theirs)
  if (base === 'too-large' || ours === 'too-large' || theirs === 'too-large')
    return declined('too-large', 'larger than 50 MiB: not read')
  const kind = classifyPath({ unmerged, messages: merge.messages, base, ours, theirs })
  const why = WHY_NOT[kind]
  if (why !== undefined) return declined(kind, why)
  if (!ours || !theirs || (unmerged.base && !base))
    return declined(kind, 'an object is missing (shallow or partial clone)')
  const outcome = await mergeFile(
    {
      path,
      base: base ?? Buffer.alloc(0),
      ours,
      theirs,
      baseless: base === undefined,
    },
    { resolutions },
  )
  return { ...outcome, kind }
}

/** What no text merge can answer. Never a silent choice. */
const WHY_NOT: Readonly<Partial<Record<ConflictKind, string>>> = {
  'modify/delete': 'one side deleted what the other side changed',
  'rename/delete': 'one side deleted what the other side renamed',
  'rename/rename': 'the sides gave the file different names',
  'rename/add': 'one side renamed a file to where the other added one',
  'directory-rename': 'one side added to a directory that the other side renamed',
  'file/directory': 'a file on one side is a directory on the other',
  mode: 'the sides gave the file different modes',
  symlink: 'a symbolic link: its target cannot be merged',
  submodule: 'a submodule: which commit is right cannot be told from here',
}

function modeOf({ base, ours, theirs }: UnmergedPath): string {
  const [b, o = '100644', t = '100644'] = [base?.mode, ours?.mode, theirs?.mode]
  return o === b ? t : o
}

/** Files that git merged from both sides without a conflict: where breakage hides. Only those that fail are named. */
async function doubtful(
  shadow: Shadow,
  objects: Objects,
  { ours, theirs, merge }: { ours: string; theirs: string; merge: TreeMerge & { kind: 'merged' } },
): Promise<FileOutcome[]> {
  const unmerged = new Set(merge.unmerged.map(({ path }) => path))
  const found: FileOutcome[] = []
  const { checkCandidate } = await import('./checks/index.ts')
  for (const file of await mergedByBoth(shadow, { ours, theirs, tree: merge.tree })) {
    if (unmerged.has(file.path)) continue
    const [base, left, right, result] = await Promise.all(
      [file.base, file.ours, file.theirs, file.result].map((id) => objects.read(id, MAX_BYTES)),
    )
    if (
      !Buffer.isBuffer(base) ||
      !Buffer.isBuffer(left) ||
      !Buffer.isBuffer(right) ||
      !Buffer.isBuffer(result)
    )
      continue
    const candidate = {
      result,
      rung: 'trivial',
      how: 'git merged it without a conflict',
      regions: [],
    } as const
    const checks = await checkCandidate(candidate, { path: file.path, base, ours: left, theirs: right })
    const failed = checks.find(({ outcome }) => outcome === 'failed')
    if (!failed) continue
    found.push({
      outcome: 'declined',
      path: file.path,
      kind: 'content',
      result,
      rungs: [{ rung: 'trivial', outcome: 'rejected', reason: failed.reason, ms: failed.ms }],
      regions: [],
      checks: checks.map(({ layer, outcome, reason, ms }) => ({ layer, outcome, reason, ms })),
      reason: `git merged it without a conflict, but ${failed.layer}: ${failed.reason}`,
    })
  }
  return found
}
