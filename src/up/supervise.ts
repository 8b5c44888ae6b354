/** Keeps one role's process running: restarts it with back-off, on the same port, with its log in a file. */
import { fork, type ChildProcess } from 'node:child_process'
import { createWriteStream, mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { environmentForRole, type Config } from '#config'
import { sleep } from '#lib/clock.ts'
import { Refusal, REFUSALS, type RefusalCode } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import type { RoleStart } from '../app.ts'
import { noteRole } from './left-roles.ts'
import type { RoleNews } from './role.ts'
import type { UpNews } from './up.ts'

export type SupervisedRole = AsyncDisposable & {
  /** The first time it is ready: its URL, if it has one. Rejects when its first start fails. */
  readonly ready: Promise<string | null>
  pid(): number | undefined
}

const LOG_LIMIT_BYTES = 32 * 1024 * 1024
const END_WITHIN_MS = 35_000

export function superviseRole(options: {
  readonly config: Config
  readonly environment: Readonly<Record<string, string>>
  readonly start: RoleStart
  readonly logDirectory: string | undefined
  readonly log: Log
  readonly onNews: ((news: UpNews) => void) | undefined
}): SupervisedRole {
  const { start, log } = options
  const { promise: ready, resolve, reject } = Promise.withResolvers<string | null>()
  const ending = new AbortController()
  let child: ChildProcess | undefined
  let wasReady = false
  const ports: Record<string, string> = {}
  ready.catch(() => undefined)

  const running = (async () => {
    for (let failed = 0; !ending.signal.aborted;) {
      const startedAt = performance.now()
      const { exit, refusal } = await runOnce()
      if (ending.signal.aborted) return
      if (!wasReady)
        return reject(refusal ?? new Error(`the ${start.role} ended at its start (${exit}); see its log`))
      failed = performance.now() - startedAt > 30_000 ? 0 : failed + 1
      const delayMs = Math.min(50 * 2 ** failed, 10_000)
      log.error({ role: start.role, exit, delayMs }, 'role.restarting')
      options.onNews?.({ event: 'restarted', role: start.role, exit, delayMs })
      await sleep(delayMs, ending.signal)
    }
  })()

  async function runOnce(): Promise<{ readonly exit: string; readonly refusal: Error | undefined }> {
    let refusal: Error | undefined
    const output = options.logDirectory === undefined ? 'inherit' : 'pipe'
    const one = fork(join(import.meta.dirname, 'role.ts'), [], {
      env: environmentForRole(start.role, {
        // The sources run as they are: what was stripped and compiled once is kept, so that a restart takes less time.
        NODE_COMPILE_CACHE: join(options.config.FLOWFORGE_HOME, 'compiled'),
        ...options.environment,
        ...ports,
      }) as NodeJS.ProcessEnv,
      stdio: ['ignore', 'ignore', output, 'ipc'],
      // A terminal's Ctrl-C goes to the whole group; `up` ends its roles itself, in order.
      detached: true,
    })
    child = one
    if (one.pid !== undefined) noteRole(options.config.FLOWFORGE_HOME, start.role, one.pid)
    if (options.logDirectory !== undefined) one.stderr?.pipe(openLogFile(options.logDirectory, start.role))
    one.on('message', (news: RoleNews) => {
      if (news.event === 'failed') {
        refusal =
          news.code !== 'internal' && news.code in REFUSALS
            ? new KnownRefusal(news.code as RefusalCode, news.message)
            : new Error(news.message)
        return
      }
      wasReady = true
      keepPort(news.url)
      resolve(news.url)
    })
    one.send(start)
    return new Promise((done) => {
      one.once('exit', (code, signal) => done({ exit: signal ?? String(code), refusal }))
      one.once('error', (error) => done({ exit: error.message, refusal: error }))
    })
  }

  /** Port 0 means any: but a restarted role must be found where it was. */
  function keepPort(url: string | null): void {
    if (url === null) return
    ports[start.role === 'api' ? 'FLOWFORGE_PORT' : 'FLOWFORGE_GATEWAY_PORT'] = new URL(url).port
  }

  return {
    ready,
    pid: () => child?.pid,
    async [Symbol.asyncDispose]() {
      ending.abort()
      if (child && child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        const killer = setTimeout(() => child?.kill('SIGKILL'), END_WITHIN_MS)
        await running
        clearTimeout(killer)
      }
      await running
    },
  }
}

/** A refusal that was made in the child: its sentence is complete already. */
class KnownRefusal extends Refusal {
  constructor(code: RefusalCode, message: string) {
    super(code, {})
    this.message = message
  }
}

function openLogFile(directory: string, role: string) {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, `${role}.log`)
  try {
    if (statSync(file).size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`)
  } catch {
    // There is none yet.
  }
  return createWriteStream(file, { flags: 'a', mode: 0o600 })
}
