/**
 * Replays a repository's own past conflicted merges and compares with what people committed: `flowforge replay`.
 *
 * Merges are handed out one by one to threads, each with its own git processes and parsers, so memory depends on the
 * threads and not on the history. What is done is kept in a file; the same replay goes on where it was stopped.
 */
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { pastMerges, type PastMerge } from './repository/history.ts'
import { openShadow } from './repository/shadow.ts'
import { addToSummary, emptySummary, type ReplaySummary } from './replay-summary.ts'
import type { ReplayedFile, ReplayedMerge } from './replay-worker.ts'

export type ReplayRequest = {
  readonly repository: string
  readonly since?: string
  readonly until?: string
  /** At most so many conflicted merges, newest first. */
  readonly limit?: number
  /** Only these merge commits. */
  readonly merges?: readonly string[]
  readonly threads?: number
  readonly onFile?: (file: ReplayedFile) => void
  readonly onProgress?: (done: number, of: number) => void
  readonly signal?: AbortSignal
}

/** Raised when the engine answers differently: what an older one kept is not taken over. */
const ENGINE = '1'

export async function replay(request: ReplayRequest): Promise<ReplaySummary> {
  await using shadow = await openShadow(request.repository, { keeps: false })
  const wanted = request.merges && new Set(request.merges)
  const merges = (await pastMerges(shadow, request)).filter(
    ({ commit }) => !wanted || [...wanted].some((name) => commit.startsWith(name)),
  )
  const kept = await openKept(shadow.commonDir, request)
  const summary = emptySummary()
  let done = 0
  let conflicted = 0
  const limit = request.limit ?? Infinity
  const take = (merge: ReplayedMerge): void => {
    done++
    request.onProgress?.(done, merges.length)
    if (merge.problem !== undefined) summary.unreadable++
    summary.merges++
    if (merge.files.length === 0 || conflicted >= limit) return
    conflicted++
    summary.conflicted++
    for (const file of merge.files) {
      addToSummary(summary, file)
      request.onFile?.(file)
    }
  }
  const open: PastMerge[] = []
  for (const merge of merges) {
    const known = kept.known.get(merge.commit)
    if (known) take(known)
    else open.push(merge)
  }
  const threads = Math.max(1, Math.min(request.threads ?? availableParallelism(), open.length))
  const next = open.values()
  await Promise.all(
    Array.from({ length: open.length === 0 ? 0 : threads }, () =>
      runThread(request.repository, next, request.signal, async (merge) => {
        await kept.keep(merge)
        take(merge)
        return conflicted < limit
      }),
    ),
  )
  await kept.finish()
  return summary
}

async function runThread(
  repository: string,
  merges: Iterator<PastMerge>,
  signal: AbortSignal | undefined,
  onMerge: (merge: ReplayedMerge) => Promise<boolean>,
): Promise<void> {
  const worker = new Worker(new URL('./replay-worker.ts', import.meta.url), {
    workerData: { repository },
    resourceLimits: { maxOldGenerationSizeMb: 400 },
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const handOut = (): void => {
    const { value, done } = merges.next() as IteratorResult<PastMerge, undefined>
    worker.postMessage(done || signal?.aborted ? undefined : value)
  }
  worker.on('message', (message: ReplayedMerge | 'ready') => {
    if (message === 'ready') return handOut()
    onMerge(message).then((goesOn) => (goesOn ? handOut() : worker.postMessage(undefined)), reject)
  })
  worker.on('error', reject)
  worker.on('exit', () => resolve())
  await promise
  signal?.throwIfAborted()
}

/** What an earlier run of the same replay has done. It lives in git's own directory, where no commit can put it. */
async function openKept(commonDir: string, { since, until }: ReplayRequest) {
  const name = createHash('sha256')
    .update(JSON.stringify([ENGINE, since, until]))
    .digest('hex')
    .slice(0, 16)
  const folder = join(commonDir, 'flowforge')
  const file = join(folder, `replay-${name}.jsonl`)
  const known = new Map<string, ReplayedMerge>()
  const text = await readFile(file, 'utf8').catch(() => '')
  for (const line of text.split('\n')) {
    try {
      const merge = JSON.parse(line) as ReplayedMerge
      known.set(merge.commit, merge)
    } catch {
      // The last line of a run that was killed is half a line; an empty line is none.
    }
  }
  // A repository that cannot be written to is replayed all the same, from the beginning each time.
  const usable = await mkdir(folder, { recursive: true }).then(
    () => true,
    () => false,
  )
  return {
    known,
    keep: (merge: ReplayedMerge) =>
      usable ? appendFile(file, `${JSON.stringify(merge)}\n`).catch(() => undefined) : Promise.resolve(),
    finish: () => rm(file, { force: true }).catch(() => undefined),
  }
}
