/**
 * Sandboxes on this Linux host, by bubblewrap: each process is a bubblewrap of its own (own PID namespace, own memory
 * file systems); all processes of a sandbox share its disk, its gates and its cgroup.
 *
 * As root every sandbox has a host user of its own, hard limits and a real disk; as a plain user what the host permits.
 */
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { putFile, takeFile } from '../exchange.ts'
import { bubblewrapArguments, type GuestView } from '../local/arguments.ts'
import { createCgroups, findHierarchies, type Cgroups } from '../local/cgroups.ts'
import { createDisks, type Disks } from '../local/disks.ts'
import { guestEnvironment } from '../local/environment.ts'
import { createGateServer, openGates } from '../local/gates.ts'
import { hostEtc, hostRoots } from '../local/host-view.ts'
import { launchGuest } from '../local/launch.ts'
import { createLayout, isSandboxId, writeOwnerRecord, type Layout } from '../local/layout.ts'
import { identityOf } from '../local/process-identity.ts'
import { installRuntime, type Runtime } from '../local/runtime.ts'
import { createPipes, type Pipes } from '../local/pipes.ts'
import { launchPrefix } from '../local/sandbox-user.ts'
import { releaseSlot, takeSlot } from '../local/slots.ts'
import { runGuest } from '../run-guest.ts'
import { compileSeccomp } from '../seccomp/compile.ts'
import { seccompProfile } from '../seccomp/profile.ts'
import type {
  Gates,
  GuestCommand,
  GuestProcess,
  Guarantees,
  Sandbox,
  Sandboxes,
  SandboxSpec,
} from '../sandbox.ts'

export type LocalSandboxesOptions = {
  /** FLOWFORGE_HOME. */
  readonly home: string
  readonly claudeBinary?: string
  /** The node that guests find in /opt/ff; the one that runs us by default. */
  readonly nodeBinary?: string
  readonly log?: Log
  /** Guarantees that may be missing (FLOWFORGE_ALLOW_WEAKER). */
  readonly allowWeaker?: readonly string[]
}

type Host = {
  readonly layout: Layout
  readonly runtime: Runtime
  readonly disks: Disks
  readonly pipes: Pipes
  readonly cgroups: Cgroups
  readonly isRoot: boolean
  readonly seccomp: Readonly<Record<SandboxSpec['seccomp'], string>>
  readonly roots: ReturnType<typeof hostRoots>
  readonly etc: readonly string[]
  readonly log: Log | undefined
}

export async function createLocalSandboxes(options: LocalSandboxesOptions): Promise<Sandboxes> {
  const layout = createLayout(options.home)
  const disks = await createDisks(layout)
  const runtime = await installRuntime(options.home, {
    node: options.nodeBinary ?? process.execPath,
    ...(options.claudeBinary ? { claude: options.claudeBinary } : {}),
  })
  const host: Host = {
    layout,
    runtime,
    disks,
    pipes: await createPipes(layout.ready),
    cgroups: createCgroups(findHierarchies()),
    isRoot: process.getuid?.() === 0,
    seccomp: installSeccomp(layout),
    roots: hostRoots(),
    etc: hostEtc(),
    log: options.log,
  }
  const guarantees = guaranteesOf(host)
  const open = new Map<string, Sandbox>()
  return {
    guarantees,
    open: async (spec, gates, signal) => {
      checkSpec(spec)
      signal.throwIfAborted()
      const sandbox = await openSandbox(host, spec, gates, () => open.delete(spec.id))
      open.set(spec.id, sandbox)
      return sandbox
    },
    reap: async () => [],
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...open.values()].map((sandbox) => sandbox[Symbol.asyncDispose]()))
      await disks[Symbol.asyncDispose]()
      await host.pipes[Symbol.asyncDispose]()
    },
  }
}

