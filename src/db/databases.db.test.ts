import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { createTestDatabase } from '#test/database.ts'

const { databases } = await createTestDatabase()

test('bigint columns are numbers, and one that would be rounded is an error', async () => {
  const { rows } = await sql<{ n: number }>`select 9007199254740991::bigint as n`.execute(databases.app)
  assert.equal(rows[0]?.n, Number.MAX_SAFE_INTEGER)
  await assert.rejects(sql`select 9007199254740992::bigint`.execute(databases.app), /does not fit/)
})
