/** Opens one sandbox on this host, step by step, and closes it in the opposite order. */
import { chownSync, existsSync, mkdirSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { createEgressGate, type EgressGateOptions } from '../egress/gate.ts'
import { putFile, takeFile } from '../exchange.ts'
import { runGuest } from '../run-guest.ts'
import type { Gates, GuestCommand, GuestProcess, Sandbox, SandboxSpec } from '../sandbox.ts'
import { bubblewrapArguments, type GuestView, type HostRoot } from './arguments.ts'
import type { Cgroups } from './cgroups.ts'
import { watchDisk } from './disk-watch.ts'
import type { Disks } from './disks.ts'
import { guestEnvironment } from './environment.ts'
import { createGateServer, openGates } from './gates.ts'
import { launchGuest } from './launch.ts'
import { restoreLayer, saveLayer, type LayerPlaces } from './layers.ts'
import { isSandboxId, writeOwnerRecord, type Layout } from './layout.ts'
import { PROXY_ENVIRONMENT, wantsNetwork, withRelay } from './network.ts'
import type { Pipes } from './pipes.ts'
import { identityOf } from './process-identity.ts'
import type { Runtime } from './runtime.ts'
import { launchPrefix } from './sandbox-user.ts'
import { releaseSlot, takeSlot } from './slots.ts'
import type { Trust } from './trust.ts'

export type LocalHost = {
  readonly layout: Layout
  readonly runtime: Runtime
  readonly disks: Disks
  readonly pipes: Pipes
  readonly cgroups: Cgroups
  /** Root can give each sandbox a host user of its own. */
  readonly ownUsers: boolean
  /** Files with the seccomp programs. */
  readonly seccomp: Readonly<Record<SandboxSpec['seccomp'], string>>
  readonly roots: readonly HostRoot[]
  readonly etc: readonly string[]
  readonly log: Log | undefined
  /** Egress: what every sandbox's gate has in common. */
  readonly egress: Pick<EgressGateOptions, 'guard' | 'authority' | 'resolve' | 'trust'>
  readonly trust: Trust
  /** Makes the network namespace of commands with a relay; see network.ts. */
  readonly networkMaker: readonly string[] | undefined
}

/** Directories of the sandbox's disk that the guest may write to. */
const GUEST_DIRECTORIES = ['workspace', 'state', 'cache', 'out'] as const

export async function openSandbox(
  host: LocalHost,
  spec: SandboxSpec,
  gates: Gates,
  onClosed: () => void,
): Promise<Sandbox> {
  const { layout, disks } = host
  const directory = layout.directory(spec.id)
  const disk = join(directory, 'disk')
  const sockets = layout.sockets(spec.id)
  // Closes what has been opened when a later step fails.
  await using stack = new AsyncDisposableStack()

  await disks.take(spec.id, spec.limits)
  const slot = host.ownUsers ? takeSlot(spec.id) : undefined
  stack.defer(() => {
    // Unmounting takes a while, and nobody waits for it but the end of the worker.
    void disks
      .discard(spec.id)
      .then(() => slot !== undefined && releaseSlot(slot))
      .catch((error: unknown) => host.log?.error({ sandbox: spec.id, error }, 'sandbox.not-removed'))
  })
  writeOwnerRecord(directory, {
    owner: identityOf(process.pid)!,
    sockets,
    ...(slot === undefined ? {} : { slot }),
  })
  for (const name of GUEST_DIRECTORIES) {
    mkdirSync(join(disk, name), { mode: 0o755 })
    if (slot !== undefined) chownSync(join(disk, name), slot, slot)
  }
  const places = spec.layer
    ? await restoreLayer(spec.layer, directory, slot)
    : { workspace: join(disk, 'workspace'), cache: join(disk, 'cache') }
  const cgroup = host.cgroups.create(spec.id, spec.limits)
  stack.defer(async () => {
    await cgroup.kill()
    await cgroup.remove()
  })
  const guests = new Set<GuestProcess>()
  stack.defer(async () => {
    for (const guest of guests) guest.kill()
    await Promise.all([...guests].map((guest) => guest.exited))
  })
  const opened = await openGates(
    sockets,
    {
      'model.sock': gates.model && createGateServer(gates.model),
      'egress.sock':
        spec.egress.allow.length > 0
          ? createEgressGate({ ...host.egress, policy: spec.egress, onEgress: gates.onEgress })
          : undefined,
    },
    slot,
  )
  stack.defer(() => opened.close())
  let closing: Promise<void> | undefined
  let full: string | undefined
  if (disks.kind === 'directory') {
    const watching = new AbortController()
    stack.defer(() => watching.abort())
    const onFull = (problem: string): void => {
      full = problem
      host.log?.warn({ sandbox: spec.id, problem }, 'sandbox.disk-full')
      for (const guest of guests) guest.kill()
    }
    void watchDisk(disk, spec.limits, onFull, watching.signal)
  }

  const start = async (
    command: GuestCommand,
    { stdin, layer }: { readonly stdin: boolean; readonly layer?: string },
  ): Promise<GuestProcess> => {
    if (closing) throw new Error(`the sandbox ${spec.id} is closed`)
    if (full) throw new Error(`the disk of the sandbox ${spec.id} is full: ${full}`)
    const network = wantsNetwork(command, spec.egress)
    const networkMaker = (network && host.networkMaker) || []
    const oomKillsBefore = cgroup.oomKills()
    const guest = await launchGuest({
      prefix: [...launchPrefix(spec.limits, slot), ...networkMaker],
      options: bubblewrapArguments({
        ...viewOf(host, spec, command, network),
        ...places,
        networkIsMade: networkMaker.length > 0,
        ...(layer === undefined ? {} : { layer }),
      }),
      argv: [...guestPrefix(host, spec), ...(network ? withRelay(command) : command.argv)],
      stdin,
      pipes: host.pipes,
      seccomp: host.seccomp[spec.seccomp],
      place: (pid) => cgroup.add(pid),
      wasOutOfMemory: (exitCode) => exitCode !== 0 && cgroup.oomKills() > oomKillsBefore,
    })
    guests.add(guest)
    void guest.exited.finally(() => guests.delete(guest))
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
    saveLayer: (hostPath) =>
      saveLayer(directory, slot, hostPath, async (target, argv) => {
        const guest = await start({ argv, network: false }, { stdin: false, layer: target })
        const { exitCode, stderr } = await runGuest(guest)
        if (exitCode !== 0)
          throw new Error(`the layer could not be copied: ${stderr.toString().slice(-1000)}`)
      }),
    [Symbol.asyncDispose]: () => {
      closing ??= owned.disposeAsync().finally(onClosed)
      return closing
    },
  }
}

/**
 * Without a cgroup the number of processes is limited inside, where the kernel counts by user namespace: so the limit
 * is each command's own and not shared with all that the worker's user runs.
 */
function guestPrefix({ cgroups }: LocalHost, { limits }: SandboxSpec): readonly string[] {
  return cgroups.processes ? [] : ['prlimit', `--nproc=${limits.processes}`, '--']
}

/** What is wrong with a specification is the caller's mistake, except for a toolchain that this host lacks. */
export function checkSpec(spec: SandboxSpec): void {
  if (!isSandboxId(spec.id)) throw new Error(`${JSON.stringify(spec.id)} is not an id for a sandbox`)
  for (const directory of spec.toolchains)
    if (!isAbsolute(directory) || !existsSync(directory))
      throw refuse('sandbox_unavailable', { problem: `the toolchain directory ${directory} does not exist.` })
}

function viewOf(
  host: LocalHost,
  spec: SandboxSpec,
  command: GuestCommand,
  network: boolean,
): Omit<GuestView, keyof LayerPlaces> {
  const directory = host.layout.directory(spec.id)
  const disk = join(directory, 'disk')
  return {
    hostRoots: host.roots,
    hostEtc: host.etc,
    ownFiles: {
      ...host.runtime.files,
      ...(network ? { ...host.runtime.networkFiles, ...host.trust.files } : {}),
    },
    programs: host.runtime.programs,
    sockets: host.layout.sockets(spec.id),
    state: join(disk, 'state'),
    inbox: join(directory, 'in'),
    outbox: join(disk, 'out'),
    toolchains: spec.toolchains,
    environment: guestEnvironment(spec.toolchains, {
      ...(network ? { ...PROXY_ENVIRONMENT, ...host.trust.environment } : {}),
      ...command.env,
    }),
    cwd: command.cwd ?? '/workspace',
    memoryBytes: spec.limits.memoryBytes,
  }
}