async function openSandbox(
  host: Host,
  spec: SandboxSpec,
  gates: Gates,
  onClosed: () => void,
): Promise<Sandbox> {
  const { layout, disks } = host
  const directory = layout.directory(spec.id)
  const disk = join(directory, 'disk')
  await disks.take(spec.id, spec.limits)
  const slot = host.isRoot ? takeSlot(spec.id) : undefined
  for (const name of ['workspace', 'state', 'cache', 'out']) {
    mkdirSync(join(disk, name), { mode: 0o755 })
    if (slot !== undefined) chownSync(join(disk, name), slot, slot)
  }
  const sockets = layout.sockets(spec.id)
  writeOwnerRecord(directory, {
    owner: identityOf(process.pid)!,
    sockets,
    ...(slot === undefined ? {} : { slot }),
  })
  const cgroup = host.cgroups.create(spec.id, spec.limits)
  const opened = await openGates(
    sockets,
    { 'model.sock': gates.model && createGateServer(gates.model) },
    slot,
  )
  const guests = new Set<GuestProcess>()
  let closed = false

  const start = async (command: GuestCommand, stdin: boolean): Promise<GuestProcess> => {
    if (closed) throw new Error(`the sandbox ${spec.id} is closed`)
    const oomKillsBefore = cgroup.oomKills()
    const guest = await launchGuest({
      prefix: launchPrefix(spec.limits, slot),
      options: bubblewrapArguments(viewOf(host, spec, command, sockets)),
      argv: command.argv,
      stdin,
      pipes: host.pipes,
      seccomp: host.seccomp[spec.seccomp],
      place: (pid) => cgroup.add(pid),
      wasOutOfMemory: (exitCode) => exitCode !== 0 && cgroup.oomKills() > oomKillsBefore,
    })
    guests.add(guest)
    void guest.exited.finally(() => guests.delete(guest))
    return guest
  }

  return {
    id: spec.id,
    start: (command) => start(command, true),
    run: async (command, options) => runGuest(await start(command, false), options),
    put: (hostFile, name) => putFile(hostFile, join(directory, 'in'), name),
    take: (name, hostFile, maxBytes) => takeFile(join(disk, 'out'), name, hostFile, maxBytes),
    saveLayer: () => Promise.reject(new Error('layers are not built yet')),
    [Symbol.asyncDispose]: async () => {
      if (closed) return
      closed = true
      opened.close()
      for (const guest of guests) guest.kill()
      await Promise.all([...guests].map((guest) => guest.exited))
      await cgroup.kill()
      await cgroup.remove()
      onClosed()
      // Unmounting takes a while and nobody waits for it but the end of the worker.
      void disks
        .discard(spec.id)
        .then(() => slot !== undefined && releaseSlot(slot))
        .catch((error: unknown) => host.log?.error({ sandbox: spec.id, error }, 'sandbox.not-removed'))
    },
  }
}

function viewOf(host: Host, spec: SandboxSpec, command: GuestCommand, sockets: string): GuestView {
  const directory = host.layout.directory(spec.id)
  const disk = join(directory, 'disk')
  return {
    hostRoots: host.roots,
    hostEtc: host.etc,
    ownEtc: host.runtime.etc,
    programs: host.runtime.programs,
    sockets,
    workspace: join(disk, 'workspace'),
    state: join(disk, 'state'),
    cache: join(disk, 'cache'),
    inbox: join(directory, 'in'),
    outbox: join(disk, 'out'),
    toolchains: spec.toolchains,
    environment: guestEnvironment(spec.toolchains, command.env),
    cwd: command.cwd ?? '/workspace',
    memoryBytes: spec.limits.memoryBytes,
  }
}

function checkSpec(spec: SandboxSpec): void {
  if (!isSandboxId(spec.id)) throw new Error(`${JSON.stringify(spec.id)} is not an id for a sandbox`)
  for (const directory of spec.toolchains)
    if (!isAbsolute(directory) || !existsSync(directory))
      throw refuse('sandbox_unavailable', { problem: `the toolchain directory ${directory} does not exist.` })
}

/** Compiled at every start (2 ms), so that the file always belongs to this version. */
function installSeccomp(layout: Layout): Host['seccomp'] {
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    throw refuse('sandbox_unavailable', { problem: `the processor ${process.arch} has no seccomp profile.` })
  const architecture = process.arch
  const write = (variant: SandboxSpec['seccomp']): string => {
    const path = join(layout.sandboxes, `.${variant}.bpf`)
    writeFileSync(path, compileSeccomp(seccompProfile(variant), architecture), { mode: 0o644 })
    return path
  }
  return { default: write('default'), debugger: write('debugger') }
}

function guaranteesOf(host: Host): Guarantees {
  return {
    technology: 'bubblewrap',
    isolatedFilesystem: true,
    noNetworkDevice: true,
    seccomp: true,
    memoryLimit: host.cgroups.memory,
    processLimit: host.cgroups.processes,
    cpuLimit: host.cgroups.cpu,
    diskLimit: host.disks.kind === 'image' ? 'hard' : 'soft',
    inodeLimit: host.disks.kind === 'image',
    ownUserPerSandbox: host.isRoot,
    killsOrphans: true,
    missing: [],
  }
}
