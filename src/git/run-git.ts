/**
 * The one place that starts git on the host.
 *
 * The environment is built from nothing and every setting that could make git run a program, follow a link or ask a
 * question is pinned on the command line, where it wins over any configuration file. Arguments are an array; no shell.
 */
import { spawn } from 'node:child_process'

export type GitCall = {
  readonly args: readonly string[]
  /** The bare repository. Absent for commands that need none. */
  readonly repository?: string
  readonly env?: Readonly<Record<string, string>>
  /** More settings, NAME=VALUE; they win over the pinned ones. */
  readonly config?: readonly string[]
  /** Text for standard input, or an open file that is read from its current position. */
  readonly input?: string | { readonly fd: number }
  /** Standard output goes to this open file and not to the answer. */
  readonly outputFd?: number
  /** More output than this ends the process: `ended` is 'too-much'. */
  readonly maxOutputBytes?: number
  /** So long without a byte of output or progress ends the process: `ended` is 'silent'. */
  readonly silenceMs?: number
  /** So long in all ends the process, whatever it says meanwhile: `ended` is 'too-long'. */
  readonly limitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Replaces secrets before text of git goes anywhere. */
  readonly redact?: ((text: string) => string) | undefined
}

export type GitAnswer = {
  readonly code: number
  readonly stdout: Buffer
  /** The last 16 KiB, redacted, without terminal control characters. */
  readonly stderr: string
  readonly ended?: 'silent' | 'too-much' | 'too-long'
}

/** Git answered in a way that is neither success nor an expected outcome. */
export class GitFailure extends Error {
  override readonly name = 'GitFailure'
  readonly stderr: string

  constructor(command: string, answer: GitAnswer) {
    const how = answer.ended === undefined ? `code ${answer.code}` : answer.ended
    super(`git ${command} ended with ${how}: ${answer.stderr.trim().slice(-1000)}`)
    this.stderr = answer.stderr
  }
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin'
const SILENCE_MS = 120_000
const STDERR_BYTES = 16 * 1024
const OUTPUT_BYTES = 64 * 1024 ** 2

/** Old projects carry these harmless flaws in commits made by tools of their day; refusing them would refuse the project. */
const OLD_FLAWS = [
  'badDate',
  'badDateOverflow',
  'badEmail',
  'badTimezone',
  'missingEmail',
  'missingNameBeforeEmail',
  'missingSpaceBeforeDate',
  'missingSpaceBeforeEmail',
  'zeroPaddedDate',
  'zeroPaddedFilemode',
]

const PINNED = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.askPass=',
  'core.sshCommand=false',
  'core.alternateRefsCommand=true',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.logAllRefUpdates=false',
  // The mirror is a cache; what must survive is stored elsewhere. An fsync costs 5 to 20 ms a pack.
  'core.fsync=none',
  'credential.helper=',
  'protocol.allow=never',
  'protocol.https.allow=user',
  'protocol.ssh.allow=user',
  'protocol.file.allow=user',
  'http.followRedirects=false',
  'http.sslVerify=true',
  'http.lowSpeedLimit=100',
  'http.lowSpeedTime=120',
  'transfer.fsckObjects=true',
  'transfer.credentialsInUrl=die',
  ...OLD_FLAWS.map((flaw) => `fetch.fsck.${flaw}=ignore`),
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'push.recurseSubmodules=no',
  'push.gpgSign=false',
  'commit.gpgSign=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'fetch.writeCommitGraph=false',
  'fetch.unpackLimit=100',
  'pack.threads=2',
  'core.bigFileThreshold=64m',
  'i18n.commitEncoding=utf-8',
  'merge.renameLimit=7000',
  'advice.detachedHead=false',
].flatMap((setting) => ['-c', setting])

const BASE_ENV = {
  PATH,
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_NO_LAZY_FETCH: '1',
  // Nothing may be reached unless a remote (remote.ts) says so.
  GIT_ALLOW_PROTOCOL: 'none',
} as const

/** Runs git to its end. Throws when the signal is aborted; everything else is in the answer. */
export async function runGit(call: GitCall): Promise<GitAnswer> {
  call.signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>()
  const settings = (call.config ?? []).flatMap((setting) => ['-c', setting])
  const where = call.repository === undefined ? [] : [`--git-dir=${call.repository}`]
  const child = spawn('git', [...PINNED, ...settings, ...where, ...call.args], {
    cwd: '/',
    env: { ...BASE_ENV, ...call.env },
    // A group of its own: helpers (ssh, git-remote-https) must end with it.
    detached: true,
    stdio: [
      typeof call.input === 'object' ? call.input.fd : call.input === undefined ? 'ignore' : 'pipe',
      call.outputFd ?? 'pipe',
      'pipe',
    ],
  })
  const { pid } = child
  const end = () => {
    if (pid === undefined || child.exitCode !== null) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It ended between the check and the kill.
    }
  }

  let ended: GitAnswer['ended']
  const silence = setTimeout(() => {
    ended = 'silent'
    end()
  }, call.silenceMs ?? SILENCE_MS)
  const limit =
    call.limitMs === undefined
      ? undefined
      : setTimeout(() => {
          ended = 'too-long'
          end()
        }, call.limitMs)
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    silence.refresh()
    bytes += chunk.length
    if (bytes <= (call.maxOutputBytes ?? OUTPUT_BYTES)) return void chunks.push(chunk)
    ended ??= 'too-much'
    end()
  })
  let stderr = Buffer.alloc(0)
  child.stderr?.on('data', (chunk: Buffer) => {
    silence.refresh()
    stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_BYTES)
  })
  if (typeof call.input === 'string') {
    // A git that ends early closes the pipe; its exit code says why.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(call.input)
  }

  call.signal?.addEventListener('abort', end, { once: true })
  child.on('error', reject)
  child.on('close', (code) => {
    const text = printable((call.redact ?? ((same) => same))(stderr.toString('utf8')))
    resolve({ code: code ?? 255, stdout: Buffer.concat(chunks), stderr: text, ...(ended && { ended }) })
  })
  try {
    const answer = await promise
    call.signal?.throwIfAborted()
    return answer
  } finally {
    clearTimeout(silence)
    clearTimeout(limit)
    call.signal?.removeEventListener('abort', end)
  }
}

/** Runs git and answers its standard output; any other end than code 0 is a GitFailure. */
export async function git(call: GitCall): Promise<string> {
  return (await gitBytes(call)).toString('utf8')
}

/** The same for output that is not all text. */
export async function gitBytes(call: GitCall): Promise<Buffer> {
  const answer = await runGit(call)
  if (answer.code !== 0 || answer.ended !== undefined) throw new GitFailure(call.args[0] ?? '', answer)
  return answer.stdout
}

/** Text from outside for logs and people: no escape sequences, progress lines reduced to their last state. */
export function printable(text: string): string {
  return (
    text
      .replaceAll(/[^\n]*\r(?!\n)/g, '')
      // eslint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
  )
}
