/**
 * From an empty PostgreSQL server to a database that is ready: roles, database, migrations, queue, partitions.
 *
 * Safe to run at every start and from several replicas at once. The administrator's URL is used here and nowhere else.
 */
import pg from 'pg'
import { refuse } from '#lib/errors.ts'
import type { MasterKey } from '#secrets'
import type { Log } from '#telemetry'
import { migrate } from './migrate.ts'
import { maintainPartitions } from './partitions.ts'
import { migrateQueue } from './queue.ts'
import { ROLES, roleName, rolePassword, roleUrls, scramVerifier, type RoleUrls } from './roles.ts'

/** Arbitrary numbers, ours alone: the first guards what belongs to the cluster, the second what belongs to a database. */
const CLUSTER_LOCK = 4_715_200_001
const DATABASE_LOCK = 4_715_200_002
const OLDEST = 15
const NEWEST = 18

export async function setUpDatabase(adminUrl: string, masterKey: MasterKey, log: Log): Promise<RoleUrls> {
  const urls = roleUrls(adminUrl, masterKey)
  await asRefusal(async () => {
    await makeRolesAndDatabase(adminUrl, masterKey, log)
    await withClient(urls.owner, async (owner) => {
      // Held by the session: whoever comes second waits, then finds everything done.
      await owner.query('select pg_advisory_lock($1)', [DATABASE_LOCK])
      await migrate(owner, log)
      await migrateQueue(owner)
      await maintainPartitions(owner)
    })
  })
  return urls
}

async function makeRolesAndDatabase(adminUrl: string, masterKey: MasterKey, log: Log): Promise<void> {
  const database = databaseIn(adminUrl)
  await withClient(await maintenanceUrl(adminUrl), async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [CLUSTER_LOCK])
    await checkVersion(admin)
    await makeRoles(admin, masterKey, log)
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [database])
    if (rowCount === 0) {
      await admin.query(`create database ${pg.escapeIdentifier(database)} encoding 'UTF8' template template0`)
      log.info({ database }, 'database.created')
    }
  })
  await withClient(adminUrl, async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [CLUSTER_LOCK])
    const name = pg.escapeIdentifier(database)
    const roles = ROLES.map(roleName).join(', ')
    await admin.query(`grant connect on database ${name} to ${roles}`)
    await admin.query(`grant create on database ${name} to ${roleName('owner')}`)
    await admin.query('revoke create on schema public from public')
    await admin.query(`grant usage, create on schema public to ${roleName('owner')}`)
  })
}

async function checkVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string }>('show server_version_num')
  const major = Math.floor(Number(rows[0]?.server_version_num) / 10_000)
  if (major >= OLDEST && major <= NEWEST) return
  throw refuse('database_set_up', {
    problem: `The server is PostgreSQL ${major}; FlowForge works with ${OLDEST} to ${NEWEST}.`,
  })
}

/** Roles belong to the whole server: their comment says which master key they belong to, so that two FlowForges cannot fight. */
async function makeRoles(admin: pg.Client, masterKey: MasterKey, log: Log): Promise<void> {
  const mark = `FlowForge, master key ${masterKey.id}`
  const { rows } = await admin.query<{ rolname: string; mark: string | null }>(
    `select rolname, shobj_description(oid, 'pg_authid') as mark from pg_roles where rolname = any ($1)`,
    [ROLES.map(roleName)],
  )
  for (const role of ROLES) {
    const name = roleName(role)
    const found = rows.find((row) => row.rolname === name)
    if (found?.mark === mark) continue
    if (found) {
      throw refuse('database_set_up', {
        problem: `The role ${name} on this server belongs to another FlowForge (${found.mark ?? 'no mark'}). Use its master key, or another server. If that key is lost for good: comment on role ${name} is '${mark}', and set its password.`,
      })
    }
    const salt = masterKey.derive(`database role ${role} salt`).subarray(0, 16)
    const verifier = scramVerifier(rolePassword(masterKey, role), salt)
    await admin.query('begin')
    await admin.query(
      `create role ${name} login nosuperuser nobypassrls nocreatedb nocreaterole noreplication password '${verifier}'`,
    )
    await admin.query(`comment on role ${name} is ${pg.escapeLiteral(mark)}`)
    await admin.query('commit')
    log.info({ databaseRole: name }, 'database.role-created')
  }
}

function databaseIn(url: string): string {
  const name = decodeURIComponent(new URL(url).pathname.slice(1))
  if (name) return name
  throw refuse('database_set_up', { problem: 'The URL names no database. End it with /flowforge.' })
}

/** The database itself may not exist yet; then the server is entered through `postgres`. */
async function maintenanceUrl(adminUrl: string): Promise<string> {
  try {
    await withClient(adminUrl, async () => undefined)
    return adminUrl
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === '3D000')) throw error
    const url = new URL(adminUrl)
    url.pathname = '/postgres'
    return url.href
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'flowforge set-up',
  })
  // A connection that breaks fails the query under way; without a listener it would end the process.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** A server of one's own may be away, may refuse the password or the right: those are for the operator to mend. */
async function asRefusal(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '42501') {
      throw refuse(
        'database_set_up',
        {
          problem: `The role in FLOWFORGE_DATABASE_URL lacks a right (${error.message}). It needs CREATEROLE, and CREATEDB or the ownership of the database.`,
        },
        error,
      )
    }
    if (error instanceof pg.DatabaseError && error.code?.startsWith('28')) {
      throw refuse(
        'database_unavailable',
        { problem: `It refused to let FlowForge in (${error.message}).` },
        error,
      )
    }
    if (error instanceof Error && 'code' in error && NETWORK_CODES.has(String(error.code))) {
      throw refuse('database_unavailable', { problem: `${error.message}.` }, error)
    }
    throw error
  }
}

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'ETIMEDOUT',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENOENT',
  'EACCES',
])
