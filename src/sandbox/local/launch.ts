/**
 * Starts one bubblewrap and answers for the guest in it.
 *
 * The order makes limits certain: bubblewrap waits for its options on a descriptor, and they are written only after
 * the process has been placed in its cgroup. Must be called from the main thread: --die-with-parent follows the thread
 * that spawned.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Writable, type Readable } from 'node:stream'
import type { GuestExit, GuestProcess } from '../sandbox.ts'
import { encodeArguments } from './arguments.ts'
import type { Pipes } from './pipes.ts'
import { endProcess, identityOf } from './process-identity.ts'

export type Launch = {
  /** Programs that set user and limits and then become bubblewrap; empty or ending with '--'. */
  readonly prefix: readonly string[]
  readonly options: readonly string[]
  readonly argv: readonly string[]
  /** Without it the guest reads /dev/null. */
  readonly stdin: boolean
  readonly pipes: Pipes
  /** The file with the seccomp program. */
  readonly seccomp: string
  /** Called once the process exists and before anything of the guest does. */
  readonly place: (pid: number) => Promise<void>
  /** Asked when the guest has ended, with its exit code. */
  readonly wasOutOfMemory: (exitCode: number) => boolean
}

type Status = { readonly 'child-pid'?: number; readonly 'exit-code'?: number }

const KILLED = 137
/** What a shell answers, too. */
const NOT_STARTED = 127
const KEEP_STDERR = 2000

export async function launchGuest(launch: Launch): Promise<GuestProcess> {
  const [file = '', ...args] = [...launch.prefix, 'bwrap', '--args', '4', '--', ...launch.argv]
  const [output, errors] = await Promise.all([launch.pipes.take(), launch.pipes.take()])
  const seccomp = openSync(launch.seccomp, 'r')
  const extra = descriptorsToHide()
  let child: ChildProcess
  try {
    child = spawn(file, args, {
      stdio: [
        launch.stdin ? 'pipe' : 'ignore',
        ...[output.writerFd, errors.writerFd, seccomp],
        ...(['pipe', 'pipe'] as const),
        ...extra.stdio,
      ],
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      cwd: '/',
      // A session of its own: what is typed at the worker's terminal does not reach it.
      detached: true,
    })
  } finally {
    for (const fd of [output.writerFd, errors.writerFd, seccomp]) closeSync(fd)
    extra.close()
  }
  const stdout = output.reader
  const stderr = errors.reader
  const stdin = child.stdin ?? nowhere()
  const options = child.stdio[4] as Writable
  const status = (child.stdio as readonly unknown[])[5] as Readable
  // A guest that ends early breaks these pipes; that is its right.
  for (const stream of [stdin, options]) stream.on('error', () => undefined)
  const guest = followStatus(child, status, stderr)
  await place(child, launch)
  options.end(encodeArguments(launch.options))
  const initPid = await guest.started
  const init = identityOf(initPid)
  let killed = false
  return {
    stdin,
    stdout,
    stderr,
    exited: guest.ended.then(async (exitCode): Promise<GuestExit> => {
      // bubblewrap ends as soon as it knows the exit code, a moment before the rest of its namespace does.
      if (init) await endProcess(init)
      if (killed) return { exitCode, ended: 'killed' }
      return launch.wasOutOfMemory(exitCode) ? { exitCode, ended: 'out-of-memory' } : { exitCode }
    }),
    signal: (name) => {
      const pid = mainProcessOf(initPid)
      if (pid !== undefined && child.exitCode === null) send(pid, name)
    },
    kill: () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      killed = true
      // The init of the guest's PID namespace: the kernel ends everything in it before bubblewrap sees it end.
      send(initPid, 'SIGKILL')
    },
  }
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

/** A process without its limits must not go on. */
async function place(child: ChildProcess, launch: Launch): Promise<void> {
  if (child.pid === undefined) return
  try {
    await launch.place(child.pid)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/** `started` is the guest's init as the host numbers it; it rejects when bubblewrap fails before the guest exists. */
function followStatus(child: ChildProcess, status: Readable, stderr: Readable) {
  const started = Promise.withResolvers<number>()
  const ended = Promise.withResolvers<number>()
  let said = ''
  const listen = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-KEEP_STDERR)
  }
  let text = ''
  status.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const pid = parseStatus(text)['child-pid']
    if (pid !== undefined) started.resolve(pid)
  })
  child.on('error', (error) => {
    started.reject(new Error('bubblewrap cannot be started', { cause: error }))
    ended.resolve(KILLED)
  })
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve))
  const told = new Promise<Status>((resolve) => status.on('close', () => resolve(parseStatus(text))))
  void Promise.all([exited, told]).then(([code, report]) => {
    // Ended with 1 and no word on the program's end: it never began. It does not exist, or the sandbox failed.
    ended.resolve(code === 1 && report['exit-code'] === undefined ? NOT_STARTED : (code ?? KILLED))
    if (report['child-pid'] !== undefined) return
    stderr.on('data', listen)
    stderr.on('close', () => {
      started.reject(new Error(`bubblewrap could not make the sandbox: ${said.trim()}`))
    })
  })
  // Whoever starts a command awaits it, but may have failed before; an unheard rejection would end the worker.
  started.promise.catch(() => undefined)
  return { started: started.promise, ended: ended.promise }
}

/** One JSON object a line; the last may be cut. */
function parseStatus(text: string): Status {
  const whole = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
  return Object.assign({}, ...whole.map((line) => JSON.parse(line) as Status)) as Status
}

/** The program is the second process of its PID namespace, a child of bubblewrap's init. */
function mainProcessOf(initPid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${initPid}/task/${initPid}/children`, 'utf8').trim().split(' ')
    return children.filter(Boolean).map(Number).find(isSecond)
  } catch {
    return undefined
  }
}

function isSecond(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return /^NSpid:.*\t2$/m.test(status)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

const CLOEXEC = 0o2000000
const FIRST_FREE_FD = 6

/**
 * Descriptors that this process inherited without close-on-exec would be open inside the guest; Node cannot set the
 * flag on them. They are covered with /dev/null in the child.
 */
function descriptorsToHide(): { readonly stdio: (number | 'ignore')[]; close(): void } {
  const inherited = inheritedDescriptors()
  if (inherited.length === 0) return { stdio: [], close: () => undefined }
  const nothing = openSync('/dev/null', 'r')
  const stdio = Array.from({ length: Math.max(...inherited) - FIRST_FREE_FD + 1 }, (_, index) =>
    inherited.includes(index + FIRST_FREE_FD) ? nothing : ('ignore' as const),
  )
  return { stdio, close: () => closeSync(nothing) }
}

let inheritedOnce: readonly number[] | undefined

/** Looked up once: everything that Node itself opens later has the flag. */
function inheritedDescriptors(): readonly number[] {
  inheritedOnce ??= listInherited()
  return inheritedOnce
}

function listInherited(): readonly number[] {
  const found: number[] = []
  for (let fd = FIRST_FREE_FD; fd < 1024; fd++) {
    try {
      const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0'
      if ((parseInt(flags, 8) & CLOEXEC) === 0) found.push(fd)
    } catch {
      // Not open.
    }
  }
  return found
}
