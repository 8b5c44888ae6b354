import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { newId } from '#lib/ids.ts'
import { createTestDatabase } from '#test/database.ts'
import { inOrganization } from './databases.ts'
import { maintainPartitions } from './partitions.ts'

const { databases, connect } = await createTestDatabase()
const owner = await connect('owner')

const organization = newId<'organization'>()

async function record(occurredAt: string): Promise<void> {
  await inOrganization(databases, organization, (trx) =>
    trx
      .insertInto('audit_logs')
      .values({
        id: newId(),
        organization_id: organization,
        actor: 'x',
        action: occurredAt,
        outcome: 'done',
        occurred_at: occurredAt,
      })
      .execute(),
  )
}

async function placeOf(action: string): Promise<string | undefined> {
  const { rows } = await owner.query<{ place: string }>(
    `select tableoid::regclass::text as place from audit_logs_default where action = $1`,
    [action],
  )
  if (rows[0]) return rows[0].place
  const found = await inOrganization(databases, organization, (trx) =>
    sql<{
      place: string
    }>`select tableoid::regclass::text as place from audit_logs where action = ${action}`.execute(trx),
  )
  return found.rows[0]?.place
}

test('this month and three more have a partition in each of the five tables', async () => {
  const now = new Date()
  for (const table of ['audit_logs', 'claude_api_usage', 'git_operations', 'job_events', 'job_executions']) {
    for (let ahead = 0; ahead <= 3; ahead++) {
      const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1)).toISOString()
      const name = `${table}_${month.slice(0, 7).replace('-', '_')}`
      const { rows } = await owner.query<{ made: boolean }>('select to_regclass($1) is not null as made', [
        name,
      ])
      assert.ok(rows[0]?.made, name)
    }
  }
  assert.deepEqual(await maintainPartitions(owner), [])
})

test('a row of a month without partition is caught, and moved when its month is made', async () => {
  const times = ['2031-05-01T00:00:00.000Z', '2031-05-31T23:59:59.999Z', '2031-06-01T00:00:00.000Z']
  for (const time of times) await record(time)
  for (const time of times) assert.equal(await placeOf(time), 'audit_logs_default')
  assert.deepEqual(await maintainPartitions(owner), ['audit_logs_2031_05', 'audit_logs_2031_06'])
  const places = [await placeOf(times[0]!), await placeOf(times[1]!), await placeOf(times[2]!)]
  assert.deepEqual(places, ['audit_logs_2031_05', 'audit_logs_2031_05', 'audit_logs_2031_06'])
})

test('a new partition answers the questions of its table by the same indexes, and has no grant', async () => {
  await maintainPartitions(owner, new Date('2032-01-15T00:00:00Z'))
  const { rows } = await owner.query(`select indexdef from pg_indexes where tablename = 'job_events_2032_04'`)
  assert.equal(rows.length, 2)
  const read = sql`select from job_events_2032_04`.execute(databases.app)
  await assert.rejects(read, { code: '42501' })
})

test('two who maintain at once make each partition once', async () => {
  const second = await connect('owner')
  const later = new Date('2033-01-15T00:00:00Z')
  const made = await Promise.all([maintainPartitions(owner, later), maintainPartitions(second, later)])
  assert.equal(new Set(made.flat()).size, 20)
  assert.equal(made.flat().length, 20)
})
