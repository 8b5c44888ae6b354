/** The API over a real database with real jobs, listening on a free port; no worker takes the jobs. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createApi, createClient, type Client } from '#api'
import { createListener, inOrganization, type Databases, type Listener, type Transaction } from '#db'
import { createGitRecorder, createMirrors } from '#git'
import type { JobId, OrganizationId } from '#lib/ids.ts'
import { createJobs, type Jobs } from '#jobs'
import { createRepositories } from '#repositories'
import { createVault } from '#secrets'
import { createAuthenticator, type Authenticator, ensureFirstOrganization } from '#tenants'
import { appendEvents, type NewEvent } from '../../src/jobs/events.ts'
import { createTestDatabase, testServer, withDatabase } from './database.ts'

type Ending = { after(work: () => Promise<void>): void }

export type TestApi = {
  readonly url: string
  readonly apiKey: string
  readonly client: Client
  readonly home: string
  readonly databases: Databases
  readonly jobs: Jobs
  readonly authenticator: Authenticator
  readonly listener: Listener
  readonly organizationId: OrganizationId
  /** fetch with the key. */
  request(path: string, options?: RequestInit): Promise<Response>
  /** What a worker would do: writes events of a job. */
  happen(jobId: string, events: readonly NewEvent[]): Promise<void>
  within<T>(work: (trx: Transaction) => Promise<T>): Promise<T>
  /** Shuts the test's database to everybody, or opens it again. */
  setReachable(reachable: boolean): Promise<void>
  close(): Promise<void>
}

export async function startTestApi(t: Ending, port = 0): Promise<TestApi> {
  const home = await mkdtemp(join(tmpdir(), 'ff-api-'))
  const { databases, urls, masterKey, log } = await createTestDatabase(t)
  t.after(() => rm(home, { recursive: true, force: true }))
  const listener = await createListener(urls.system, log)
  t.after(async () => listener[Symbol.asyncDispose]())
  const vault = createVault(masterKey)
  let apiKey = ''
  const { organizationId } = await ensureFirstOrganization(databases, {
    read: async () => undefined,
    write: async (key) => void (apiKey = key.reveal()),
  })
  const config = { FLOWFORGE_HOME: home, FLOWFORGE_HOST_NAMES: [], FLOWFORGE_ALLOWED_NETWORKS: [] }
  const repositories = createRepositories({ databases, vault, home, allowedNetworks: [] })
  const recorder = createGitRecorder(databases)
  t.after(async () => recorder[Symbol.asyncDispose]())
  const mirrors = createMirrors({ home, recorder, log })
  const jobs = createJobs({ databases, repositories, mirrors, vault, modelSource: 'scripted' })
  const authenticator = await createAuthenticator(databases, listener)
  const api = await createApi({
    host: '127.0.0.1',
    port,
    databases,
    listener,
    authenticator,
    jobs,
    vault,
    config,
    log,
  })
  let open = true
  async function close(): Promise<void> {
    if (open) await api.close()
    open = false
  }
  t.after(close)
  const within = <T>(work: (trx: Transaction) => Promise<T>): Promise<T> =>
    inOrganization(databases, organizationId, work)
  return {
    url: api.url,
    apiKey,
    client: createClient({ url: api.url, apiKey }),
    home,
    databases,
    jobs,
    authenticator,
    listener,
    organizationId,
    request: (path, options = {}) =>
      fetch(api.url + path, {
        ...options,
        headers: { authorization: `Bearer ${apiKey}`, ...(options.headers as Record<string, string>) },
      }),
    happen: (jobId, events) =>
      within(async (trx) => void (await appendEvents(trx, { organizationId, id: jobId as JobId }, events))),
    within,
    setReachable: (reachable) => setReachable(new URL(urls.app).pathname.slice(1), reachable),
    close,
  }
}

async function setReachable(database: string, reachable: boolean): Promise<void> {
  const admin = new pg.Client({ connectionString: withDatabase(await testServer(), 'postgres') })
  await admin.connect()
  await admin.query(
    `alter database ${admin.escapeIdentifier(database)} with connection limit ${reachable ? -1 : 0}`,
  )
  if (!reachable)
    await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database])
  await admin.end()
}
