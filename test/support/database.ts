/**
 * A real PostgreSQL for tests: one server for everybody on this machine, one template database for each state of the
 * migrations, one clone of it for each test file.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createLog, type Log } from '#telemetry'
import {
  openDatabases,
  roleUrls,
  setUpDatabase,
  startEmbeddedPostgres,
  type Databases,
  type Role,
  type RoleUrls,
} from '#db'
import { masterKeyFrom, type MasterKey } from '#secrets'

type Ending = { after(work: () => Promise<void>): void }

export type TestDatabase = {
  readonly databases: Databases
  readonly urls: RoleUrls
  readonly masterKey: MasterKey
  readonly log: Log
  /** A connection of its own, ended before the database is dropped. */
  readonly connect: (role: Role) => Promise<pg.Client>
}

/** For tests only, and the same for all, since roles belong to the whole server. */
export const testMasterKeyText = createHash('sha256').update('flowforge tests').digest('base64')
export const testMasterKey = masterKeyFrom(testMasterKeyText, 'the test key')
export const quietLog = createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'test')

const TEMPLATE_LOCK = 4_715_200_009

/** A database of its own, migrated; dropped when the test is over, or the whole file when no test is given. */
export async function createTestDatabase(t: Ending = { after }): Promise<TestDatabase> {
  const adminUrl = await testServer()
  const name = `test_${process.pid}_${randomBytes(5).toString('hex')}`
  await cloneTemplate(adminUrl, name)
  const urls = roleUrls(withDatabase(adminUrl, name), testMasterKey)
  const databases = openDatabases(urls, { log: quietLog, name: 'test', connections: 8 })
  const clients: pg.Client[] = []
  const connect = async (role: Role): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: urls[role] })
    client.on('error', () => undefined)
    clients.push(client)
    await client.connect()
    return client
  }
  t.after(async () => {
    for (const client of clients) await client.end()
    await databases[Symbol.asyncDispose]()
    await withAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`))
  })
  return { databases, urls, masterKey: testMasterKey, log: quietLog, connect }
}

/** The administrator's URL of the shared server: FLOWFORGE_TEST_POSTGRES, or one that is started now and ends when nobody needs it. */
export async function testServer(): Promise<string> {
  return process.env['FLOWFORGE_TEST_POSTGRES'] ?? (await startShared())
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

async function cloneTemplate(adminUrl: string, name: string): Promise<void> {
  const template = `template_${await stateOfMigrations()}`
  await withAdmin(adminUrl, async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const { rows } = await admin.query<{ ready: boolean }>(
      'select datistemplate as ready from pg_database where datname = $1',
      [template],
    )
    if (!rows[0]?.ready) {
      await admin.query(`drop database if exists ${template} with (force)`)
      await setUpDatabase(withDatabase(adminUrl, template), testMasterKey, quietLog)
      // Marked only when it is whole: a killed test run leaves an unmarked one, which is made anew.
      await sweepLeftovers(admin)
      await admin.query(`alter database ${template} with is_template true allow_connections false`)
    }
    await admin.query(`create database ${name} template ${template}`)
    await admin.query(
      `grant connect on database ${name} to flowforge_owner, flowforge_app, flowforge_system, flowforge_auth`,
    )
    await admin.query(`grant create on database ${name} to flowforge_owner`)
  })
}

/** Databases of test processes that were killed. */
async function sweepLeftovers(admin: pg.Client): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    `select datname as name from pg_database where datname ~ '^test_[0-9]+_'`,
  )
  for (const { name } of rows) {
    try {
      process.kill(Number(name.split('_')[1]), 0)
    } catch {
      await admin.query(`drop database if exists ${name} with (force)`)
    }
  }
}

/** A changed migration or set-up makes another template. */
async function stateOfMigrations(): Promise<string> {
  const hash = createHash('sha256')
  const folder = new URL('../../src/db/', import.meta.url)
  for (const name of (await readdir(folder, { recursive: true })).toSorted()) {
    if (/^migrations\/.*\.sql$|^(migrate|partitions|queue|roles|set-up)\.ts$/.test(name)) {
      hash.update(name).update(await readFile(new URL(name, folder)))
    }
  }
  return hash.digest('hex').slice(0, 16)
}

async function withAdmin<T>(adminUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: withDatabase(adminUrl, 'postgres') })
  admin.on('error', () => undefined)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

/**
 * Starts the server or joins the one that runs. A keeper process (postgres-keeper.ts) ends it after a minute without
 * any connection; our own pings keep it for as long as this process lives.
 */
async function startShared(): Promise<string> {
  const home = join(tmpdir(), `flowforge-test-${process.getuid?.() ?? 0}`)
  await mkdir(home, { recursive: true, mode: 0o755 })
  await chmod(home, 0o755)
  for (let tries = 0; ; tries++) {
    const server = await startEmbeddedPostgres({ home, log: quietLog, settings: TEST_SETTINGS })
    if (!server.adopted) {
      const keeper = new URL('./postgres-keeper.ts', import.meta.url).pathname
      spawn(process.execPath, [keeper, server.adminUrl, String(server.pid)], {
        detached: true,
        stdio: 'ignore',
      }).unref()
    }
    const anchor = new pg.Client({
      connectionString: withDatabase(server.adminUrl, 'postgres'),
      application_name: 'flowforge test run',
    })
    anchor.on('error', () => undefined)
    try {
      // This one connection tells the keeper that somebody is here. It must not keep this process alive.
      await anchor.connect()
      ;(anchor as pg.Client & { unref(): void }).unref()
      return server.adminUrl
    } catch (error) {
      if (tries >= 20) throw error
      await sleep(250)
    }
  }
}

/** Nothing in it outlives a test run, so it need not survive a power cut. */
const TEST_SETTINGS = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }
