/** How a run ends: one transaction, tried until the database is back. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sleep } from '#lib/clock.ts'
import type { JobId } from '#lib/ids.ts'
import { startTestJobs, type Place, type TestJobs } from '#test/jobs.ts'
import { admit } from './admission.ts'
import type { Claim } from './claim.ts'
import { agentFailed, infrastructureFailed, INFRASTRUCTURE_LIMIT } from './retry.ts'
import { settle, type End } from './settle.ts'

const result: End = {
  kind: 'result',
  baseCommit: 'b'.repeat(40),
  resultCommit: 'c'.repeat(40),
  resultBlob: 'blob',
  summary: 'Done.',
}

async function running(
  jobs: TestJobs,
  more: { readonly maxAttempts?: number } = {},
): Promise<{ readonly place: Place; readonly id: JobId; readonly claim: Claim }> {
  const place = await jobs.makePlace()
  await jobs.worker(4)
  const id = await jobs.waiting(place, more)
  return { place, id, claim: await next(jobs) }
}

async function next(jobs: TestJobs): Promise<Claim> {
  await jobs.system((trx) => trx.updateTable('jobs').set({ run_after: new Date() }).execute())
  await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
  return jobs.claim((await jobs.take('job.run'))!)
}

describe('the end of a run', { concurrency: 2 }, () => {
  test('is whole or not at all: when the last step fails, nothing of it stays', async (t) => {
    const jobs = await startTestJobs(t)
    const { place, id, claim } = await running(jobs)
    const before = await jobs.jobs.read(place.principal, id)
    const queue = {
      ...jobs.queue,
      complete: async () => {
        throw new Error('the last step fails')
      },
    }
    await assert.rejects(settle({ ...jobs, queue }, claim, { end: result }), /the last step/)
    assert.deepEqual(await jobs.jobs.read(place.principal, id), before)
    assert.equal(await jobs.take('job.land'), undefined, 'no entry was sent')
    assert.deepEqual(
      (await jobs.jobs.executions(place.principal, id)).map(({ endedAt }) => endedAt),
      [null],
    )
    await settle(jobs, claim, { end: result })
    assert.equal((await jobs.take('job.land'))?.jobId, id)
  })

  test('outlives the database being away', async (t) => {
    const jobs = await startTestJobs(t)
    const { place, id, claim } = await running(jobs)
    const holder = await jobs.connect('system')
    await holder.query('begin')
    await holder.query('select 1 from jobs where id = $1 for update', [id])
    // It waits for the row, in the middle of its transaction, when its connection is cut.
    const settling = settle(jobs, claim, { end: result })
    const system = await jobs.connect('system')
    let cut = 0
    for (let round = 0; round < 40 && cut < 3; round += 1) {
      await sleep(100)
      const { rows } = await system.query<{ pid: number }>(
        `select pid from pg_stat_activity where usename = 'flowforge_system' and wait_event_type = 'Lock' and datname = current_database()`,
      )
      for (const { pid } of rows) {
        await system.query('select pg_terminate_backend($1)', [pid])
        cut += 1
      }
    }
    assert.ok(cut >= 3, `cut ${cut} times`)
    await holder.query('commit')
    await settling
    assert.equal((await jobs.jobs.read(place.principal, id)).state, 'merging')
    const kinds = (await jobs.jobs.events(place.principal, id, 0, 100)).map(({ kind }) => kind)
    assert.equal(kinds.filter((kind) => kind === 'job.result').length, 1, 'once')
  })

  test('is a cancel when somebody asked for one while it ended, unless there is a result to land or it failed', async (t) => {
    const jobs = await startTestJobs(t)
    for (const [end, state] of [
      [{ kind: 'again', cause: 'sandbox', message: 'It broke.', delayMs: 0 }, 'cancelled'],
      [{ kind: 'paused', cause: 'budget', message: 'No money.' }, 'cancelled'],
      [{ kind: 'failed', cause: 'agent_exit', message: 'It failed.' }, 'failed'],
      [result, 'merging'],
    ] as const) {
      const { place, id, claim } = await running(jobs)
      await jobs.jobs.cancel(place.principal, id)
      await settle(jobs, claim, { end })
      assert.equal((await jobs.jobs.read(place.principal, id)).state, state, end.kind)
    }
  })

  test('counts tries by what failed: the agent as often as was asked, the infrastructure up to its limit', async (t) => {
    const jobs = await startTestJobs(t)
    const why = { cause: 'x', message: 'x' }
    const { place, id, claim } = await running(jobs, { maxAttempts: 2 })
    const ends = [infrastructureFailed, infrastructureFailed, agentFailed, infrastructureFailed]
    let now = claim
    for (const end of ends) {
      await settle(jobs, now, { end: end(now.job, why) })
      assert.equal((await jobs.jobs.read(place.principal, id)).state, 'queued')
      now = await next(jobs)
    }
    assert.equal(now.attempt, 5)
    await settle(jobs, now, { end: agentFailed(now.job, why) })
    assert.equal(
      (await jobs.jobs.read(place.principal, id)).state,
      'failed',
      'the second failure of the agent',
    )

    let other = (await running(jobs)).claim
    for (let failures = 1; failures < INFRASTRUCTURE_LIMIT; failures += 1) {
      const end = infrastructureFailed(other.job, why)
      assert.equal(end.kind, 'again')
      await settle(jobs, other, { end })
      other = await next(jobs)
    }
    assert.equal(infrastructureFailed(other.job, why).kind, 'failed', 'not for ever')
  })

  test('waits for its next try as long as it was told', async (t) => {
    const jobs = await startTestJobs(t)
    const { claim } = await running(jobs)
    await settle(jobs, claim, { end: { kind: 'again', cause: 'x', message: 'x', delayMs: 1_500 } })
    assert.equal(await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined }), 0)
    await sleep(1_600)
    assert.equal(await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined }), 1)
  })
})
