/** Admission with real rows and a real queue: what pickFairly decides is tested beside it, without a database. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JobId } from '#lib/ids.ts'
import { startTestJobs, type TestJobs } from '#test/jobs.ts'
import { admit } from './admission.ts'

const NO_LIMIT = { maxRunningJobs: undefined }

async function admitted(jobs: TestJobs): Promise<readonly string[]> {
  const rows = await jobs.system((trx) =>
    trx
      .selectFrom('jobs')
      .select('id')
      .where('state', '=', 'queued')
      .where('queue_entry', 'is not', null)
      .execute(),
  )
  return rows.map(({ id }) => id)
}

describe('admission', () => {
  test('never gives out more places than there are, however many decide at once', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    await jobs.worker(3)
    for (let i = 0; i < 12; i += 1) await jobs.waiting(place)
    const counts = await Promise.all(
      Array.from({ length: 6 }, () => admit(jobs.databases, jobs.queue, NO_LIMIT)),
    )
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      3,
      String(counts),
    )
    assert.equal((await admitted(jobs)).length, 3)
  })

  test('gives a running job its place until it ends, and a dead worker none', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const worker = await jobs.worker(1)
    await jobs.waiting(place)
    await jobs.waiting(place)
    assert.equal(await admit(jobs.databases, jobs.queue, NO_LIMIT), 1)
    await jobs.claim((await jobs.take('job.run'))!)
    assert.equal(await admit(jobs.databases, jobs.queue, NO_LIMIT), 0, 'it runs')
    const other = await jobs.worker(1)
    await jobs.system((trx) =>
      trx
        .updateTable('workers')
        .set({ seen_at: new Date(Date.now() - 60_000) })
        .where('id', '=', worker)
        .execute(),
    )
    assert.equal(
      await admit(jobs.databases, jobs.queue, NO_LIMIT),
      0,
      'what runs on a dead worker still counts',
    )
    await jobs.system((trx) => trx.updateTable('workers').set({ slots: 2 }).where('id', '=', other).execute())
    assert.equal(await admit(jobs.databases, jobs.queue, NO_LIMIT), 1)
  })

  test('keeps the limits of organization and repository, and the default of the host', async (t) => {
    const jobs = await startTestJobs(t)
    const [small, narrow, free] = [
      await jobs.makePlace({ organizationLimit: 2 }),
      await jobs.makePlace({ repositoryLimit: 1 }),
      await jobs.makePlace(),
    ]
    await jobs.worker(100)
    const waiting = new Map<JobId, string>()
    for (const [name, place] of Object.entries({ small, narrow, free }))
      for (let i = 0; i < 8; i += 1) waiting.set(await jobs.waiting(place), name)
    await admit(jobs.databases, jobs.queue, { maxRunningJobs: 5 })
    const counts = Object.groupBy(await admitted(jobs), (id) => waiting.get(id as JobId) ?? '')
    assert.deepEqual(
      { small: counts['small']?.length, narrow: counts['narrow']?.length, free: counts['free']?.length },
      { small: 2, narrow: 1, free: 5 },
    )
  })

  test('shares the places by weight; within an organization priority goes first, then age', async (t) => {
    const jobs = await startTestJobs(t)
    const [heavy, light] = [await jobs.makePlace({ weight: 2 }), await jobs.makePlace()]
    await jobs.worker(6)
    const ofHeavy: JobId[] = []
    for (let i = 0; i < 20; i += 1) ofHeavy.push(await jobs.waiting(heavy))
    const plain = [await jobs.waiting(light), await jobs.waiting(light)]
    const urgent = await jobs.waiting(light, { priority: 50 })
    await jobs.waiting(light, { priority: -50 })
    assert.equal(await admit(jobs.databases, jobs.queue, NO_LIMIT), 6)
    const got = new Set(await admitted(jobs))
    assert.deepEqual(
      ofHeavy.filter((id) => got.has(id)),
      ofHeavy.slice(0, 4),
      'two thirds, the oldest',
    )
    assert.ok(got.has(urgent) && got.has(plain[0]!), 'the urgent one, then the oldest')
    assert.equal((await jobs.take('job.run'))?.jobId, urgent, 'the queue delivers by priority too')
  })

  test('passes a job that is to wait, and finds an old one behind sixty of a full repository', async (t) => {
    const jobs = await startTestJobs(t)
    const [full, other] = [await jobs.makePlace({ repositoryLimit: 1 }), await jobs.makePlace()]
    await jobs.worker(2)
    const first = await jobs.waiting(full)
    await jobs.system(
      async (trx) =>
        void (await trx
          .updateTable('jobs')
          .set({ run_after: new Date(Date.now() + 60_000) })
          .where('id', '=', first)
          .execute()),
    )
    for (let i = 0; i < 60; i += 1) await jobs.waiting(full, { priority: 100 })
    const last = await jobs.waiting(other, { priority: -100 })
    assert.equal(await admit(jobs.databases, jobs.queue, NO_LIMIT), 2)
    const got = await admitted(jobs)
    assert.ok(!got.includes(first), 'its time has not come')
    assert.ok(got.includes(last), 'a full repository blocks nobody else')
  })

  test('sends an approved job back to its lane once', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const id = await jobs.waiting(place)
    await jobs.system(async (trx) => {
      for (const state of ['running', 'merging', 'needs_review', 'merging'] as const)
        await trx.updateTable('jobs').set({ state }).where('id', '=', id).execute()
    })
    await Promise.all([1, 2, 3].map(() => admit(jobs.databases, jobs.queue, NO_LIMIT)))
    assert.equal((await jobs.take('job.land'))?.jobId, id)
    assert.equal(await jobs.take('job.land'), undefined)
  })
})
