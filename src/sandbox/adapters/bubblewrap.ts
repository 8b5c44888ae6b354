/**
 * Sandboxes on this Linux host, by bubblewrap: each process is a bubblewrap of its own (own PID namespace, own memory
 * file systems); all processes of a sandbox share its disk, its gates and its cgroup.
 *
 * As root every sandbox has a host user of its own, hard limits and a real disk; as a plain user what the host permits.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { createAddressGuard, type Resolve } from '../egress/addresses.ts'
import { createAuthority } from '../egress/certificates.ts'
import { createCgroups, findHierarchies } from '../local/cgroups.ts'
import { createDisks } from '../local/disks.ts'
import { bubblewrapGuarantees, refuseWeaker } from '../local/guarantees.ts'
import { hostEtc, hostRoots } from '../local/host-view.ts'
import { createLayout, type Layout } from '../local/layout.ts'
import { checkSpec, openSandbox, type LocalHost } from '../local/open-sandbox.ts'
import { findNetworkMaker } from '../local/network.ts'
import { createPipes } from '../local/pipes.ts'
import { proveBubblewrap } from '../local/proof.ts'
import { endSandbox, sandboxIdsOn } from '../local/reap.ts'
import { installRuntime } from '../local/runtime.ts'
import { writeTrust } from '../local/trust.ts'
import type { Sandbox, Sandboxes, SandboxSpec } from '../sandbox.ts'
import { compileSeccomp } from '../seccomp/compile.ts'
import { seccompProfile } from '../seccomp/profile.ts'

export type LocalSandboxesOptions = {
  /** FLOWFORGE_HOME. */
  readonly home: string
  readonly claudeBinary?: string
  /** The node that guests find in /opt/ff; the one that runs us by default. */
  readonly nodeBinary?: string
  readonly log?: Log
  /** Guarantees that may be missing (FLOWFORGE_ALLOW_WEAKER). */
  readonly allowWeaker?: readonly string[]
  /** Private networks that egress may reach, as CIDR blocks (FLOWFORGE_ALLOWED_NETWORKS). */
  readonly allowedNetworks?: readonly string[]
  /** For tests: answers names instead of the system. */
  readonly resolve?: Resolve
  /** Authorities, in PEM, that hosts may have besides the usual ones. */
  readonly trust?: readonly string[]
}

/** Refuses with sandbox_unavailable when bubblewrap is missing or not permitted to do its work. */
export async function createLocalSandboxes(options: LocalSandboxesOptions): Promise<Sandboxes> {
  const layout = createLayout(options.home)
  const seccomp = installSeccomp(layout)
  await proveBubblewrap()
  await using stack = new AsyncDisposableStack()
  const disks = stack.use(await createDisks(layout))
  const pipes = stack.use(await createPipes(layout.worker))
  const authority = createAuthority()
  const host: LocalHost = {
    layout,
    disks,
    pipes,
    seccomp,
    runtime: await installRuntime(options.home, {
      node: options.nodeBinary ?? process.execPath,
      ...(options.claudeBinary ? { claude: options.claudeBinary } : {}),
    }),
    cgroups: createCgroups(findHierarchies()),
    ownUsers: process.getuid?.() === 0,
    roots: hostRoots(),
    etc: hostEtc(),
    log: options.log,
    egress: {
      authority,
      guard: createAddressGuard(options.allowedNetworks),
      resolve: options.resolve,
      trust: options.trust,
    },
    trust: writeTrust(layout, authority.certificate),
    networkMaker: findNetworkMaker(),
  }
  const guarantees = bubblewrapGuarantees(host.cgroups, disks)
  const mine = new Map<string, Sandbox | 'opening'>()
  const owned = stack.move()
  return {
    guarantees,
    open: async (spec, gates, signal) => {
      checkSpec(spec)
      refuseWeaker(guarantees, options.allowWeaker ?? [])
      signal.throwIfAborted()
      mine.set(spec.id, 'opening')
      try {
        const sandbox = await openSandbox(host, spec, gates, () => mine.delete(spec.id))
        mine.set(spec.id, sandbox)
        return sandbox
      } catch (error) {
        mine.delete(spec.id)
        throw error
      }
    },
    reap: async (isAlive) => {
      const ended: string[] = []
      for (const id of await sandboxIdsOn(layout)) {
        const own = mine.get(id)
        if (own === 'opening' || (await isAlive(id))) continue
        if (own) await own[Symbol.asyncDispose]()
        else await endSandbox(host, id)
        ended.push(id)
      }
      await disks.sweep()
      return ended
    },
    [Symbol.asyncDispose]: async () => {
      const open = [...mine.values()].filter((sandbox) => sandbox !== 'opening')
      await Promise.all(open.map((sandbox) => sandbox[Symbol.asyncDispose]()))
      await owned.disposeAsync()
    },
  }
}

/** Compiled at every start (2 ms), so that the files always belong to this version. */
function installSeccomp(layout: Layout): LocalHost['seccomp'] {
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
