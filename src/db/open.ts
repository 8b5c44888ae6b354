import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Log } from '#telemetry'
import type { Databases, Db } from './databases.ts'
import type { Role, RoleUrls } from './roles.ts'
import type { Schema } from './schema.ts'

export type OpenOptions = {
  readonly log: Log
  /** Seen in pg_stat_activity. */
  readonly name?: string
  /** Connections of the app and the system pool; sign-in gets a third. 10 by default: the embedded server takes 200 in all. */
  readonly connections?: number
}

const INT8 = 20
const STATEMENT_MS = 60_000

/** One pool for each role. A pool opens connections when they are asked for, so this does not fail while the database is away. */
export function openDatabases(urls: Omit<RoleUrls, 'owner'>, options: OpenOptions): Databases {
  const size = options.connections ?? 10
  const app = openPool(urls, 'app', size, options)
  const system = openPool(urls, 'system', size, options)
  const auth = openPool(urls, 'auth', Math.max(1, Math.ceil(size / 3)), options)
  return {
    app,
    system,
    auth,
    async [Symbol.asyncDispose]() {
      await Promise.all([app.destroy(), system.destroy(), auth.destroy()])
    },
  }
}

function openPool(
  urls: Omit<RoleUrls, 'owner'>,
  role: Exclude<Role, 'owner'>,
  size: number,
  options: OpenOptions,
): Db {
  const pool = new pg.Pool({
    connectionString: urls[role],
    max: size,
    application_name: `flowforge ${options.name ?? 'process'} ${role}`,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: STATEMENT_MS,
    keepAlive: true,
    types,
  })
  // An idle connection that breaks (the server restarts) is replaced at the next query; without a listener it would end the process.
  pool.on('error', (error) =>
    options.log.warn({ databaseRole: role, error: error.message }, 'database.connection-lost'),
  )
  // The same for one that breaks in the middle of a query: the query rejects, but the client tells it a second time.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** bigint columns are numbers here: none of ours passes 2^53 (nano-dollars do so at nine million dollars), and one that did must not be rounded. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary'
      ? parseInt8
      : pg.types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
}

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit into a number`)
  return value
}
