/** A repository's own past merges: which of them conflicted, with what, and what people committed. */
import { classifyPath } from '../classify.ts'
import type { ConflictKind } from '../conflict.ts'
import { mergeTree, decodePath, type Stage, type UnmergedPath } from './merge-tree.ts'
import type { Objects } from './objects.ts'
import { mustRun, type Shadow } from './shadow.ts'

export type PastMerge = {
  readonly commit: string
  readonly ours: string
  readonly theirs: string
  /** Commit time, seconds since 1970. */
  readonly time: number
}

export type PastConflict = {
  readonly merge: PastMerge
  readonly path: string
  readonly kind: ConflictKind
  readonly base: Buffer | undefined
  readonly ours: Buffer | undefined
  readonly theirs: Buffer | undefined
  /** What people committed; undefined when they deleted the file. */
  readonly human: Buffer | undefined
}

export type Span = { readonly since?: string; readonly until?: string; readonly limit?: number }

const MAX_BYTES = 50 * 1024 ** 2

/** Two-parent merges, newest first. */
export async function pastMerges(shadow: Shadow, span: Span): Promise<PastMerge[]> {
  const refs = (await shadow.ask(['for-each-ref', '--format=%(objectname)'])).stdout.toString('utf8')
  const head = (await shadow.ask(['rev-parse', '--verify', '--quiet', 'HEAD'])).stdout.toString('utf8')
  const limits = [
    ...(span.since === undefined ? [] : [`--since=${span.since}`]),
    ...(span.until === undefined ? [] : [`--until=${span.until}`]),
  ]
  const output = await mustRun(
    shadow,
    ['rev-list', '--min-parents=2', '--max-parents=2', '--timestamp', '--parents', ...limits, '--stdin'],
    { input: [...new Set(`${refs}\n${head}`.split('\n').filter(Boolean))].join('\n') },
  )
  return output
    .toString('latin1')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [time = '0', commit = '', ours = '', theirs = ''] = line.split(' ')
      return { commit, ours, theirs, time: Number(time) }
    })
}

/** Replays one merge. Undefined when it was clean or cannot be merged at all. */
export async function replayConflicts(
  shadow: Shadow,
  objects: Objects,
  merge: PastMerge,
  signal?: AbortSignal,
): Promise<readonly PastConflict[] | undefined> {
  const result = await mergeTree(shadow, merge.ours, merge.theirs, signal)
  if (result.kind === 'unrelated' || result.unmerged.length === 0) return undefined
  const human = await committed(shadow, merge.commit, result.unmerged)
  const read = async (stage: Stage | undefined): Promise<Buffer | undefined> => {
    if (!stage || stage.mode === '160000') return undefined
    const content = await objects.read(stage.id, MAX_BYTES)
    return content === 'too-large' ? undefined : content
  }
  const conflicts: PastConflict[] = []
  for (const unmerged of result.unmerged) {
    const base = await read(unmerged.base)
    const ours = await read(unmerged.ours)
    const theirs = await read(unmerged.theirs)
    const kind = classifyPath({ unmerged, messages: result.messages, base, ours, theirs })
    const entry = human.get(unmerged.path)
    conflicts.push({ merge, path: unmerged.path, kind, base, ours, theirs, human: await read(entry) })
  }
  return conflicts
}

async function committed(
  shadow: Shadow,
  commit: string,
  unmerged: readonly UnmergedPath[],
): Promise<Map<string, Stage>> {
  const found = new Map<string, Stage>()
  for (let i = 0; i < unmerged.length; i += 500) {
    const paths = unmerged.slice(i, i + 500).map(({ path }) => path)
    const output = await mustRun(shadow, ['ls-tree', '-z', '-r', commit, '--', ...paths], {
      env: { GIT_LITERAL_PATHSPECS: '1' },
    })
    for (const record of output.toString('latin1').split('\0')) {
      const [, mode, id, path] = /^(\d+) \w+ ([0-9a-f]+)\t([\s\S]+)$/.exec(record) ?? []
      if (mode && id && path) found.set(decodePath(path), { mode, id })
    }
  }
  return found
}
