/** Opens one sandbox under Seatbelt: a directory, its gates, and a launcher for each command. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#telemetry'
import { createEgressGate, type EgressGateOptions } from '../egress/gate.ts'
import { putFile, takeFile } from '../exchange.ts'
import { watchDisk } from '../local/disk-watch.ts'
import { guestEnvironment } from '../local/environment.ts'
import { createGateServer, openGates } from '../local/gates.ts'
import { translateCommand, translateGuestPaths } from '../local/guest-paths.ts'
import { copyLayer } from '../local/layers.ts'
import type { Layout } from '../local/layout.ts'
import { PROXY_ENVIRONMENT, wantsNetwork } from '../local/network.ts'
import type { Runtime } from '../local/runtime.ts'
import type { Trust } from '../local/trust.ts'
import { runGuest } from '../run-guest.ts'
import type { Gates, GuestCommand, GuestProcess, Sandbox, SandboxSpec } from '../sandbox.ts'
import { launchGuest } from './launch.ts'
import { realPaths, seatbeltConfig, type SeatbeltPolicy } from './policy.ts'
import { openPort, type OpenPort } from './ports.ts'
import { startScript } from './script.ts'
import { endSurvivors, MARK } from './survivors.ts'

export type SeatbeltHost = {
  readonly platform: SeatbeltPolicy['platform']
  /** Of real paths. */
  readonly layout: Layout
  readonly runtime: Runtime
  readonly trust: Trust
  readonly egress: Pick<EgressGateOptions, 'guard' | 'authority' | 'resolve' | 'trust'>
  /** The port of commands without a network. */
  readonly closed: OpenPort
  readonly log: Log | undefined
}

/** Directories that the guest may write to; all of them count against the disk. */
const WRITABLE = ['workspace', 'state', 'cache', 'out', 'tmp', 'agent'] as const
/** Inside the network namespace that the library makes on Linux, its own relay listens here. */
const LINUX_PORT = 3128

export async function openSandbox(
  host: SeatbeltHost,
  spec: SandboxSpec,
  gates: Gates,
  onClosed: () => void,
): Promise<Sandbox> {
  const directory = host.layout.directory(spec.id)
  const disk = join(directory, 'disk')
  const sockets = host.layout.sockets(spec.id)
  // Closes what has been opened when a later step fails.
  await using stack = new AsyncDisposableStack()
  // Fails when the id is open, here or elsewhere.
  mkdirSync(directory, { mode: 0o700 })
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  for (const name of ['in', 'commands', 'empty']) mkdirSync(join(directory, name), { mode: 0o755 })
  for (const name of WRITABLE) mkdirSync(join(disk, name), { recursive: true, mode: 0o755 })
  if (spec.layer) await copyLayer(spec.layer, disk)
  const guests = new Set<GuestProcess>()
  stack.defer(async () => {
    for (const guest of guests) guest.kill()
    await Promise.all([...guests].map((guest) => guest.exited))
    await endSurvivors({ mark: spec.id })
  })
  const opened = await openGates(
    sockets,
    { 'model.sock': gates.model && createGateServer(gates.model) },
    undefined,
  )
  stack.defer(() => opened.close())
  const egress = await openPort(
    createEgressGate({ ...host.egress, policy: spec.egress, onEgress: gates.onEgress }),
  )
  stack.defer(() => egress.close())
  let closing: Promise<void> | undefined
  let full: string | undefined
  const watching = new AbortController()
  stack.defer(() => watching.abort())
  const onFull = (problem: string): void => {
    full = problem
    host.log?.warn({ sandbox: spec.id, problem }, 'sandbox.disk-full')
    for (const guest of guests) guest.kill()
  }
  void watchDisk(disk, spec.limits, onFull, watching.signal)

  const translate = translateGuestPaths(placesOf(host, spec, sockets))
  let commands = 0
  const start = async (
    command: GuestCommand,
    { stdin, layer }: { readonly stdin: boolean; readonly layer?: string },
  ): Promise<GuestProcess> => {
    if (closing) throw new Error(`the sandbox ${spec.id} is closed`)
    if (full) throw new Error(`the disk of the sandbox ${spec.id} is full: ${full}`)
    const network = wantsNetwork(command, spec.egress)
    const port = network ? egress.port : host.closed.port
    const mark = `${spec.id}.${commands++}`
    const script = join(directory, 'commands', mark)
    const environment = { ...environmentOf(host, spec, command, network ? port : undefined), [MARK]: mark }
    writeFileSync(script, startScript(translateCommand(command, environment, translate), spec.limits), {
      mode: 0o600,
    })
    const guest = await launchGuest({
      order: {
        config: seatbeltConfig({
          platform: host.platform,
          reads: [...readsOf(host, spec, directory), script],
          writes: [...WRITABLE.map((name) => join(disk, name)), ...(layer === undefined ? [] : [layer])],
          sockets,
          port,
        }),
        script,
        directory: join(directory, 'empty'),
        mark,
      },
      stdin,
      home: join(disk, 'agent'),
      // On Linux the library puts sockets there, whose paths must be short.
      temporary: host.platform === 'linux' ? sockets : join(disk, 'tmp'),
    })
    guests.add(guest)
    const forget = (): void => {
      guests.delete(guest)
      rmSync(script, { force: true })
    }
    guest.exited.then(forget, forget)
    // It was closed while this one came up.
    if (closing) guest.kill()
    return guest
  }
  const owned = stack.move()

  return {
    id: spec.id,
    start: (command) => start(command, { stdin: true }),
    run: async (command, options) => runGuest(await start(command, { stdin: false }), options),
    put: (hostFile, name) => putFile(hostFile, join(directory, 'in'), name),
    take: (name, hostFile, maxBytes) => takeFile(join(disk, 'out'), name, hostFile, maxBytes),
    saveLayer: async (hostPath) => {
      const layer = join(directory, 'layer')
      await rm(layer, { recursive: true, force: true })
      mkdirSync(layer)
      // By a guest, which sees nothing but the sandbox: what changes meanwhile cannot make us read elsewhere.
      const argv = ['/bin/cp', '-a', '/workspace', '/cache', '/exchange/layer/']
      const { exitCode, stderr } = await runGuest(
        await start({ argv, network: false }, { stdin: false, layer }),
      )
      if (exitCode !== 0) throw new Error(`the layer could not be copied: ${stderr.toString().slice(-1000)}`)
      renameSync(layer, hostPath)
    },
    [Symbol.asyncDispose]: () => {
      closing ??= owned.disposeAsync().finally(onClosed)
      return closing
    },
  }
}

