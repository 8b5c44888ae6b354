/**
 * The composition root: the only file that picks adapters. Each role is started here, in a process of its own, and
 * loads only what it needs: the gateway is to stay small.
 */
import { join } from 'node:path'
import type { Config } from '#config'
import { createListener, inOrganization, openDatabases, type Databases, type RoleUrls } from '#db'
import { createGitRecorder, createMirrors, requireGit, type Mirrors } from '#git'
import { systemClock } from '#lib/clock.ts'
import { createJobQueue, createJobs, startWorker, type ModelSource } from '#jobs'
import { createRepositories, openRepository } from '#repositories'
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

/** What must be on this machine, whatever the configuration: asked before anything is started. */
export async function requirePrograms(): Promise<void> {
  await requireGit()
}

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
    vault,
    repositories: createRepositories({
      databases,
      vault,
      home: config.FLOWFORGE_HOME,
      allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
    }),
    mirrors: openMirrors(config, databases, log, stack),
    modelSource: start.modelSource,
  })
  const { createApi } = await import('#api')
  const api = await createApi({
    host: config.FLOWFORGE_HOST,
    port: config.FLOWFORGE_PORT,
    databases,
    listener,
    authenticator: stack.use(await createAuthenticator(databases, listener)),
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
  const { startGateway } = await import('#gateway')
  const gateway = await startGateway({
    config,
    databases,
    listener,
    authenticator: stack.use(await createAuthenticator(databases, listener)),
    log,
    spoolFolder: join(config.FLOWFORGE_HOME, 'spool'),
  })
  stack.defer(() => gateway.close())
  return { url: gateway.url, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function startWorkerRole(
  config: Config,
  start: RoleStart,
  masterKey: MasterKey,
  log: Log,
): Promise<Role> {
  const stack = new AsyncDisposableStack()
  const { createSandboxes, egressFrom, limitsFrom, refuseWeaker } = await import('#sandbox')
  const home = config.FLOWFORGE_HOME
  const places = { slots: config.FLOWFORGE_SLOTS, lanes: config.FLOWFORGE_LANES }
  const databases = stack.use(
    openDatabases(start.databaseUrls, {
      log,
      name: 'worker',
      connections: Math.min(places.slots + places.lanes + 4, 40),
    }),
  )
  const listener = stack.use(await createListener(start.databaseUrls.system, log))
  const sandboxes = stack.use(await createSandboxes(config, log))
  // Said at the start, not at each job.
  if (config.FLOWFORGE_SANDBOX === 'local') refuseWeaker(sandboxes.guarantees, config.FLOWFORGE_ALLOW_WEAKER)
  const queue = stack.use(
    await createJobQueue({
      url: start.databaseUrls.system,
      places: places.slots + places.lanes,
      name: `worker-${process.pid}`,
      log,
    }),
  )
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
        mirrors: openMirrors(config, databases, log, stack),
        blobs: createFolderBlobs(join(home, 'blobs')),
        repositoryOf: (claim) =>
          inOrganization(databases, claim.key.organizationId, (trx) =>
            openRepository(trx, vault, claim.job.repository_id),
          ),
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

function openMirrors(config: Config, databases: Databases, log: Log, stack: AsyncDisposableStack): Mirrors {
  return createMirrors({
    home: config.FLOWFORGE_HOME,
    recorder: stack.use(createGitRecorder(databases)),
    allowedNetworks: config.FLOWFORGE_ALLOWED_NETWORKS,
    log,
  })
}
