/** What the parts of the contract work with: sandboxes in a home of their own, and a short way to open one. */
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId } from '#lib/ids.ts'
import { createLayout } from '../local/layout.ts'
import type { Resolve } from '../egress/addresses.ts'
import {
  DEFAULT_LIMITS,
  type Gates,
  type GuestResult,
  type Sandbox,
  type Sandboxes,
  type SandboxSpec,
} from '../sandbox.ts'

export type Upstreams = {
  readonly resolve: Resolve
  readonly trust: readonly string[]
  readonly allowedNetworks: readonly string[]
}

export type CreateSandboxes = (options: { readonly home: string } & Partial<Upstreams>) => Promise<Sandboxes>

export type Technology = 'bubblewrap' | 'seatbelt' | 'none'

export type Bench = AsyncDisposable & {
  readonly technology: Technology
  readonly home: string
  readonly sandboxes: Sandboxes
  readonly create: CreateSandboxes
  open(spec?: Partial<SandboxSpec>, gates?: Gates): Promise<Sandbox>
  /** The host path of a sandbox's model.sock. */
  socketsOf(id: string): string
  /** A test's options: skipped with the reason when the guarantee does not hold. */
  needs(holds: boolean, reason: string): { readonly skip: string | false }
}

export const MIB = 1024 ** 2
/** Small, so that tests that fill things are quick. */
export const SMALL_LIMITS = {
  ...DEFAULT_LIMITS,
  memoryBytes: 512 * MIB,
  processes: 64,
  diskBytes: 64 * MIB,
  inodes: 2000,
  fileBytes: 48 * MIB,
  openFiles: 256,
} as const

export async function createBench(technology: Bench['technology'], create: CreateSandboxes): Promise<Bench> {
  // The temporary folder of a Mac is a link.
  const home = await realpath(await mkdtemp(join(tmpdir(), 'ff-sandbox-')))
  const sandboxes = await create({ home })
  return {
    technology,
    home,
    sandboxes,
    create,
    open: (spec = {}, gates = {}) => sandboxes.open(specification(spec), gates, new AbortController().signal),
    socketsOf: (id) => join(createLayout(home).sockets(id), 'model.sock'),
    needs: (holds, reason) => ({ skip: holds ? false : `${technology} here: ${reason}` }),
    [Symbol.asyncDispose]: async () => {
      await sandboxes[Symbol.asyncDispose]()
      await rm(home, { recursive: true, force: true })
    },
  }
}

export function specification(spec: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newId(),
    limits: SMALL_LIMITS,
    egress: { allow: [] },
    toolchains: [],
    seccomp: 'default',
    ...spec,
  }
}

/** Runs a shell script and answers its output, or fails with what it said. */
export async function shell(sandbox: Sandbox, script: string): Promise<string> {
  const result = await tryShell(sandbox, script)
  if (result.exitCode === 0) return result.stdout.toString()
  throw new Error(
    `${script}\nended with ${result.exitCode} (${result.ended ?? 'by itself'}): ${result.stderr.toString()}`,
  )
}

export function tryShell(sandbox: Sandbox, script: string, timeoutMs = 60_000): Promise<GuestResult> {
  return sandbox.run({ argv: ['/bin/bash', '-c', script] }, { timeoutMs })
}
