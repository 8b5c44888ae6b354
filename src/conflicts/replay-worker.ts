/** One thread of a replay: takes a merge, answers with its conflicted files and how the engine did on each. */
import { parentPort, workerData } from 'node:worker_threads'
import type { ConflictKind, FileOutcome, RungName } from './conflict.ts'
import { compare, type Verdict } from './compare.ts'
import { languageOf, extensionOf } from './languages.ts'
import { mergeFile } from './merge-file.ts'
import { replayConflicts, type PastConflict, type PastMerge } from './repository/history.ts'
import { openObjects } from './repository/objects.ts'
import { openShadow } from './repository/shadow.ts'

export type ReplayedFile = {
  readonly merge: string
  readonly time: number
  readonly path: string
  readonly kind: ConflictKind
  readonly language: string
  readonly outcome: FileOutcome['outcome'] | 'not-a-file-merge'
  readonly rung?: RungName
  readonly reason: string
  readonly verdict?: Verdict
  /** The result has syntax errors that the human's file has not. */
  readonly unparseable?: boolean
  /** Base, ours, theirs and the human's file exist. */
  readonly threeVersions: boolean
  readonly ms: number
}

export type ReplayedMerge = {
  readonly commit: string
  readonly files: readonly ReplayedFile[]
  /** Git could not merge it: missing objects, for example. */
  readonly problem?: string
}

const port = parentPort
if (port) {
  const { repository } = workerData as { repository: string }
  const shadow = await openShadow(repository, { keeps: false })
  const objects = openObjects(shadow)
  port.on('message', (merge: PastMerge | undefined) => {
    if (!merge) return void end()
    void one(merge).then((answer) => port.postMessage(answer))
  })
  const one = async (merge: PastMerge): Promise<ReplayedMerge> => {
    try {
      const conflicts = (await replayConflicts(shadow, objects, merge)) ?? []
      const files: ReplayedFile[] = []
      for (const conflict of conflicts) files.push(await replayFile(conflict))
      return { commit: merge.commit, files }
    } catch (error) {
      return {
        commit: merge.commit,
        files: [],
        problem: error instanceof Error ? error.message : String(error),
      }
    }
  }
  const end = async (): Promise<void> => {
    objects[Symbol.dispose]()
    await shadow[Symbol.asyncDispose]()
    const { closeParsers } = await import('./checks/index.ts')
    closeParsers()
    port.close()
  }
  port.postMessage('ready')
}

async function replayFile({
  merge,
  path,
  kind,
  base,
  ours,
  theirs,
  human,
}: PastConflict): Promise<ReplayedFile> {
  const facts = {
    merge: merge.commit,
    time: merge.time,
    path,
    kind,
    language: languageOf(path) ?? (extensionOf(path) || 'other'),
    threeVersions: Boolean(base && ours && theirs && human),
  }
  if (!ours || !theirs) return { ...facts, outcome: 'not-a-file-merge', reason: kind, ms: 0 }
  const started = performance.now()
  const versions = { path, base: base ?? Buffer.alloc(0), ours, theirs, baseless: !base }
  const outcome = await mergeFile(versions)
  const ms = performance.now() - started
  const told = {
    ...facts,
    outcome: outcome.outcome,
    ...(outcome.rung && { rung: outcome.rung }),
    reason: outcome.reason,
    ms,
  }
  if (outcome.outcome !== 'resolved' || !outcome.result || !human) return told
  const verdict = compare(outcome.result, human, [versions.base, ours, theirs])
  return { ...told, verdict, unparseable: await isBroken(path, outcome.result, human) }
}

/** Asked of another parser state than the one that judged the candidate, and only where the human's file is whole. */
async function isBroken(path: string, result: Buffer, human: Buffer): Promise<boolean> {
  const language = languageOf(path)
  if (extensionOf(path) === 'json') return !isJson(result) && isJson(human)
  if (!language) return false
  const { hasSyntaxErrors } = await import('./rungs/structural/parse.ts')
  return (
    (await hasSyntaxErrors(language, result.toString('utf8'))) &&
    !(await hasSyntaxErrors(language, human.toString('utf8')))
  )
}

function isJson(content: Buffer): boolean {
  try {
    JSON.parse(content.toString('utf8'))
    return true
  } catch {
    return false
  }
}
