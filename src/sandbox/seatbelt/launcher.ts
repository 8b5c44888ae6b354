/**
 * A program of its own, one for each command of a guest: the library holds one configuration for a process, and somebody
 * must end the guest when the worker dies, which on macOS no kernel does.
 *
 *   descriptor 0-2   the guest's
 *   descriptor 3     one line with the order, then nothing; its end is the worker's wish, or death: the guest is ended
 *   descriptor 4     what happens, one JSON object a line
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { SandboxManager, type SandboxRuntimeConfig } from '@anthropic-ai/sandbox-runtime'
import { endSurvivors, findProcesses, type Found } from './survivors.ts'

export type Order = {
  readonly config: SandboxRuntimeConfig
  readonly script: string
  /** An empty directory: in its working directory the library forbids to write .git/config, .vscode and the like. */
  readonly directory: string
  readonly mark: string
}

export type Report =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'ended'; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly problem: string }

const LOOK_EVERY_MS = 500
/** As a shell does. */
const SIGNALLED = 128

let guest: ChildProcess | undefined
let known: readonly Found[] = []
let mark = ''
let ending = false

function report(what: Report): void {
  try {
    writeSync(4, `${JSON.stringify(what)}\n`)
  } catch {
    // The worker is dead.
  }
}

async function begin(order: Order): Promise<void> {
  mark = order.mark
  process.chdir(order.directory)
  await SandboxManager.initialize(order.config)
  const command = await SandboxManager.wrapWithSandbox(`. '${order.script}'`, 'bash')
  if (ending) return
  guest = spawn('/bin/sh', ['-c', `exec ${command}`], {
    // Ours are not the guest's: everything above 2 is covered.
    stdio: ['inherit', 'inherit', 'inherit', 'ignore', 'ignore'],
    // A session and a group of its own, so that it can be ended as a whole.
    detached: true,
  })
  guest.on('error', (error) => void leave({ kind: 'failed', problem: error.message }))
  guest.on('exit', (code, signal) => {
    void leave({ kind: 'ended', exitCode: code ?? SIGNALLED + (signal ? constants.signals[signal] : 0) })
  })
  if (guest.pid === undefined) return
  report({ kind: 'started', pid: guest.pid })
  // Whoever leaves the group and then loses its parents is remembered from before.
  if (process.platform === 'darwin') setInterval(() => void look(), LOOK_EVERY_MS).unref()
}

async function look(): Promise<void> {
  if (ending || guest?.pid === undefined) return
  known = await findProcesses({ leader: guest.pid, known, mark })
}

/** The end of the program is told last, when nothing of it runs any more. */
async function leave(last: Report): Promise<void> {
  ending = true
  try {
    await endSurvivors({ ...(guest?.pid === undefined ? {} : { leader: guest.pid }), known, mark })
    await SandboxManager.reset()
    report(last)
  } catch (error) {
    report({ kind: 'failed', problem: String(error) })
  }
  process.exit(0)
}

async function endGuest(): Promise<void> {
  ending = true
  if (guest?.pid === undefined) process.exit(0)
  // The group first and at once, then those who left it; the main process's exit does the rest.
  try {
    known = await findProcesses({ leader: guest.pid, known, mark })
    for (const pid of [-guest.pid, ...known.map((found) => found.pid)]) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended meanwhile.
      }
    }
  } catch {
    // Whatever is left is ended when the main process is gone.
    process.kill(-guest.pid, 'SIGKILL')
  }
}

let heard = ''
let begun = false
// What ends a terminal's programs must not end the one that ends the guest.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => void endGuest())
new Socket({ fd: 3 })
  .setEncoding('utf8')
  .on('data', (chunk) => {
    heard += String(chunk)
    const end = heard.indexOf('\n')
    if (begun || end < 0) return
    begun = true
    begin(JSON.parse(heard.slice(0, end)) as Order).catch((error: unknown) => {
      report({ kind: 'failed', problem: error instanceof Error ? error.message : String(error) })
      process.exit(0)
    })
  })
  .on('close', () => void endGuest())
  .on('error', () => void endGuest())
