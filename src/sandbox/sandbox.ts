/**
 * The port of the sandbox: where foreign code runs.
 *
 *   Sandboxes   a technology on this host (bubblewrap, Docker, Kubernetes): opens sandboxes, reaps orphans
 *   Sandbox     one job's isolated machine: a workspace, limits, gates; several processes may run in it
 *   Gate        a unix socket in /run/ff, the only way out. The socket is the job's identity: there is one
 *               directory of sockets for each sandbox, and no secret inside
 *   Guest       whatever runs inside. Guest paths are fixed:
 *                 /workspace     the work tree, counted against the disk limit
 *                 /state         the agent's own state (CLAUDE_CONFIG_DIR), counted too, saved with checkpoints
 *                 /exchange/in   files put in by the host, read-only
 *                 /exchange/out  files that the host may take
 *                 /cache         package caches, counted too, shared by the sandbox's processes, part of a layer
 *                 /home/agent, /tmp   memory, gone with the process
 *                 /opt/ff        node, claude and the guest's helper, read-only
 */
import type { RequestListener } from 'node:http'
import type { Readable, Writable } from 'node:stream'

/** Everything a sandbox needs to know, as data: it renders to bubblewrap options today, to Docker, Swarm and Kubernetes later. */
export type SandboxSpec = {
  /** The execution's id: names the workspace, the socket directory and the cgroup, and lets the reaper find orphans. */
  readonly id: string
  readonly limits: SandboxLimits
  readonly egress: EgressPolicy
  /** Host directories shown read-only at the same path (toolchains, by configuration). */
  readonly toolchains: readonly string[]
  /** A saved workspace (see Sandbox.saveLayer) to start from, copy-on-write. Absolute host path. */
  readonly layer?: string
  readonly seccomp: 'default' | 'debugger'
}

export type SandboxLimits = {
  readonly memoryBytes: number
  readonly processes: number
  /** Cores; 1.5 is one and a half. */
  readonly cpus: number
  readonly diskBytes: number
  readonly inodes: number
  readonly openFiles: number
  readonly fileBytes: number
}

export const DEFAULT_LIMITS: SandboxLimits = {
  memoryBytes: 4 * 1024 ** 3,
  processes: 512,
  cpus: 2,
  diskBytes: 8 * 1024 ** 3,
  inodes: 1_000_000,
  openFiles: 4096,
  fileBytes: 2 * 1024 ** 3,
}

/** What a sandbox may reach. Nothing is allowed that is not written here. */
export type EgressPolicy = { readonly allow: readonly EgressRule[] }

export type EgressRule = {
  /** A host name; `*.example.com` means every name below it. Never an address. */
  readonly host: string
  readonly port: number
  /** Upper-case HTTP methods, checked on every request; GET and HEAD by default. Ignored for a tunnel. */
  readonly methods?: readonly string[]
  /** Request paths must start with one of these. Ignored for a tunnel. */
  readonly paths?: readonly string[]
  /**
   * The host speaks TLS. The sandbox may speak plain HTTP to our gate, or https: the gate then answers the TLS itself
   * (sandboxes trust its authority), so every request is checked either way.
   */
  readonly tls?: boolean
  /** CONNECT is allowed: checked by name and address only, what flows inside is not seen. Weaker, and shown as such. */
  readonly tunnel?: boolean
}

/** What the technology really enforces on this host. `doctor` prints it; the docs table is generated from it. */
export type Guarantees = {
  readonly technology: string
  readonly isolatedFilesystem: boolean
  readonly noNetworkDevice: boolean
  readonly seccomp: boolean
  readonly memoryLimit: boolean
  readonly processLimit: boolean
  readonly cpuLimit: boolean
  readonly diskLimit: 'hard' | 'soft' | 'none'
  readonly inodeLimit: boolean
  readonly ownUserPerSandbox: boolean
  readonly killsOrphans: boolean
  /** One sentence for each guarantee that does not hold, with the remedy. */
  readonly missing: readonly string[]
}

export type Sandboxes = AsyncDisposable & {
  readonly guarantees: Guarantees
  open(spec: SandboxSpec, gates: Gates, signal: AbortSignal): Promise<Sandbox>
  /** Ends every sandbox (processes, mounts, directories, cgroups) whose id is not alive. Answers the ids it ended. */
  reap(isAlive: (id: string) => Promise<boolean>): Promise<readonly string[]>
}

export type Gates = {
  /** Serves /run/ff/model.sock: the Messages API for this job. Absent: no model. */
  readonly model?: RequestListener
  /** Told of every decision of the egress gate: evidence for the job's log. */
  readonly onEgress?: (decision: EgressDecision) => void
}

export type EgressDecision = {
  readonly verdict: 'allowed' | 'denied'
  readonly target: string
  readonly method: string
  readonly reason?: string
}

export type Sandbox = AsyncDisposable & {
  readonly id: string
  /** Starts a process inside. Several may run at once; all share the workspace, the gates and the limits. */
  start(command: GuestCommand): Promise<GuestProcess>
  /** Runs a process to its end and keeps its output (the last `keepBytes` of each stream, 256 KiB by default). */
  run(command: GuestCommand, options?: RunOptions): Promise<GuestResult>
  /** Copies a host file to /exchange/in/NAME. */
  put(hostFile: string, name: string): Promise<void>
  /** Copies /exchange/out/NAME to a host file. Regular files only, no link is followed; larger than maxBytes is an error. */
  take(name: string, hostFile: string, maxBytes: number): Promise<'taken' | 'absent' | 'too-large'>
  /** Saves the workspace as a layer that later sandboxes can start from. */
  saveLayer(hostPath: string): Promise<void>
}

export type GuestCommand = {
  readonly argv: readonly string[]
  /** Added to the environment, which is built from nothing. */
  readonly env?: Readonly<Record<string, string>>
  /** Guest path; /workspace by default. */
  readonly cwd?: string
  /**
   * Whether the egress gate's relay runs beside the command: true waits until its ports are open (about 15 ms),
   * 'background' does not (for programs that take longer to start, such as the agent), false leaves it out. True by default when the policy
   * allows anything.
   */
  readonly network?: boolean | 'background'
}

export type RunOptions = {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly keepBytes?: number
  readonly onOutput?: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
}

export type GuestProcess = {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exited: Promise<GuestExit>
  /** Sends a signal to the guest's main process. */
  signal(name: 'SIGINT' | 'SIGTERM'): void
  /** Ends the process and everything it started, at once. */
  kill(): void
}

export type GuestExit = {
  /** 127: the program could not be started; stderr says why. 128 and more: it was ended by a signal. */
  readonly exitCode: number
  /** Set when the guest did not end by itself. */
  readonly ended?: 'killed' | 'timed-out' | 'out-of-memory'
}

export type GuestResult = GuestExit & { readonly stdout: Buffer; readonly stderr: Buffer }
