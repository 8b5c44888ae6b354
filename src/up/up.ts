/**
 * `flowforge up`: sets up the database, then runs one child process for each role and keeps them running.
 *
 *   up ─┬─ PostgreSQL (embedded, or a server of your own)
 *       ├─ gateway    the only one that gets the model's key
 *       ├─ api
 *       └─ worker
 */
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { environmentWith, readConfig, type Config } from '#config'
import { openDatabases, setUpDatabase, startEmbeddedPostgres, type RoleUrls } from '#db'
import { sleep } from '#lib/clock.ts'
import type { ModelSource } from '#jobs'
import { startUpkeep } from '#ops'
import { openMasterKey } from '#secrets'
import { ensureFirstOrganization } from '#tenants'
import { createLog, type Log } from '#telemetry'
import { requirePrograms, ROLES, type RoleName } from '../app.ts'
import { takeHome } from './home-lock.ts'
import { homeProblem } from './home-problem.ts'
import { endLeftRoles } from './left-roles.ts'
import { superviseRole, type SupervisedRole } from './supervise.ts'
import { readCredentials, writeCredentials } from './credentials.ts'

export type UpOptions = {
  readonly roles?: readonly RoleName[]
  readonly config?: Config
  /** Where the roles log: their own files in FLOWFORGE_HOME/logs, or standard error. */
  readonly logTo?: 'files' | 'stderr'
  /** Environment of the roles on top of this process's: tests and the demo set the model's address by it. */
  readonly environment?: Readonly<Record<string, string>>
  readonly onNews?: (news: UpNews) => void
  /** Set by the demo, which plays the model itself. */
  readonly modelSource?: ModelSource
}

export type UpNews =
  | { readonly event: 'database'; readonly embedded: boolean; readonly adopted: boolean }
  | { readonly event: 'restarted'; readonly role: string; readonly exit: string; readonly delayMs: number }

export type Running = AsyncDisposable & {
  readonly apiUrl: string | undefined
  readonly gatewayUrl: string | undefined
  readonly apiKey: string
  readonly modelSource: ModelSource
  readonly pids: () => Readonly<Record<string, number | undefined>>
  /** Resolves when the whole cannot go on (the database failed for good). */
  readonly failed: Promise<Error>
}

