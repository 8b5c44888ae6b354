/** Starts one launcher and answers for the guest in it. */
import { spawn } from 'node:child_process'
import { Writable, type Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { GuestExit, GuestProcess } from '../sandbox.ts'
import type { Order, Report } from './launcher.ts'
import { endSurvivors } from './survivors.ts'

const LAUNCHER = fileURLToPath(new URL('./launcher.ts', import.meta.url))
const KILLED = 137

export type Launch = {
  readonly order: Order
  /** Without it the guest reads /dev/null. */
  readonly stdin: boolean
  /** Where the launcher's own temporary files and what it takes for a home lie. */
  readonly home: string
  readonly temporary: string
}

/** Rejects when the sandbox cannot be made. */
export async function launchGuest({ order, stdin, home, temporary }: Launch): Promise<GuestProcess> {
  const child = spawn(process.execPath, [LAUNCHER], {
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    // Built from nothing, and what the library looks at says the sandbox's own folders.
    env: {
      PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
      HOME: home,
      TMPDIR: temporary,
      CLAUDE_CODE_TMPDIR: temporary,
    },
    // What is typed at the worker's terminal does not reach it.
    detached: true,
  })
  const [, , , control, status] = child.stdio as unknown as [null, null, null, Writable, Readable]
  for (const stream of [child.stdin, control]) stream?.on('error', () => undefined)
  const started = Promise.withResolvers<number>()
  const ended = Promise.withResolvers<number>()
  let pid: number | undefined
  let text = ''
  let killed = false
  const hear = (report: Report): void => {
    if (report.kind === 'started') {
      pid = report.pid
      started.resolve(pid)
    } else if (report.kind === 'ended') ended.resolve(report.exitCode)
    else started.reject(new Error(`Seatbelt could not make the sandbox: ${report.problem}`))
  }
  status.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) hear(JSON.parse(line) as Report)
  })
  child.on('error', (error) => started.reject(new Error('the launcher cannot be started', { cause: error })))
  child.on('close', () => {
    started.reject(new Error('the launcher ended before the guest began'))
    // Somebody has ended the launcher: what it would have done is done here.
    void endSurvivors({ ...(pid === undefined ? {} : { leader: pid }), mark: order.mark }).then(
      () => ended.resolve(KILLED),
      ended.reject,
    )
  })
  control.write(`${JSON.stringify(order)}\n`)
  const guest = await started.promise.catch((error: unknown) => {
    ended.promise.catch(() => undefined)
    control.destroy()
    throw error
  })
  return {
    stdin: child.stdin ?? nowhere(),
    stdout: child.stdout!,
    stderr: child.stderr!,
    exited: ended.promise.then((exitCode): GuestExit =>
      killed ? { exitCode: KILLED, ended: 'killed' } : { exitCode },
    ),
    signal: (name) => {
      try {
        process.kill(guest, name)
      } catch {
        // It has ended meanwhile.
      }
    },
    kill: () => {
      killed = true
      control.destroy()
    },
  }
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}