function placesOf(host: SeatbeltHost, spec: SandboxSpec, sockets: string): Readonly<Record<string, string>> {
  const directory = host.layout.directory(spec.id)
  const disk = join(directory, 'disk')
  return {
    '/workspace': join(disk, 'workspace'),
    '/state': join(disk, 'state'),
    '/cache': join(disk, 'cache'),
    '/exchange/in': join(directory, 'in'),
    '/exchange/out': join(disk, 'out'),
    '/exchange/layer': join(directory, 'layer'),
    '/home/agent': join(disk, 'agent'),
    '/tmp': join(disk, 'tmp'),
    '/run/ff': sockets,
    '/opt/ff': host.runtime.programs,
    '/etc/gitconfig': host.runtime.files['/etc/gitconfig']!,
    ...host.trust.files,
    // Host paths already, wherever they lie: below /tmp, too.
    ...Object.fromEntries([...spec.toolchains, host.layout.home].map((path) => [path, path])),
  }
}

function readsOf(host: SeatbeltHost, spec: SandboxSpec, directory: string): readonly string[] {
  return [
    ...realPaths(spec.toolchains),
    host.runtime.programs,
    host.runtime.files['/etc/gitconfig']!,
    ...Object.values(host.trust.files),
    join(directory, 'in'),
    join(directory, 'empty'),
  ]
}

function environmentOf(
  host: SeatbeltHost,
  spec: SandboxSpec,
  command: GuestCommand,
  port: number | undefined,
): Readonly<Record<string, string>> {
  const seen = host.platform === 'linux' ? LINUX_PORT : port
  const proxies = Object.entries(PROXY_ENVIRONMENT).map(([name, value]) => [
    name,
    value.replace(/:3128$/, `:${seen}`),
  ])
  const { PATH = '', ...others } = guestEnvironment(spec.toolchains, {
    // There is no /etc of our own: git is told by name, and does not ask the system's key chain.
    GIT_CONFIG_SYSTEM: '/etc/gitconfig',
    // Claude Code's own temporary files, which it otherwise puts below /tmp.
    CLAUDE_CODE_TMPDIR: '/tmp',
    ...(port === undefined
      ? {}
      : { ...(Object.fromEntries(proxies) as Record<string, string>), ...host.trust.environment }),
    ...command.env,
  })
  const homebrew = host.platform === 'darwin' ? ':/opt/homebrew/bin' : ''
  return { ...others, PATH: `${PATH}${homebrew}` }
}
