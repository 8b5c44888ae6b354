/** From the configuration to sandboxes: which technology, which limits, what egress, and what `doctor` shows. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Config } from '#config'
import { Refusal } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { createLocalSandboxes } from './adapters/bubblewrap.ts'
import { createNoSandboxes } from './adapters/none.ts'
import { createSeatbeltSandboxes } from './adapters/seatbelt.ts'
import {
  DEFAULT_LIMITS,
  type EgressPolicy,
  type EgressRule,
  type Guarantees,
  type SandboxLimits,
  type Sandboxes,
} from './sandbox.ts'

const MIB = 1024 ** 2
const READ_ONLY = ['GET', 'HEAD'] as const

export async function createSandboxes(config: Config, log?: Log): Promise<Sandboxes> {
  const claude = findClaude()
  if (config.FLOWFORGE_SANDBOX === 'none')
    return createNoSandboxes({
      home: config.FLOWFORGE_HOME,
      ...(claude ? { claudeBinary: claude } : {}),
      ...(log ? { log } : {}),
    })
  const createForHost = process.platform === 'darwin' ? createSeatbeltSandboxes : createLocalSandboxes
  return createForHost({
    home: config.FLOWFORGE_HOME,
    allowWeaker: config.FLOWFORGE_ALLOW_WEAKER,
    allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
    ...(claude ? { claudeBinary: claude } : {}),
    ...(log ? { log } : {}),
  })
}

export function limitsFrom(config: Config): SandboxLimits {
  return {
    ...DEFAULT_LIMITS,
    memoryBytes: config.FLOWFORGE_SANDBOX_MEMORY_MB * MIB,
    diskBytes: config.FLOWFORGE_SANDBOX_DISK_MB * MIB,
  }
}

/** Each entry is a host that may be read from, `tunnel:HOST` one that may be connected to. */
export function egressFrom(config: Config): EgressPolicy {
  return { allow: config.FLOWFORGE_EGRESS.map(ruleFrom) }
}

function ruleFrom(entry: string): EgressRule {
  const tunnel = entry.startsWith('tunnel:')
  const [host = '', port = '443'] = entry
    .slice(tunnel ? 'tunnel:'.length : 0)
    .toLowerCase()
    .split(':')
  if (tunnel) return { host, port: Number(port), tunnel: true }
  return { host, port: Number(port), tls: true, methods: READ_ONLY }
}

export type HostInspection = {
  /** Why no sandbox can be opened here, as a sentence with its remedy. */
  readonly problem?: string
  readonly guarantees?: Guarantees
}

/** Tries it: what a kernel, a container or a security module permits cannot be read from anywhere. */
export async function inspectHost(config: Config): Promise<HostInspection> {
  try {
    await using sandboxes = await createSandboxes(config)
    return { guarantees: sandboxes.guarantees }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { problem: error.facts['problem'] ?? error.message }
  }
}

/** The binary that npm installed beside the Agent SDK for this platform. */
export function findClaude(): string | undefined {
  const require = createRequire(import.meta.url)
  for (const libc of ['', '-musl']) {
    try {
      const name = `@anthropic-ai/claude-agent-sdk-${process.platform}-${process.arch}${libc}`
      const path = join(dirname(require.resolve(`${name}/package.json`)), 'claude')
      if (existsSync(path)) return path
    } catch {
      // Not this one.
    }
  }
  return undefined
}
