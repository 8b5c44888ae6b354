/** Applies src/db/migrations in the order of their names. The caller holds the lock. */
import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import type pg from 'pg'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'

const FOLDER = new URL('./migrations/', import.meta.url)
/** YYYYMMDDHHMM_room_what.sql: rooms add theirs without asking each other for the next number. */
const NAME = /^\d{12}_[a-z]+_[a-z0-9_]+\.sql$/

export type Migration = { readonly name: string; readonly sql: string; readonly sha256: string }

export async function readMigrations(folder: URL = FOLDER): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted()
  return Promise.all(
    names.map(async (name) => {
      if (!NAME.test(name)) throw new Error(`the migration ${name} is not named YYYYMMDDHHMM_room_what.sql`)
      const sql = await readFile(new URL(name, folder), 'utf8')
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

export async function migrate(
  owner: pg.Client,
  log: Log,
  migrations?: readonly Migration[],
): Promise<readonly string[]> {
  const known = migrations ?? (await readMigrations())
  await owner.query(`create table if not exists schema_migrations (
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now(),
    constraint schema_migrations_pkey primary key (name))`)
  const { rows } = await owner.query<{ name: string; sha256: string }>(
    'select name, sha256 from schema_migrations',
  )
  const applied = new Map(rows.map((row) => [row.name, row.sha256]))
  const unknown = [...applied.keys()].filter((name) => !known.some((migration) => migration.name === name))
  // A newer FlowForge was here: during a rolling upgrade that is so for a while, and the new shape must serve both.
  if (unknown.length > 0) log.warn({ unknown }, 'database.newer-than-program')
  const done: string[] = []
  for (const migration of known) {
    const sha256 = applied.get(migration.name)
    if (sha256 === migration.sha256) continue
    if (sha256 !== undefined) {
      throw refuse('database_set_up', {
        problem: `The migration ${migration.name} was changed after it was applied. Restore the file, and put the change into a new one.`,
      })
    }
    await apply(owner, migration)
    done.push(migration.name)
    log.info({ migration: migration.name }, 'database.migrated')
  }
  return done
}

async function apply(owner: pg.Client, migration: Migration): Promise<void> {
  await owner.query('begin')
  try {
    await owner.query(migration.sql)
    await owner.query('insert into schema_migrations (name, sha256) values ($1, $2)', [
      migration.name,
      migration.sha256,
    ])
    await owner.query('commit')
  } catch (error) {
    await owner.query('rollback')
    throw new Error(`the migration ${migration.name} failed: ${String(error)}`, { cause: error })
  }
}
