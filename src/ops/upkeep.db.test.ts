import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDatabase } from '#test/database.ts'
import { upkeepRound } from './upkeep.ts'

const { databases, urls, log, connect } = await createTestDatabase()

test('a round makes the partitions that are missing, as the owner, and leaves no connection behind', async () => {
  const owner = await connect('owner')
  const now = new Date()
  const name = `job_events_${new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 3, 1)).toISOString().slice(0, 7).replace('-', '_')}`
  await owner.query(`drop table ${name}`)
  await upkeepRound({ ownerUrl: urls.owner, system: databases.system, log })
  const { rows } = await owner.query<{ made: boolean; left: number }>(
    `select to_regclass($1) is not null as made, (select count(*)::int from pg_stat_activity
       where application_name = 'flowforge partitions' and datname = current_database()) as left`,
    [name],
  )
  assert.deepEqual(rows, [{ made: true, left: 0 }])
})
