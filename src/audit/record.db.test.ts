import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { createTestDatabase } from '#test/database.ts'
import { recordAudit } from './record.ts'

const { databases } = await createTestDatabase()
const principal = { kind: 'key', organizationId: newId<'organization'>(), name: 'ci' } as const

test('an entry is written with the transaction, or not at all', async () => {
  const work = (fail: boolean) =>
    inOrganization(databases, principal.organizationId, async (trx) => {
      await recordAudit(trx, {
        principal,
        action: 'job.cancel',
        subject: 'job 1',
        after: { state: 'cancelled' },
        outcome: 'done',
        address: '::1',
      })
      if (fail) throw new Error('undone')
    })
  await assert.rejects(work(true), /undone/)
  await work(false)
  const rows = await inOrganization(databases, principal.organizationId, (trx) =>
    trx.selectFrom('audit_logs').selectAll().execute(),
  )
  assert.deepEqual(
    rows.map(({ actor, action, subject, after, before }) => ({ actor, action, subject, after, before })),
    [
      {
        actor: 'key:ci',
        action: 'job.cancel',
        subject: 'job 1',
        after: { state: 'cancelled' },
        before: null,
      },
    ],
  )
})

test('nobody in use can change or delete what is written', async () => {
  for (const database of [databases.app, databases.system, databases.auth]) {
    await assert.rejects(sql`update audit_logs set actor = 'x'`.execute(database), { code: '42501' })
    await assert.rejects(sql`delete from audit_logs`.execute(database), { code: '42501' })
    await assert.rejects(sql`truncate audit_logs`.execute(database), { code: '42501' })
  }
})
