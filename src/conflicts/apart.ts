/**
 * Merging in a process of its own. Syntax trees of large files keep a processor busy for seconds: in the worker that
 * would stop the heartbeats of every job it runs. A hostile file that eats memory or time ends its own process only.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MergeCommitsRequest, MergeReport } from './merge-commits.ts'
import type { ApartAnswer } from './merge-process.ts'

export type ApartRequest = Pick<
  MergeCommitsRequest,
  'repository' | 'ours' | 'theirs' | 'noModel' | 'message' | 'author'
>

export type ApartOutcome =
  | { readonly kind: 'merged'; readonly report: MergeReport }
  /** The engine gave up: too much time or memory, or an error. Nothing was decided. */
  | { readonly kind: 'gave-up'; readonly problem: string }

const MEMORY_MB = 1024
const TIME_MS = 180_000
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' }

/** With the compiled sources of this process, where it keeps any: more than half of the time goes into them otherwise. */
function environment(): Record<string, string> {
  const compiled = getCompileCacheDir()
  return compiled === undefined ? ENVIRONMENT : { ...ENVIRONMENT, NODE_COMPILE_CACHE: dirname(compiled) }
}

export async function mergeCommitsApart(request: ApartRequest, signal: AbortSignal): Promise<ApartOutcome> {
  const child = fork(fileURLToPath(new URL('./merge-process.ts', import.meta.url)), [], {
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${MEMORY_MB}`],
    env: environment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const over = AbortSignal.any([signal, AbortSignal.timeout(TIME_MS)])
  const kill = (): void => void child.kill('SIGKILL')
  over.addEventListener('abort', kill, { once: true })
  let answer: ApartAnswer | undefined
  child.once('message', (message) => {
    answer = message as ApartAnswer
  })
  child.send(request)
  const [code, by] = (await once(child, 'exit')) as [number | null, string | null]
  over.removeEventListener('abort', kill)
  if (answer === undefined)
    return { kind: 'gave-up', problem: `the conflict engine ended without an answer (${by ?? code})` }
  return 'report' in answer
    ? { kind: 'merged', report: answer.report }
    : { kind: 'gave-up', problem: answer.problem }
}
