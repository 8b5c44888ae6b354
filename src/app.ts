/**
 * The composition root: the only file that picks adapters. Each role is started here, by its own process (role.ts)
 * or by a test.
 */
import { join } from 'node:path'
import { createApi } from '#api'
import type { Config } from '#config'
import { createListener, inOrganization, openDatabases, type RoleUrls } from '#db'
import { startGateway } from '#gateway'
import { createGitRecorder, createMirrors } from '#git'
import { systemClock } from '#lib/clock.ts'
import { createJobQueue, createJobs, startWorker, type ModelSource } from '#jobs'
import { createHostGuard, openRepository } from '#repositories'
import { createSandboxes, egressFrom, limitsFrom } from '#sandbox'
import { createVault, type MasterKey } from '#secrets'
import { createFolderBlobs } from '#storage'
import { createLog, type Log } from '#telemetry'
import { createAuthenticator } from '#tenants'

export const ROLES = ['api', 'gateway', 'worker'] as const
export type RoleName = (typeof ROLES)[number]

/** What a role is told at its start. Comes over a pipe, never by the environment: the URLs hold passwords. */
export type RoleStart = {
  readonly role: RoleName
  readonly databaseUrls: Omit<RoleUrls, 'owner'>
  readonly gatewayUrl: string
  readonly modelSource: ModelSource
}

export type Role = AsyncDisposable & { readonly url?: string }

export async function startRole(config: Config, start: RoleStart, masterKey: MasterKey): Promise<Role> {
  const log = createLog(config, start.role)
  switch (start.role) {
    case 'api':
      return startApiRole(config, start, masterKey, log)
    case 'gateway':
      return startGatewayRole(config, start, log)
    case 'worker':
      return startWorkerRole(config, start, masterKey, log)
  }
}

async function startApiRole(config: Config, start: RoleStart, masterKey: MasterKey, log: Log): Promise<Role> {
  const stack = new AsyncDisposableStack()
  const databases = stack.use(openDatabases(start.databaseUrls, { log, name: 'api' }))
  const listener = stack.use(await createListener(start.databaseUrls.system, log))
  const vault = createVault(masterKey)
  const jobs = createJobs({
    databases,
    log,
    vault,
    home: config.FLOWFORGE_HOME,
    allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
    mirrors: mirrorsOf(config, databases, log),
    blobs: createFolderBlobs(join(config.FLOWFORGE_HOME, 'blobs')),
    modelSource: start.modelSource,
  })
  const api = await createApi({
    host: config.FLOWFORGE_HOST,
    port: config.FLOWFORGE_PORT,
    databases,
    listener,
    authenticator: await createAuthenticator(databases, listener),
    jobs,
    vault,
    config,
    log,
  })
  stack.defer(() => api.close())
  return { url: api.url, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function startGatewayRole(config: Config, start: RoleStart, log: Log): Promise<Role> {
  const stack = new AsyncDisposableStack()
  const databases = stack.use(openDatabases(start.databaseUrls, { log, name: 'gateway' }))
  const listener = stack.use(await createListener(start.databaseUrls.system, log))
  const gateway = await startGateway({ config, databases, authenticator: await createAuthenticator(databases, listener), log })
  stack.defer(() => gateway.close())
  return { url: gateway.url, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function startWorkerRole(config: Config, start: RoleStart, masterKey: MasterKey, log: Log): Promise<Role> {
  const stack = new AsyncDisposableStack()
  const home = config.FLOWFORGE_HOME
  const places = { slots: config.FLOWFORGE_SLOTS, lanes: config.FLOWFORGE_LANES }
  const databases = stack.use(openDatabases(start.databaseUrls, { log, name: 'worker', connections: Math.min(places.slots + places.lanes + 4, 40) }))
  const listener = stack.use(await createListener(start.databaseUrls.system, log))
  const sandboxes = await createSandboxes(config, log)
  const queue = stack.use(await createJobQueue({ url: start.databaseUrls.system, places: places.slots + places.lanes, name: `worker-${process.pid}`, log }))
  const vault = createVault(masterKey)
  const author = /^(.*) <(.*)>$/.exec(config.FLOWFORGE_COMMIT_AUTHOR)
  stack.use(
    await startWorker(
      {
        databases,
        queue,
        sandboxes,
        log,
        clock: systemClock,
        mirrors: mirrorsOf(config, databases, log),
        blobs: createFolderBlobs(join(home, 'blobs')),
        repositoryOf: (claim) =>
          inOrganization(databases, claim.key.organizationId, (trx) => openRepository(trx, vault, claim.job.repository_id)),
        settings: {
          scratchDirectory: join(home, 'scratch'),
          layerDirectory: join(home, 'layers'),
          gatewayUrl: start.gatewayUrl,
          limits: limitsFrom(config),
          egress: egressFrom(config),
          toolchains: config.FLOWFORGE_TOOLCHAINS,
          commitAuthor: { name: author?.[1] ?? 'FlowForge', email: author?.[2] ?? 'flowforge@localhost' },
          checkpointEveryMs: config.FLOWFORGE_CHECKPOINT_SECONDS * 1000,
          maxRunningJobs: config.FLOWFORGE_MAX_RUNNING_JOBS,
        },
      },
      listener,
      places,
    ),
  )
  return { [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function mirrorsOf(config: Config, databases: Parameters<typeof createGitRecorder>[0], log: Log) {
  return createMirrors({
    home: config.FLOWFORGE_HOME,
    recorder: createGitRecorder(databases),
    checkHost: createHostGuard(config.FLOWFORGE_ALLOWED_NETWORKS),
    log,
  })
}
