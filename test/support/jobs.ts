/** Jobs in a real database with a real queue, and no worker: tests take deliveries and do its steps one by one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PgBoss } from 'pg-boss'
import { readConfig } from '#config'
import { asSystem, inOrganization, type Transaction } from '#db'
import { createMirrors, type Mirrors } from '#git'
import { sleep, systemClock } from '#lib/clock.ts'
import { newId, type JobId, type OrganizationId, type RepositoryId, type WorkerId } from '#lib/ids.ts'
import { createJobQueue, createJobs, type Jobs } from '#jobs'
import { createRepositories, findOrRegister, openRepository } from '#repositories'
import { egressFrom, limitsFrom } from '#sandbox'
import { createVault } from '#secrets'
import { createFolderBlobs } from '#storage'
import { ALL_SCOPES, type KeyPrincipal } from '#tenants'
import { claimJob, type Claim } from '../../src/jobs/claim.ts'
import { createEventLog } from '../../src/jobs/events.ts'
import type { Delivery, JobQueue, QueueName } from '../../src/jobs/queue.ts'
import type { Work, WorkerTools } from '../../src/jobs/work.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { makeOrigin } from './story.ts'

type Ending = { after(work: () => Promise<void>): void }

export type Place = {
  readonly organizationId: OrganizationId
  readonly repositoryId: RepositoryId
  readonly origin: string
  readonly principal: KeyPrincipal
}

export type TestJobs = TestDatabase & {
  readonly queue: JobQueue
  readonly jobs: Jobs
  readonly mirrors: Mirrors
  /** An organization with one repository. */
  makePlace(limits?: {
    readonly weight?: number
    readonly organizationLimit?: number
    readonly repositoryLimit?: number
  }): Promise<Place>
  /** A job that waits for admission, as submit leaves it. */
  waiting(
    place: Place,
    more?: { readonly priority?: number; readonly maxAttempts?: number; readonly into?: string },
  ): Promise<JobId>
  /** A live worker with so many places. */
  worker(slots: number): Promise<WorkerId>
  system<T>(work: (trx: Transaction) => Promise<T>): Promise<T>
  /** Takes the next entry of a queue, as a worker does. */
  take(queue: QueueName): Promise<Delivery | undefined>
  /** What happens when a worker dies: its heartbeats stop, the supervisor gives the entry to another. */
  loseLease(delivery: Delivery): Promise<void>
  claim(delivery: Delivery): Promise<Claim>
  /** What a story has in its hands; only sandboxes cannot be opened. */
  workOf(claim: Claim, place: Place): Promise<Work>
}

