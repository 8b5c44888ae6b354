/**
 * Sandboxes on a Mac, by Seatbelt through @anthropic-ai/sandbox-runtime: one launcher for each command. There are no
 * namespaces, so guest paths are turned into host paths, 127.0.0.1 is the host's, and limits are soft or none.
 *
 * The library runs on Linux, too, by bubblewrap: there the parts of this adapter are tested.
 */
import { mkdirSync, realpathSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { createAddressGuard, type Resolve } from '../egress/addresses.ts'
import { createAuthority } from '../egress/certificates.ts'
import { refuseWeaker } from '../local/guarantees.ts'
import { createLayout, type Layout } from '../local/layout.ts'
import { checkSpec } from '../local/open-sandbox.ts'
import { sandboxIdsOn } from '../local/reap.ts'
import { installRuntime } from '../local/runtime.ts'
import { writeTrust } from '../local/trust.ts'
import type { Sandbox, Sandboxes } from '../sandbox.ts'
import { seatbeltGuarantees } from '../seatbelt/guarantees.ts'
import { openSandbox, type SeatbeltHost } from '../seatbelt/open-sandbox.ts'
import { isPlainPath } from '../seatbelt/policy.ts'
import { openClosedPort } from '../seatbelt/ports.ts'
import { proveSeatbelt } from '../seatbelt/proof.ts'
import { endSurvivors } from '../seatbelt/survivors.ts'

export type SeatbeltSandboxesOptions = {
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

/** Refuses with sandbox_unavailable where Seatbelt cannot do its work. */
export async function createSeatbeltSandboxes(options: SeatbeltSandboxesOptions): Promise<Sandboxes> {
  const platform = process.platform === 'darwin' ? 'darwin' : 'linux'
  proveSeatbelt()
  const layout = layoutOfRealPaths(options.home)
  await using stack = new AsyncDisposableStack()
  const closed = await openClosedPort()
  stack.defer(() => closed.close())
  const authority = createAuthority()
  const trust = writeTrust(layout, authority.certificate)
  stack.defer(() =>
    Promise.all(Object.values(trust.files).map((file) => rm(file, { force: true }))).then(() => undefined),
  )
  const host: SeatbeltHost = {
    platform,
    layout,
    runtime: await installRuntime(layout.home, {
      node: options.nodeBinary ?? process.execPath,
      ...(options.claudeBinary ? { claude: options.claudeBinary } : {}),
    }),
    trust,
    egress: {
      authority,
      guard: createAddressGuard(options.allowedNetworks),
      resolve: options.resolve,
      trust: options.trust,
    },
    closed,
    log: options.log,
  }
  const guarantees = seatbeltGuarantees(platform)
  const mine = new Map<string, Sandbox | 'opening'>()
  const owned = stack.move()
  return {
    guarantees,
    open: async (spec, gates, signal) => {
      checkSpec(spec)
      for (const directory of spec.toolchains) refuseOddPath(directory)
      refuseWeaker(guarantees, options.allowWeaker ?? [])
      signal.throwIfAborted()
      if (mine.has(spec.id)) throw new Error(`the sandbox ${spec.id} is open already`)
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
    reap: async (isJobAlive) => {
      const ended: string[] = []
      for (const id of await sandboxIdsOn(layout)) {
        const own = mine.get(id)
        if (own === 'opening' || (await isJobAlive(id))) continue
        if (own) await own[Symbol.asyncDispose]()
        else await endSandbox(layout, id)
        ended.push(id)
      }
      await sweepFiles(layout)
      return ended
    },
    [Symbol.asyncDispose]: async () => {
      const open = [...mine.values()].filter((sandbox) => sandbox !== 'opening')
      await Promise.all(open.map((sandbox) => sandbox[Symbol.asyncDispose]()))
      await owned.disposeAsync()
    },
  }
}

/** Seatbelt compares real paths, and temporary folders of a Mac lie behind links. */
function layoutOfRealPaths(home: string): Layout {
  mkdirSync(home, { recursive: true })
  const layout = createLayout(realpathSync(home))
  const real = (directory: string): string => {
    const slash = directory.lastIndexOf('/')
    return `${realpathSync(directory.slice(0, slash))}${directory.slice(slash)}`
  }
  refuseOddPath(layout.home)
  return { ...layout, sockets: (id) => real(layout.sockets(id)) }
}

/** Guest paths become host paths also in the midst of a shell script, where a space or a quote would change its meaning. */
function refuseOddPath(path: string): void {
  if (isPlainPath(path)) return
  throw refuse('home_unusable', {
    home: path,
    problem: 'on macOS its name may hold letters, digits and . _ - + @ ~ only.',
  })
}

/** The directory goes last: as long as it is there, a reaper that was interrupted will be followed by another. */
async function endSandbox(layout: Layout, id: string): Promise<void> {
  await endSurvivors({ mark: id })
  await rm(layout.sockets(id), { recursive: true, force: true })
  await rm(layout.directory(id), { recursive: true, force: true, maxRetries: 3 })
}

/** Files of dead workers: their names begin with the worker's number. */
async function sweepFiles(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.worker)) {
    const [pid] = name.split('-')
    if (!isAlive(Number(pid))) await rm(join(layout.worker, name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
