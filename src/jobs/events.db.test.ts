/** A log that is written faster and longer than any agent has a use for stays small: in memory and in the database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { startTestJobs } from '#test/jobs.ts'
import { admit } from './admission.ts'
import { createEventLog } from './events.ts'

test('an agent that forges event after event fills neither memory nor database', async (t) => {
  const jobs = await startTestJobs(t)
  const place = await jobs.makePlace()
  await jobs.worker(4)
  const id = await jobs.waiting(place)
  await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
  const claim = await jobs.claim((await jobs.take('job.run'))!)
  await using events = createEventLog({
    databases: jobs.databases,
    job: claim.key,
    executionId: claim.executionId,
    log: jobs.log,
    onStale: () => assert.fail('it has the job'),
  })
  const text = 'z'.repeat(64 * 1024)
  for (let count = 0; count < 3000; count++) events.write('agent.output', { text })
  events.write('run.collected', { commit: 'c' })
  await events.flush()
  const { rows } = await jobs.system((trx) =>
    sql<{ kind: string; characters: number }>`
      select kind, sum(length(facts::text))::int as characters from job_events where job_id = ${id} group by kind`.execute(
      trx,
    ),
  )
  const told = new Map(rows.map(({ kind, characters }) => [kind, characters]))
  // Written at once, so most of the 64 MiB met a full memory of 32.
  const output = told.get('agent.output') ?? 0
  assert.ok(output > 10_000_000 && output < 70_000_000, `${output} characters`)
  assert.ok(told.has('agent.notice'))
  assert.ok(told.has('run.collected'))
})
