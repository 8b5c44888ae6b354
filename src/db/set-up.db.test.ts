import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import pg from 'pg'
import { masterKeyFrom } from '#secrets'
import { quietLog, testMasterKey, testServer, withDatabase } from '#test/database.ts'
import { migrate, readMigrations } from './migrate.ts'
import { setUpDatabase } from './set-up.ts'

const adminUrl = await testServer()
const made: string[] = []

function freshName(): string {
  const name = `test_setup_${randomBytes(5).toString('hex')}`
  made.push(name)
  return name
}

async function query<T extends pg.QueryResultRow>(url: string, text: string): Promise<readonly T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

test.after(async () => {
  for (const name of made)
    await query(withDatabase(adminUrl, 'postgres'), `drop database if exists ${name} with (force)`)
})

test('four replicas that start at once set up one database', async () => {
  const url = withDatabase(adminUrl, freshName())
  const replicas = Array.from({ length: 4 }, () =>
    fork(new URL('../../test/support/set-up-replica.ts', import.meta.url), [url], { stdio: 'inherit' }),
  )
  const exits = await Promise.all(replicas.map(async (replica) => (await once(replica, 'exit'))[0] as number))
  assert.deepEqual(exits, [0, 0, 0, 0])
  const rows = await query<{ name: string }>(url, 'select name from schema_migrations order by name')
  const names = (await readMigrations()).map(({ name }) => name)
  assert.deepEqual(
    rows.map(({ name }) => name),
    names,
  )
})

test('a second set-up changes nothing; a migration that was changed after it was applied is named', async () => {
  const url = withDatabase(adminUrl, freshName())
  const urls = await setUpDatabase(url, testMasterKey, quietLog)
  const owner = new pg.Client({ connectionString: urls.owner })
  await owner.connect()
  try {
    assert.deepEqual(await migrate(owner, quietLog), [])
    const changed = (await readMigrations()).map((migration, at) =>
      at === 1 ? { ...migration, sha256: 'other' } : migration,
    )
    await assert.rejects(
      migrate(owner, quietLog, changed),
      /202611240910_tenants_organizations\.sql was changed after/,
    )
  } finally {
    await owner.end()
  }
})

test('a migration that fails leaves nothing behind and is tried again', async () => {
  const url = withDatabase(adminUrl, freshName())
  const urls = await setUpDatabase(url, testMasterKey, quietLog)
  const owner = new pg.Client({ connectionString: urls.owner })
  await owner.connect()
  const next = (sql: string) => [{ name: '209901010000_db_next.sql', sha256: 'a', sql }]
  try {
    const broken = migrate(owner, quietLog, next('create table half (id int); select 1 / 0'))
    await assert.rejects(broken, /209901010000_db_next\.sql failed/)
    assert.deepEqual(await migrate(owner, quietLog, next('create table half (id int)')), [
      '209901010000_db_next.sql',
    ])
  } finally {
    await owner.end()
  }
})

test('the roles of a server belong to one master key', async () => {
  const other = masterKeyFrom(randomBytes(32).toString('base64'), 'test')
  const setUp = setUpDatabase(withDatabase(adminUrl, freshName()), other, quietLog)
  await assert.rejects(setUp, /belongs to another FlowForge/)
})

test('an administrator without rights, a wrong password and a server that is away are refusals that say so', async () => {
  const name = `test_plain_${randomBytes(4).toString('hex')}`
  await query(withDatabase(adminUrl, 'postgres'), `create role ${name} login password 'x'`)
  const plain = new URL(withDatabase(adminUrl, freshName()))
  plain.username = name
  plain.password = 'x'
  await assert.rejects(setUpDatabase(plain.href, testMasterKey, quietLog), {
    code: 'database_set_up',
    message: /CREATEDB|CREATEROLE/,
  })
  plain.password = 'wrong'
  await assert.rejects(setUpDatabase(plain.href, testMasterKey, quietLog), { code: 'database_unavailable' })
  await query(withDatabase(adminUrl, 'postgres'), `drop role ${name}`)
  const away = 'postgres://x:y@127.0.0.1:1/flowforge'
  await assert.rejects(setUpDatabase(away, testMasterKey, quietLog), { code: 'database_unavailable' })
})

test('an administrator who is no superuser is enough', async () => {
  const name = `test_admin_${randomBytes(4).toString('hex')}`
  const database = freshName()
  await query(
    withDatabase(adminUrl, 'postgres'),
    `create role ${name} login createrole createdb password 'x'`,
  )
  const url = new URL(withDatabase(adminUrl, database))
  url.username = name
  url.password = 'x'
  const urls = await setUpDatabase(url.href, testMasterKey, quietLog)
  const rows = await query<{ tables: number }>(
    urls.app,
    `select count(*)::int as tables from pg_tables where tableowner = 'flowforge_owner'`,
  )
  assert.ok((rows[0]?.tables ?? 0) > 20)
  await query(withDatabase(adminUrl, 'postgres'), `drop database ${database} with (force)`)
  await query(withDatabase(adminUrl, 'postgres'), `drop role ${name}`)
})
