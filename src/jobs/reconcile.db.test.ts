/** Jobs and queue entries that no longer fit together, and what becomes of them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sleep } from '#lib/clock.ts'
import { newId, type JobId } from '#lib/ids.ts'
import { quietLog } from '#test/database.ts'
import { startTestJobs, type Place, type TestJobs } from '#test/jobs.ts'
import { admit } from './admission.ts'
import { createJobQueue, CRASH_LIMIT } from './queue.ts'
import { reconcile } from './reconcile.ts'
import { settle } from './settle.ts'

const unlimited = { maxRunningJobs: undefined }

async function admitted(jobs: TestJobs): Promise<{ readonly place: Place; readonly id: JobId }> {
  const place = await jobs.makePlace()
  await jobs.worker(1)
  const id = await jobs.waiting(place)
  await admit(jobs.databases, jobs.queue, unlimited)
  return { place, id }
}

async function rowOf(jobs: TestJobs, id: JobId) {
  return jobs.system((trx) =>
    trx.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
  )
}

/** Takes the entry again and again and lets each worker die, until the queue gives it up. */
async function outliveWorkers(jobs: TestJobs, queue: 'job.run' | 'job.land'): Promise<void> {
  for (let deaths = 0; deaths <= CRASH_LIMIT; deaths += 1) {
    const delivery = await jobs.take(queue)
    assert.ok(delivery, `delivery ${deaths + 1}`)
    await jobs.claim(delivery)
    await jobs.loseLease(delivery)
  }
  assert.equal(await jobs.take(queue), undefined, 'given up')
}

describe('the reconciler', { concurrency: 4 }, () => {
  test('lets a job whose entry is gone wait again, whether it waited, ran or merged', async (t) => {
    const jobs = await startTestJobs(t)
    const owner = await jobs.connect('owner')
    for (const phase of ['queued', 'running', 'merging'] as const) {
      const { place, id } = await admitted(jobs)
      if (phase !== 'queued') {
        const claim = await jobs.claim((await jobs.take('job.run'))!)
        if (phase === 'merging')
          await settle(jobs, claim, {
            end: {
              kind: 'result',
              baseCommit: 'b'.repeat(40),
              resultCommit: 'c'.repeat(40),
              resultBlob: 'x',
              summary: '',
            },
          })
      }
      const entry = (await rowOf(jobs, id)).queue_entry
      await owner.query('delete from pgboss.job where id = $1', [entry])
      await reconcile(jobs)
      const row = await rowOf(jobs, id)
      assert.equal(row.state, phase === 'running' ? 'queued' : phase)
      assert.equal(row.queue_entry, null)
      assert.equal(row.current_execution, null)
      await admit(jobs.databases, jobs.queue, unlimited)
      assert.equal(
        (await jobs.take(phase === 'merging' ? 'job.land' : 'job.run'))?.jobId,
        id,
        'it is sent again',
      )
      const executions = await jobs.jobs.executions(place.principal, id)
      if (phase === 'running')
        assert.deepEqual(
          executions.map(({ cause }) => cause),
          ['worker_lost'],
        )
    }
  })

  test('ends a job that outlived too many workers, and says so; a landing that is written goes on', async (t) => {
    const jobs = await startTestJobs(t)
    const { place, id } = await admitted(jobs)
    await outliveWorkers(jobs, 'job.run')
    await reconcile(jobs)
    const ended = await jobs.jobs.read(place.principal, id)
    assert.deepEqual([ended.state, ended.cause], ['failed', 'worker_lost'])
    assert.match(ended.message ?? '', /died 6 times.*flowforge retry/)
    const executions = await jobs.jobs.executions(place.principal, id)
    assert.equal(executions.length, CRASH_LIMIT + 1)
    assert.ok(
      executions.every(({ endedAt }) => endedAt !== null),
      'no execution is open',
    )

    const merging = await admitted(jobs)
    await settle(jobs, await jobs.claim((await jobs.take('job.run'))!), {
      end: {
        kind: 'result',
        baseCommit: 'b'.repeat(40),
        resultCommit: 'c'.repeat(40),
        resultBlob: 'x',
        summary: '',
      },
    })
    await jobs.system((trx) =>
      trx
        .insertInto('landings')
        .values({
          id: newId(),
          organization_id: merging.place.organizationId,
          job_id: merging.id,
          repository_id: merging.place.repositoryId,
          target_branch: 'main',
          expected_old: 'a'.repeat(40),
          commit: 'd'.repeat(40),
          bundle_blob: 'x',
        })
        .execute(),
    )
    await outliveWorkers(jobs, 'job.land')
    await reconcile(jobs)
    assert.equal((await rowOf(jobs, merging.id)).state, 'merging', 'only the lane may say whether it landed')
    await admit(jobs.databases, jobs.queue, unlimited)
    assert.equal((await jobs.take('job.land'))?.jobId, merging.id)
  })

  test('touches nothing that fits', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    await jobs.worker(2)
    const ids = [await jobs.waiting(place), await jobs.waiting(place), await jobs.waiting(place)]
    await admit(jobs.databases, jobs.queue, unlimited)
    await jobs.claim((await jobs.take('job.run'))!)
    const before = await Promise.all(ids.map((id) => rowOf(jobs, id)))
    assert.deepEqual(
      before.map(({ state, queue_entry }) => `${state} ${queue_entry !== null}`),
      ['running true', 'queued true', 'queued false'],
    )
    await Promise.all([reconcile(jobs), reconcile(jobs), reconcile(jobs)])
    assert.deepEqual(await Promise.all(ids.map((id) => rowOf(jobs, id))), before)
  })

  test(
    'an entry whose heartbeats stopped is given to another only after the database was in reach for a while',
    { timeout: 60_000 },
    async (t) => {
      const jobs = await startTestJobs(t)
      await admitted(jobs)
      const owner = await jobs.connect('owner')
      const delivery = (await jobs.take('job.run'))!
      await owner.query(`update pgboss.job set heartbeat_on = now() - interval '1 hour' where id = $1`, [
        delivery.entry,
      ])
      const stateOf = async (): Promise<string> =>
        (await owner.query<{ state: string }>('select state from pgboss.job where id = $1', [delivery.entry]))
          .rows[0]?.state ?? ''
      // The queue of the harness has guarded since the test began, this one begins now: neither may act at once.
      await using other = await createJobQueue({
        url: jobs.urls.system,
        places: 1,
        name: 'guard',
        log: quietLog,
      })
      const began = performance.now()
      while ((await stateOf()) === 'active' && performance.now() - began < 30_000) await sleep(200)
      const waited = performance.now() - began
      assert.equal(await stateOf(), 'retry')
      assert.ok(waited > 8_000, `${Math.round(waited)} ms`)
      assert.ok(waited < 20_000, `${Math.round(waited)} ms: recovery must come within 30 s of a death`)
      void other
    },
  )
})
