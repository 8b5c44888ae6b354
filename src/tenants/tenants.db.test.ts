import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asSystem, createListener, inOrganization, notify } from '#db'
import { newId, type ExecutionId, type JobId, type OrganizationId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import { createTestDatabase } from '#test/database.ts'
import { createAuthenticator } from './authenticate.ts'
import { ensureFirstOrganization } from './first-organization.ts'
import { mintApiKey, mintJobToken, revokeApiKey } from './keys.ts'
import { requireScope } from './scopes.ts'
import { deleteExpiredJobTokens } from './store.ts'

const db = await createTestDatabase()
const { databases } = db
const clock = { time: Date.now(), now: () => clock.time }

function keyFile() {
  const file = {
    held: undefined as string | undefined,
    writes: 0,
    read: async () => file.held,
    write: async (key: Secret) => {
      file.writes++
      file.held = key.reveal()
    },
  }
  return file
}

const { organizationId } = await ensureFirstOrganization(databases, keyFile())

function mint(scopes: Parameters<typeof mintApiKey>[1]['scopes'] = ['jobs:read'], expiresAt?: Date) {
  return inOrganization(databases, organizationId, (trx) =>
    mintApiKey(trx, { organizationId, name: 'ci', scopes, ...(expiresAt && { expiresAt }) }),
  )
}

async function open(t: { after(work: () => Promise<void>): void }) {
  const listener = await createListener(db.urls.system, db.log)
  t.after(async () => listener[Symbol.asyncDispose]())
  return createAuthenticator(databases, listener, clock)
}

async function until(true_: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000
  while (!(await true_())) {
    if (Date.now() > deadline) throw new Error('it did not become true within 5 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('eight first starts at once make one organization and one key', async () => {
  const other = await createTestDatabase({ after: (work) => test.after(work) })
  const file = keyFile()
  const all = await Promise.all(
    Array.from({ length: 8 }, () => ensureFirstOrganization(other.databases, file)),
  )
  assert.equal(new Set(all.map((one) => one.organizationId)).size, 1)
  assert.equal(file.writes, 1)
  const keys = await other.databases.system.selectFrom('api_keys').select(['scopes', 'prefix']).execute()
  assert.equal(keys.length, 1)
  assert.ok(keys[0]?.scopes.includes('operator'))
  file.held = 'ff_lost'
  assert.equal((await ensureFirstOrganization(other.databases, file)).madeKey, true)
})

test('a key authenticates as its organization with its scopes; only its hash is stored', async (t) => {
  const authenticator = await open(t)
  const { secret, id, prefix } = await mint(['jobs:read', 'gateway:use'])
  assert.match(secret.reveal(), /^ff_[A-Za-z0-9_-]{43}$/)
  const principal = await authenticator.authenticate(secret.reveal())
  assert.deepEqual(principal, {
    kind: 'key',
    organizationId,
    keyId: id,
    scopes: ['jobs:read', 'gateway:use'],
    name: 'ci',
  })
  const row = await databases.system
    .selectFrom('api_keys')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  assert.ok(!JSON.stringify(row).includes(secret.reveal().slice(prefix.length)))
  assert.ok(row.last_used_at)
})

test('what is no key is nobody', async (t) => {
  const authenticator = await open(t)
  const { secret } = await mint()
  const wrong = secret.reveal().replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
  for (const text of [
    '',
    'ff_',
    wrong,
    `${secret.reveal()} `,
    `ffj_${'x'.repeat(43)}`,
    "ff_' or 1=1 --",
    'x'.repeat(100_000),
  ]) {
    assert.equal(await authenticator.authenticate(text), undefined)
  }
})

test('a revoked key is dead at once, also where it was remembered', async (t) => {
  const authenticator = await open(t)
  const { secret, id } = await mint()
  assert.ok(await authenticator.authenticate(secret.reveal()))
  await inOrganization(databases, organizationId, (trx) => revokeApiKey(trx, id))
  await until(async () => (await authenticator.authenticate(secret.reveal())) === undefined)
  await assert.rejects(
    inOrganization(databases, organizationId, (trx) => revokeApiKey(trx, id)),
    { code: 'not_found' },
  )
})

test('one look-up serves many requests, and is forgotten when a message may have been missed', async (t) => {
  const listener = await createListener(db.urls.system, db.log)
  t.after(async () => listener[Symbol.asyncDispose]())
  const authenticator = await createAuthenticator(databases, listener, clock)
  const { secret, id } = await mint()
  assert.ok(await authenticator.authenticate(secret.reveal()))
  // Behind the back of NOTIFY, so that what is remembered shows.
  await databases.system
    .updateTable('api_keys')
    .set({ revoked_at: new Date() })
    .where('id', '=', id)
    .execute()
  assert.ok(await authenticator.authenticate(secret.reveal()))
  const owner = await db.connect('system')
  await owner.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'flowforge listener' and datname = current_database()`,
  )
  await until(async () => (await authenticator.authenticate(secret.reveal())) === undefined)
})

test('an expired key is dead, also while it is remembered', async (t) => {
  const authenticator = await open(t)
  clock.time = Date.now()
  const { secret } = await mint(['jobs:read'], new Date(clock.time + 5000))
  assert.ok(await authenticator.authenticate(secret.reveal()))
  clock.time += 6000
  await databases.system
    .updateTable('api_keys')
    .set({ expires_at: new Date(Date.now() - 1) })
    .where('name', '=', 'ci')
    .execute()
  assert.equal(await authenticator.authenticate(secret.reveal()), undefined)
})

test('while the database is away a credential that was known is believed for ten minutes, and no other is', async (t) => {
  const { secret } = await mint()
  let isAway = false
  const system = new Proxy(databases.system, {
    get(db, name) {
      if (isAway) throw new Error('away')
      const value: unknown = Reflect.get(db, name, db)
      return typeof value === 'function' ? (value.bind(db) as unknown) : value
    },
  })
  const listener = { listen: async () => () => undefined }
  const authenticator = await createAuthenticator({ system }, listener, clock)
  t.after(() => authenticator[Symbol.asyncDispose]())
  assert.equal((await authenticator.authenticate(secret.reveal()))?.kind, 'key')
  isAway = true
  clock.time += 5 * 60_000
  assert.equal((await authenticator.authenticate(secret.reveal()))?.kind, 'key')
  await assert.rejects(authenticator.authenticate(`ff_${'B'.repeat(43)}`), /away/)
  clock.time += 10 * 60_000
  await assert.rejects(authenticator.authenticate(secret.reveal()), /away/)
})

test('another organization cannot revoke a key', async () => {
  const { id } = await mint()
  const stranger = newId<'organization'>()
  await assert.rejects(
    inOrganization(databases, stranger, (trx) => revokeApiKey(trx, id)),
    { code: 'not_found' },
  )
})

test('a job token is good while its execution has the job, and no longer', async (t) => {
  const authenticator = await open(t)
  const execution = newId<'execution'>()
  const jobId = await makeJob(execution)
  const token = await tokenFor(jobId, execution)
  assert.match(token.reveal(), /^ffj_[A-Za-z0-9_-]{43}$/)
  const { repository_id } = await databases.system
    .selectFrom('jobs')
    .select('repository_id')
    .where('id', '=', jobId)
    .executeTakeFirstOrThrow()
  assert.deepEqual(await authenticator.authenticate(token.reveal()), {
    kind: 'job',
    organizationId,
    jobId,
    executionId: execution,
    repositoryId: repository_id,
    priority: 0,
    scopes: ['gateway:use'],
    name: 'job 1',
    models: ['claude-x'],
  })
  await databases.system
    .updateTable('jobs')
    .set({ current_execution: newId<'execution'>() })
    .where('id', '=', jobId)
    .execute()
  clock.time += 1001
  assert.equal(await authenticator.authenticate(token.reveal()), undefined)
})

test('an expired job token is dead and can be swept', async (t) => {
  const authenticator = await open(t)
  const execution = newId<'execution'>()
  const jobId = await makeJob(execution)
  const token = await tokenFor(jobId, execution, new Date(Date.now() - 1000))
  assert.equal(await authenticator.authenticate(token.reveal()), undefined)
  assert.ok((await deleteExpiredJobTokens(databases.system)) >= 1)
})

test('a missing scope is named', () => {
  assert.throws(() => requireScope({ scopes: ['jobs:read'] }, 'jobs:approve'), {
    code: 'not_permitted',
    message: /jobs:approve/,
  })
  requireScope({ scopes: ['jobs:approve'] }, 'jobs:approve')
})

test('a message is heard after the commit only, and not at all after a rollback', async (t) => {
  const listener = await createListener(db.urls.system, db.log)
  t.after(async () => listener[Symbol.asyncDispose]())
  const heard: (string | undefined)[] = []
  const unlisten = await listener.listen('flowforge_job_events', (id) => heard.push(id))
  await asSystem(databases, async (trx) => {
    await notify(trx, 'flowforge_job_events', 'lost')
    throw new Error('undone')
  }).catch(() => undefined)
  await asSystem(databases, (trx) => notify(trx, 'flowforge_job_events', 'kept'))
  await until(async () => heard.length > 0)
  assert.deepEqual(heard, ['kept'])
  unlisten()
})

let jobNumber = 0

async function makeJob(execution: ExecutionId): Promise<JobId> {
  const id = newId<'job'>()
  await inOrganization(databases, organizationId, async (trx) => {
    const repository = newId<'repository'>()
    await trx
      .insertInto('repositories')
      .values({
        id: repository,
        organization_id: organizationId,
        name: repository,
        address: `https://example.com/${repository}`,
      })
      .execute()
    await trx
      .insertInto('jobs')
      .values({
        ...{
          id,
          organization_id: organizationId,
          number: ++jobNumber,
          repository_id: repository,
          state: 'running',
        },
        ...{
          title: 'x',
          task: 'x',
          agent: 'claude',
          time_limit_seconds: 60,
          base_ref: 'main',
          target_branch: 'main',
        },
        ...{ landing: 'merge', created_by: 'x', current_execution: execution },
      })
      .execute()
  })
  return id
}

function tokenFor(
  jobId: JobId,
  executionId: ExecutionId,
  expiresAt = new Date(Date.now() + 60_000),
): Promise<Secret> {
  return inOrganization(databases, organizationId, (trx) =>
    mintJobToken(trx, {
      organizationId: organizationId as OrganizationId,
      jobId,
      executionId,
      models: ['claude-x'],
      expiresAt,
    }),
  )
}
