import type { Config } from '#config'
import type { Databases, Listener } from '#db'
import type { Jobs } from '#jobs'
import type { Vault } from '#secrets'
import type { Log } from '#telemetry'
import type { Authenticator } from '#tenants'

/** What the API needs from below. `app.ts` chooses. */
export type ApiTools = {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  readonly databases: Databases
  readonly listener: Pick<Listener, 'listen'>
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly jobs: Jobs
  /** Seals the credentials of repositories. */
  readonly vault: Vault
  readonly config: Pick<Config, 'FLOWFORGE_HOME' | 'FLOWFORGE_HOST_NAMES' | 'FLOWFORGE_ALLOWED_NETWORKS'> &
    Partial<Pick<Config, 'FLOWFORGE_PRICES'>>
  readonly log: Log
}

export type Api = {
  /** Where it listens: http://127.0.0.1:7420. */
  readonly url: string
  /** Ends open streams (their readers resume elsewhere), waits for running requests, and stops listening. */
  close(): Promise<void>
}
