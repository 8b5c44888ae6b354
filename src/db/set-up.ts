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
      await makePartitions(owner, log)
    })
  })
  return urls
}

/** A table that is busy at this moment must not stop the start: rows go into the net until the daily round has made their month. */
async function makePartitions(owner: pg.Client, log: Log): Promise<void> {
  try {
    await maintainPartitions(owner)
  } catch (error) {
    const isBusy = error instanceof pg.DatabaseError && error.code === '55P03'
    if (!isBusy) throw error
    log.warn({ error: error.message }, 'partitions.later')
  }
}

async function makeRolesAndDatabase(adminUrl: string, masterKey: MasterKey, log: Log): Promise<void> {
  const database = databaseIn(adminUrl)
  const name = pg.escapeIdentifier(database)
  await withClient(await meetingUrl(adminUrl), async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [CLUSTER_LOCK])
    await checkVersion(admin)
    await makeRoles(admin, masterKey, log)
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [database])
    if (rowCount === 0) {
      await admin.query(`create database ${name} encoding 'UTF8' template template0`)
      // By default everybody on the server may connect and make temporary tables.
      await admin.query(`revoke all on database ${name} from public`)
      log.info({ database }, 'database.created')
    }
    await withClient(adminUrl, (inside) => grantEntry(inside, name))
  })
}

/** Only what is missing: a grant that changes nothing still rewrites its row, and collides with a replica that migrates. */
async function grantEntry(admin: pg.Client, database: string): Promise<void> {
  const { rows } = await admin.query<{ role: string; connect: boolean; create: boolean }>(
    `select role, has_database_privilege(role, current_database(), 'connect') as connect,
       has_database_privilege(role, current_database(), 'create')
         and has_schema_privilege(role, 'public', 'create')
         and has_schema_privilege(role, 'public', 'usage') as create
     from unnest($1::text[]) as role`,
    [ROLES.map(roleName)],
  )
  for (const { role, connect, create } of rows) {
    if (!connect) await admin.query(`grant connect on database ${database} to ${role}`)
    if (role !== roleName('owner') || create) continue
    await admin.query(`grant create on database ${database} to ${role}`)
    await admin.query(`grant usage, create on schema public to ${role}`)
  }
  const { rows: open } = await admin.query<{ open: boolean }>(
    `select has_schema_privilege('public', 'public', 'create') as open`,
  )
  if (open[0]?.open) await admin.query('revoke create on schema public from public')
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
  const { rows } = await admin.query<{ rolname: string; mark: string | null; mighty: boolean }>(
    `select rolname, shobj_description(oid, 'pg_authid') as mark, rolsuper or rolbypassrls as mighty
     from pg_roles where rolname = any ($1)`,
    [ROLES.map(roleName)],
  )
  for (const role of ROLES) {
    const name = roleName(role)
    const found = rows.find((row) => row.rolname === name)
    if (found?.mighty) {
      throw refuse('database_set_up', {
        problem: `The role ${name} may do more than it should. Take it back: alter role ${name} nosuperuser nobypassrls.`,
      })
    }
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

/**
 * The database in which replicas take the lock: advisory locks belong to a database, so all must meet in the same one,
 * whether FlowForge's own exists already or not. Where `postgres` is closed to the administrator, it is FlowForge's.
 */
async function meetingUrl(adminUrl: string): Promise<string> {
  const url = new URL(adminUrl)
  url.pathname = '/postgres'
  try {
    await withClient(url.href, async () => undefined)
    return url.href
  } catch (error) {
    if (error instanceof pg.DatabaseError) return adminUrl
    throw error
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
    if (error instanceof pg.DatabaseError && error.code === '3D000') {
      throw refuse(
        'database_set_up',
        {
          problem: `${error.message}. Make it, or let the role into the database postgres, so that FlowForge can.`,
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