export async function startTestJobs(t: Ending): Promise<TestJobs> {
  const database = await createTestDatabase(t)
  const { databases, urls, log, masterKey } = database
  const home = await mkdtemp(join(tmpdir(), 'ff-jobs-'))
  const queue = await createJobQueue({ url: urls.system, places: 2, name: 'test', log })
  const boss = new PgBoss({
    connectionString: urls.system,
    schema: 'pgboss',
    max: 4,
    migrate: false,
    createSchema: false,
    supervise: false,
    monitorIntervalSeconds: 1,
    schedule: false,
  })
  boss.on('error', () => undefined)
  await boss.start()
  t.after(async () => {
    await boss.stop({ graceful: false })
    await queue[Symbol.asyncDispose]()
    await rm(home, { recursive: true, force: true })
  })
  const vault = createVault(masterKey)
  const mirrors = createMirrors({ home, recorder: async () => undefined, log })
  const repositories = createRepositories({ databases, vault, home, allowedNetworks: [] })
  const jobs = createJobs({ databases, repositories, mirrors, vault, modelSource: 'scripted' })
  const blobs = createFolderBlobs(join(home, 'blobs'))
  const config = readConfig({ FLOWFORGE_HOME: home })
  const tools: WorkerTools = {
    ...{ databases, queue, mirrors, blobs, clock: systemClock, log },
    sandboxes: {
      guarantees: {} as never,
      open: () => Promise.reject(new Error('these tests open no sandbox')),
      reap: async () => [],
      [Symbol.asyncDispose]: async () => undefined,
    },
    repositoryOf: (claim) =>
      inOrganization(databases, claim.key.organizationId, (trx) =>
        openRepository(trx, vault, claim.job.repository_id),
      ),
    settings: {
      scratchDirectory: join(home, 'scratch'),
      layerDirectory: join(home, 'layers'),
      gatewayUrl: 'http://127.0.0.1:9',
      limits: limitsFrom(config),
      egress: egressFrom(config),
      toolchains: [],
      commitAuthor: { name: 'Test', email: 'test@localhost' },
      checkpointEveryMs: 180_000,
      maxRunningJobs: undefined,
    },
  }
  const system: TestJobs['system'] = (work) => asSystem(databases, work)

  return {
    ...database,
    queue,
    jobs,
    mirrors,
    system,

    async makePlace({ weight = 1, organizationLimit, repositoryLimit } = {}) {
      const organizationId = newId<'organization'>()
      const origin = await makeOrigin(t, { 'README.md': '#\n' })
      const principal = {
        kind: 'key',
        organizationId,
        keyId: newId(),
        scopes: ALL_SCOPES,
        name: 'tester',
      } as const satisfies KeyPrincipal
      await system((trx) =>
        trx
          .insertInto('organizations')
          .values({
            id: organizationId,
            slug: organizationId,
            name: 'Test',
            share_weight: weight,
            max_running_jobs: organizationLimit ?? null,
          })
          .execute(),
      )
      const named = await repositories.resolve(principal, origin)
      const { id } = await inOrganization(databases, organizationId, (trx) =>
        findOrRegister(trx, principal, named),
      )
      if (repositoryLimit !== undefined)
        await inOrganization(databases, organizationId, (trx) =>
          trx
            .updateTable('repositories')
            .set({ max_running_jobs: repositoryLimit })
            .where('id', '=', id)
            .execute(),
        )
      return { organizationId, repositoryId: id as RepositoryId, origin, principal }
    },

    async waiting({ organizationId, repositoryId }, { priority = 0, maxAttempts = 1, into = 'main' } = {}) {
      const id = newId<'job'>()
      await inOrganization(databases, organizationId, async (trx) => {
        const { number } = await trx
          .updateTable('organizations')
          .set((set) => ({ next_job_number: set('next_job_number', '+', 1) }))
          .where('id', '=', organizationId)
          .returning((row) => row('next_job_number', '-', 1).as('number'))
          .executeTakeFirstOrThrow()
        await trx
          .insertInto('jobs')
          .values({
            id,
            organization_id: organizationId,
            number: Number(number),
            repository_id: repositoryId,
            title: 'Test',
            task: 'Test',
            agent: 'command',
            command: ['true'],
            time_limit_seconds: 60,
            base_ref: into,
            target_branch: into,
            landing: 'merge',
            priority,
            max_attempts: maxAttempts,
            created_by: 'tester',
          })
          .execute()
      })
      return id
    },

    async worker(slots) {
      const id = newId<'worker'>()
      await system((trx) => trx.insertInto('workers').values({ id, host: 'test', pid: 1, slots }).execute())
      return id
    },

    async take(name) {
      const [job] = await boss.fetch<{ jobId: string }>(name, { includeMetadata: true })
      return job && { queue: name, entry: job.id, retry: job.retryCount, jobId: job.data.jobId as JobId }
    },

    async loseLease({ queue: name, entry }) {
      const owner = await database.connect('owner')
      await owner.query(
        `update pgboss.job set heartbeat_on = now() - interval '1 hour' where id = $1 and state = 'active'`,
        [entry],
      )
      for (;;) {
        await boss.supervise(name)
        const { rows } = await owner.query(`select from pgboss.job where id = $1 and state = 'active'`, [
          entry,
        ])
        if (rows.length === 0) break
        await sleep(100)
      }
      // The back-off of the queue is its own matter; here the next delivery comes at once.
      await owner.query(`update pgboss.job set start_after = now() where id = $1 and state = 'retry'`, [
        entry,
      ])
    },

    async claim(delivery) {
      const claim = await system((trx) => claimJob(trx, delivery, newId<'worker'>()))
      if (!claim) throw new Error('the delivery is out of date')
      return claim
    },

    async workOf(claim, place) {
      const { git } = await inOrganization(databases, place.organizationId, (trx) =>
        openRepository(trx, vault, place.repositoryId),
      )
      return {
        claim,
        tools,
        repository: git,
        sensitivePaths: undefined,
        mirror: mirrors.open(git),
        events: createEventLog({
          databases,
          job: claim.key,
          executionId: claim.executionId,
          log,
          onStale: () => undefined,
        }),
        messages: (async function* () {})(),
        atEnd: new AsyncDisposableStack(),
        signal: new AbortController().signal,
      }
    },
  }
}
