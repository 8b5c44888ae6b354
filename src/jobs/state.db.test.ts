import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDatabase } from '#test/database.ts'
import { TRANSITIONS } from './state.ts'

const { databases } = await createTestDatabase()

test('the transitions of the database are those of the code', async () => {
  const rows = await databases.app.selectFrom('job_transitions').select(['from_state', 'to_state']).execute()
  const inDatabase = rows.map((row) => `${row.from_state} > ${row.to_state}`).toSorted()
  const inCode = Object.entries(TRANSITIONS)
    .flatMap(([from, all]) => all.map((to) => `${from} > ${to}`))
    .toSorted()
  assert.deepEqual(inDatabase, inCode)
})
