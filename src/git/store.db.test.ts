import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { createTestDatabase } from '#test/database.ts'
import type { GitOperation } from './operation.ts'
import { createGitRecorder } from './store.ts'

test('every operation is a row of its own organization, written by the time the promise settles', async (t) => {
  const { databases } = await createTestDatabase(t)
  const [ours, theirs] = [newId<'organization'>(), newId<'organization'>()]
  const repositoryId = newId<'repository'>()
  const operation = (organizationId: GitOperation['organizationId'], at: number): GitOperation => ({
    organizationId,
    repositoryId,
    operation: 'push',
    ref: 'main',
    before: 'a'.repeat(40),
    after: String(at).padStart(40, '0'),
    outcome: 'pushed',
    startedAt: new Date(),
    durationMs: at,
  })
  const recorder = createGitRecorder(databases)
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: 300 }, (_, at) => recorder(operation(at % 3 === 0 ? theirs : ours, at))),
  )
  t.diagnostic(`300 rows in ${Math.round(performance.now() - begun)} ms`)
  const rows = await inOrganization(databases, ours, (trx) =>
    trx.selectFrom('git_operations').selectAll().where('repository_id', '=', repositoryId).execute(),
  )
  assert.equal(rows.length, 200)
  assert.equal(rows.find((row) => row.duration_ms === 1)?.after_commit, '1'.padStart(40, '0'))

  const late = recorder(operation(ours, 1000))
  await recorder[Symbol.asyncDispose]()
  await late
  await assert.rejects(
    Promise.all([
      recorder({ ...operation(ours, 1), durationMs: Number.NaN }),
      recorder[Symbol.asyncDispose](),
    ]),
    'a row that cannot be written is told',
  )
})