export async function up(options: UpOptions = {}): Promise<Running> {
  const environment = { ...options.environment }
  const config = options.config ?? readConfig(environmentWith(environment))
  const roles = options.roles ?? ROLES
  const home = config.FLOWFORGE_HOME
  const stack = new AsyncDisposableStack()
  try {
    stack.use(await takeHome(home))
    const logDirectory = options.logTo === 'stderr' ? undefined : join(home, 'logs')
    const log = createLog(config, 'up', logDirectory && join(logDirectory, 'up.log'))
    await requirePrograms()
    await endLeftRoles(home, log)
    const masterKey = await openMasterKey(config)
    const failures = new EventEmitter()
    const urls = await startDatabase(config, masterKey, stack, log, failures, options)
    const first = await firstKey(home, urls, log)
    stack.use(
      startUpkeep({
        ownerUrl: urls.owner,
        system: stack.use(openDatabases(urls, { log, name: 'up', connections: 2 })).system,
        log,
      }),
    )

    const modelSource = options.modelSource ?? modelSourceOf(config)
    const supervised = new Map<RoleName, SupervisedRole>()
    const common = { config, environment, log, logDirectory, onNews: options.onNews }
    const startOf = (role: RoleName) => ({
      role,
      databaseUrls: { app: urls.app, system: urls.system, auth: urls.auth },
      gatewayUrl: gatewayUrl ?? '',
      modelSource,
    })
    let gatewayUrl: string | undefined = config.FLOWFORGE_GATEWAY_URL
    // The gateway first: the worker is told where it is. The others start together.
    if (roles.includes('gateway')) {
      const gateway = stack.use(superviseRole({ ...common, start: startOf('gateway') }))
      supervised.set('gateway', gateway)
      gatewayUrl ??= (await gateway.ready) ?? undefined
    }
    gatewayUrl ??= `http://${config.FLOWFORGE_HOST}:${config.FLOWFORGE_GATEWAY_PORT}`
    for (const role of roles) {
      if (!supervised.has(role))
        supervised.set(role, stack.use(superviseRole({ ...common, start: startOf(role) })))
    }
    await Promise.all([...supervised.values()].map(({ ready }) => ready))
    const apiUrl = (await supervised.get('api')?.ready) ?? undefined
    if (apiUrl !== undefined) await writeCredentials(home, { url: apiUrl, apiKey: first })
    return {
      apiUrl,
      gatewayUrl: roles.includes('gateway') ? gatewayUrl : undefined,
      apiKey: first,
      modelSource,
      pids: () => Object.fromEntries([...supervised].map(([role, child]) => [role, child.pid()])),
      failed: once(failures, 'failed').then(([error]) => error as Error),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw homeProblem(home, error) ?? error
  }
}

async function startDatabase(
  config: Config,
  masterKey: Awaited<ReturnType<typeof openMasterKey>>,
  stack: AsyncDisposableStack,
  log: Log,
  failures: EventEmitter,
  options: UpOptions,
): Promise<RoleUrls> {
  if (config.FLOWFORGE_DATABASE_URL) {
    options.onNews?.({ event: 'database', embedded: false, adopted: false })
    return setUpDatabase(config.FLOWFORGE_DATABASE_URL.reveal(), masterKey, log)
  }
  const embedded = await superviseEmbedded(config.FLOWFORGE_HOME, log, failures)
  stack.use(embedded)
  options.onNews?.({ event: 'database', embedded: true, adopted: embedded.adopted })
  return setUpDatabase(embedded.adminUrl, masterKey, log)
}

/** The embedded server is started again when it dies; the roles' pools and listeners come back by themselves. */
async function superviseEmbedded(home: string, log: Log, failures: EventEmitter) {
  let server = await startEmbeddedPostgres({ home, log })
  const { adminUrl, adopted } = server
  const ending = new AbortController()
  const watching = (async () => {
    for (let failed = 0; !ending.signal.aborted;) {
      const startedAt = performance.now()
      await server.exited
      if (ending.signal.aborted) return
      failed = performance.now() - startedAt > 60_000 ? 0 : failed + 1
      if (failed > 20)
        return void failures.emit(
          'failed',
          new Error('PostgreSQL ended again and again; see its log in FLOWFORGE_HOME/postgres.'),
        )
      log.error({ failed }, 'database.restarting')
      await sleep(Math.min(100 * 2 ** failed, 5_000), ending.signal)
      server = await startEmbeddedPostgres({ home, log }).catch((error: unknown) => {
        log.error({ error: String(error) }, 'database.start-failed')
        return { ...server, exited: sleep(1_000, ending.signal) }
      })
    }
  })()
  return {
    adminUrl,
    adopted,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await server.stop()
      await watching
    },
  }
}

/** Where answers come from, as far as the configuration tells. */
function modelSourceOf(config: Config): ModelSource {
  const anthropic = new URL(config.FLOWFORGE_UPSTREAM_URL).hostname === 'api.anthropic.com'
  if (!anthropic) return 'custom'
  return config.ANTHROPIC_API_KEY === undefined ? 'none' : 'anthropic'
}

/** The operator's key, made at the first start and kept in credentials.json. */
async function firstKey(home: string, urls: RoleUrls, log: Log): Promise<string> {
  await using databases = openDatabases(urls, { log, name: 'up', connections: 2 })
  await ensureFirstOrganization(databases, {
    read: async () => (await readCredentials(home))?.apiKey,
    write: (key) => writeCredentials(home, { apiKey: key.reveal() }),
  })
  return (await readCredentials(home))?.apiKey ?? ''
}
