/**
 * No sandbox at all: commands run as the worker itself, with its rights, its network and its files. For experiments.
 *
 * The port is the same, so guest paths are turned into host paths (local/guest-paths.ts).
 */
import { spawn } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Log } from '#telemetry'
import { putFile, takeFile } from '../exchange.ts'
import { guestEnvironment } from '../local/environment.ts'
import { createGateServer, openGates } from '../local/gates.ts'
import { translateCommand, translateGuestPaths } from '../local/guest-paths.ts'
import { copyLayer } from '../local/layers.ts'
import { createLayout, isSandboxId, type Layout } from '../local/layout.ts'
import { runGuest } from '../run-guest.ts'
import type {
  Gates,
  GuestCommand,
  GuestExit,
  GuestProcess,
  Guarantees,
  Sandbox,
  Sandboxes,
} from '../sandbox.ts'
import type { SandboxSpec } from '../sandbox.ts'

export type NoSandboxesOptions = {
  readonly home: string
  readonly claudeBinary?: string
  readonly log?: Log
}

const GUARANTEES: Guarantees = {
  technology: 'none',
  isolatedFilesystem: false,
  noNetworkDevice: false,
  seccomp: false,
  memoryLimit: false,
  processLimit: false,
  cpuLimit: false,
  diskLimit: 'none',
  inodeLimit: false,
  ownUserPerSandbox: false,
  killsOrphans: false,
  missing: [
    'isolatedFilesystem: a job reads and writes every file that the worker can, keys included; set FLOWFORGE_SANDBOX=local.',
    'noNetworkDevice: a job reaches everything that this host reaches; set FLOWFORGE_SANDBOX=local.',
    'seccomp: a job may make every system call; set FLOWFORGE_SANDBOX=local.',
    'limits: a job may use all memory, processors, processes and disk; set FLOWFORGE_SANDBOX=local.',
    'killsOrphans: what a job leaves in the background goes on; set FLOWFORGE_SANDBOX=local.',
  ],
}

const DIRECTORIES = ['workspace', 'state', 'cache', 'in', 'out', 'agent'] as const
const NOT_STARTED = 127

export function createNoSandboxes(options: NoSandboxesOptions): Sandboxes {
  const layout = createLayout(options.home)
  const open = new Map<string, Sandbox>()
  options.log?.warn({ missing: GUARANTEES.missing }, 'sandbox.none: jobs run without any isolation')
  return {
    guarantees: GUARANTEES,
    open: async (spec, gates, signal) => {
      if (!isSandboxId(spec.id)) throw new Error(`${JSON.stringify(spec.id)} is not an id for a sandbox`)
      signal.throwIfAborted()
      const sandbox = await openDirectory(layout, options, spec, gates, () => open.delete(spec.id))
      open.set(spec.id, sandbox)
      return sandbox
    },
    reap: async (isAlive) => {
      const ended: string[] = []
      for (const id of (await readdir(layout.sandboxes)).filter(isSandboxId)) {
        if (await isAlive(id)) continue
        await open.get(id)?.[Symbol.asyncDispose]()
        await rm(layout.directory(id), { recursive: true, force: true })
        ended.push(id)
      }
      return ended
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...open.values()].map((sandbox) => sandbox[Symbol.asyncDispose]()))
    },
  }
}

async function openDirectory(
  layout: Layout,
  options: NoSandboxesOptions,
  spec: SandboxSpec,
  gates: Gates,
  onClosed: () => void,
): Promise<Sandbox> {
  const directory = layout.directory(spec.id)
  const sockets = layout.sockets(spec.id)
  mkdirSync(directory)
  for (const name of DIRECTORIES) mkdirSync(join(directory, name))
  if (spec.layer) await copyLayer(spec.layer, directory)
  const opened = await openGates(
    sockets,
    { 'model.sock': gates.model && createGateServer(gates.model) },
    undefined,
  )
  const guests = new Set<GuestProcess>()
  let closing: Promise<void> | undefined
  const translate = translateGuestPaths(placesOf(directory, sockets, options))
  const start = (command: GuestCommand): GuestProcess => {
    if (closing) throw new Error(`the sandbox ${spec.id} is closed`)
    const guest = startHere(translateCommand(command, environmentOf(command, spec, options), translate))
    guests.add(guest)
    void guest.exited.finally(() => guests.delete(guest))
    return guest
  }
  const close = async (): Promise<void> => {
    opened.close()
    for (const guest of guests) guest.kill()
    await Promise.all([...guests].map((guest) => guest.exited))
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    onClosed()
  }
  return {
    id: spec.id,
    start: async (command) => start(command),
    run: async (command, run) => runGuest(start(command), run),
    put: (hostFile, name) => putFile(hostFile, join(directory, 'in'), name),
    take: (name, hostFile, maxBytes) => takeFile(join(directory, 'out'), name, hostFile, maxBytes),
    saveLayer: async (hostPath) => {
      const making = `${hostPath}.making`
      await copyLayer(directory, making)
      renameSync(making, hostPath)
    },
    [Symbol.asyncDispose]: () => {
      closing ??= close()
      return closing
    },
  }
}

function placesOf(
  directory: string,
  sockets: string,
  options: NoSandboxesOptions,
): Readonly<Record<string, string>> {
  return {
    '/workspace': join(directory, 'workspace'),
    '/state': join(directory, 'state'),
    '/cache': join(directory, 'cache'),
    '/exchange/in': join(directory, 'in'),
    '/exchange/out': join(directory, 'out'),
    '/home/agent': join(directory, 'agent'),
    '/run/ff': sockets,
    '/opt/ff/node': process.execPath,
    ...(options.claudeBinary ? { '/opt/ff/claude': options.claudeBinary } : {}),
  }
}

function environmentOf(
  command: GuestCommand,
  spec: SandboxSpec,
  options: NoSandboxesOptions,
): Readonly<Record<string, string>> {
  const { PATH = '', ...others } = guestEnvironment(spec.toolchains, command.env)
  const programs = [process.execPath, ...(options.claudeBinary ? [options.claudeBinary] : [])].map(dirname)
  return { ...others, PATH: [PATH, ...programs].join(delimiter) }
}

function startHere({ argv, cwd, env }: ReturnType<typeof translateCommand>): GuestProcess {
  const [file = '', ...args] = argv
  const child = spawn(file, args, {
    cwd,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin.on('error', () => undefined)
  let killed = false
  const exited = new Promise<GuestExit>((resolve) => {
    child.on('error', (error) => {
      child.stderr.push(`${error.message}\n`)
      child.stderr.push(null)
      resolve({ exitCode: NOT_STARTED })
    })
    child.on('exit', (code, signal) => {
      const exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0)
      resolve(killed ? { exitCode, ended: 'killed' } : { exitCode })
    })
  })
  const signalGroup = (name: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    process.kill(name === 'SIGKILL' ? -child.pid : child.pid, name)
  }
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    signal: signalGroup,
    kill: () => {
      killed = true
      signalGroup('SIGKILL')
    },
  }
}
