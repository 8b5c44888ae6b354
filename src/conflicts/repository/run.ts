/**
 * Starts git for the engine. The environment is built from nothing, arguments are an array, and nothing of a repository's
 * own configuration that could run a program is heard (see shadow.ts).
 */
import { spawn } from 'node:child_process'

export type GitResult = { readonly code: number; readonly stdout: Buffer; readonly stderr: string }

export const GIT_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  // A partial clone must answer "missing", not fetch behind our back.
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: 'none',
} as const

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Buffer
  readonly cwd?: string
  readonly signal?: AbortSignal | undefined
}

/** Runs git to its end. The exit code is part of the answer; only a git that cannot be started throws. */
export async function git(args: readonly string[], options: RunOptions = {}): Promise<GitResult> {
  const { promise, resolve, reject } = Promise.withResolvers<GitResult>()
  const child = spawn('git', ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', ...args], {
    cwd: options.cwd ?? '/',
    env: { ...GIT_ENV, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.signal && { signal: options.signal }),
  })
  const chunks: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-8192)
  })
  if (options.input !== undefined && child.stdin) {
    // A git that ends early closes the pipe; its exit code says why.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
  }
  child.on('error', reject)
  child.on('close', (code) => resolve({ code: code ?? 255, stdout: Buffer.concat(chunks), stderr }))
  return promise
}

/** Git ended in a way that is no expected answer. */
export class GitFailed extends Error {
  override readonly name = 'GitFailed'
  constructor(what: string, result: GitResult) {
    super(`git ${what} ended with ${result.code}: ${result.stderr.trim().slice(-600)}`)
  }
}
