/** What a story has in its hands while it works on one job. */
import type { Databases } from '#db'
import type { GitRepository, Mirror, Mirrors } from '#git'
import type { Clock } from '#lib/clock.ts'
import type { Sandboxes, SandboxLimits, EgressPolicy } from '#sandbox'
import type { Blobs } from '#storage'
import type { Log } from '#telemetry'
import type { Claim } from './claim.ts'
import type { EventLog } from './events.ts'
import type { JobQueue } from './queue.ts'

export type WorkerTools = {
  readonly databases: Databases
  readonly queue: JobQueue
  readonly sandboxes: Sandboxes
  readonly mirrors: Mirrors
  readonly blobs: Blobs
  readonly clock: Clock
  readonly log: Log
  readonly settings: WorkerSettings
  /** The repository of a claimed job, with its credential opened. */
  readonly repositoryOf: (
    claim: Claim,
  ) => Promise<{ readonly git: GitRepository; readonly sensitivePaths: readonly string[] | undefined }>
}

export type WorkerSettings = {
  /** For files on their way between git, sandbox and storage. */
  readonly scratchDirectory: string
  readonly layerDirectory: string
  readonly gatewayUrl: string
  readonly limits: SandboxLimits
  readonly egress: EgressPolicy
  readonly toolchains: readonly string[]
  readonly commitAuthor: { readonly name: string; readonly email: string }
  readonly checkpointEveryMs: number
  readonly maxRunningJobs: number | undefined
}

export type Work = {
  readonly claim: Claim
  readonly tools: WorkerTools
  readonly repository: GitRepository
  readonly sensitivePaths: readonly string[] | undefined
  readonly mirror: Mirror
  readonly events: EventLog
  /** What people tell the agent while it runs. */
  readonly messages: AsyncIterable<string>
  /** Aborted with a Stop as its reason. */
  readonly signal: AbortSignal
  /** What ends only after the job is settled: taking a sandbox down is not to be waited for. */
  readonly atEnd: AsyncDisposableStack
}
