import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { createTestDatabase } from '#test/database.ts'
import { asSystem } from './databases.ts'

test('a connection that breaks in the middle of a query fails that query and nothing else', async () => {
  const { databases, urls } = await createTestDatabase()
  const { default: pg } = await import('pg')
  const killer = new pg.Client({ connectionString: urls.system })
  await killer.connect()
  const query = sql`select pg_sleep(20)`.execute(databases.system)
  const failed = assert.rejects(query)
  for (;;) {
    const { rowCount } = await killer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%' and pid <> pg_backend_pid()",
    )
    if ((rowCount ?? 0) > 0) break
  }
  await failed
  await killer.end()
  // The pool learns of the broken connection when its socket closes, a moment after the query failed.
  while (
    (await asSystem(databases, (trx) => sql`select 1`.execute(trx)).catch(() => undefined)) === undefined
  );
  const { rows } = await asSystem(databases, (trx) => sql<{ one: number }>`select 1 as one`.execute(trx))
  assert.equal(rows[0]?.one, 1)
})
