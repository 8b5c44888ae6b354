/** Submitting, listing and the transition table, on a real database and a real repository. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Refusal } from '#lib/errors.ts'
import { startTestJobs, type TestJobs } from '#test/jobs.ts'
import { jobQuerySchema, jobRequestSchema, type JobRequestInput } from './job.ts'
import { canMove, isFinal, JOB_STATES, type JobState } from './state.ts'

const request = (repository: string, more: Partial<JobRequestInput> = {}) =>
  jobRequestSchema.parse({
    repository,
    task: 'Do it',
    into: 'main',
    agent: 'command',
    command: ['true'],
    ...more,
  })
const refusal = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code

describe('submitting', { concurrency: 2 }, () => {
  test('ten times at once with one key makes one job; another body with it is refused', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const idempotencyKey = 'once'
    const all = await Promise.all(
      Array.from({ length: 10 }, () =>
        jobs.jobs.submit(place.principal, request(place.origin, { idempotencyKey })),
      ),
    )
    assert.equal(new Set(all.map(({ job }) => job.id)).size, 1)
    assert.equal(all.filter(({ created }) => created).length, 1)
    assert.equal((await jobs.jobs.list(place.principal, jobQuerySchema.parse({}))).jobs.length, 1)
    await assert.rejects(
      jobs.jobs.submit(place.principal, request(place.origin, { idempotencyKey, task: 'Do something else' })),
      refusal('idempotency_conflict'),
    )
    const [mine, other] = await Promise.allSettled(
      ['a', 'b'].map((task) =>
        jobs.jobs.submit(place.principal, request(place.origin, { idempotencyKey: 'race', task })),
      ),
    )
    assert.deepEqual(new Set([mine?.status, other?.status]), new Set(['fulfilled', 'rejected']))
    const rejected = [mine, other].find((one) => one?.status === 'rejected')
    assert.ok(refusal('idempotency_conflict')((rejected as PromiseRejectedResult).reason))
  })

  test('a budget is kept to the last nano-dollar; one that cannot be is refused', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const { job } = await jobs.jobs.submit(
      place.principal,
      request(place.origin, { budgetUsd: '2.500000001' }),
    )
    assert.equal((await jobs.jobs.read(place.principal, job.id)).budgetUsd, '2.500000001')
    await assert.rejects(
      jobs.jobs.submit(place.principal, request(place.origin, { budgetUsd: '99999999.5' })),
      refusal('invalid_request'),
    )
    assert.equal((await jobs.jobs.list(place.principal, jobQuerySchema.parse({}))).jobs.length, 1)
  })

  test('the key of another organization is its own', async (t) => {
    const jobs = await startTestJobs(t)
    const [one, other] = [await jobs.makePlace(), await jobs.makePlace()]
    const made = await Promise.all(
      [one, other].map((place) =>
        jobs.jobs.submit(place.principal, request(place.origin, { idempotencyKey: 'same' })),
      ),
    )
    assert.deepEqual(
      made.map(({ created, job }) => [created, job.number]),
      [
        [true, 1],
        [true, 1],
      ],
    )
    await assert.rejects(jobs.jobs.read(one.principal, made[1]?.job.id ?? ''), refusal('job_not_found'))
  })

  test('numbers jobs without a gap or a double, however many come at once', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const made = await Promise.all(
      Array.from({ length: 20 }, () => jobs.jobs.submit(place.principal, request(place.origin))),
    )
    const numbers = made.map(({ job }) => job.number).toSorted((a, b) => a - b)
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    )
  })

  test('refuses a NUL character wherever it stands, before anything is written', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    const nul = 'a\0b'
    const placesOfIt: readonly Partial<JobRequestInput>[] = [
      { title: nul },
      { task: nul },
      { command: [nul] },
      { setup: nul },
      { checks: [nul] },
      { variables: { A: nul } },
      { costTags: { a: nul } },
      { costTags: { [nul]: 'a' } },
      { idempotencyKey: nul },
      { model: nul },
      { base: nul },
    ]
    for (const more of placesOfIt)
      await assert.rejects(
        jobs.jobs.submit(place.principal, request(place.origin, more)),
        refusal('invalid_request'),
        JSON.stringify(more),
      )
    const { job } = await jobs.jobs.submit(
      place.principal,
      request(place.origin, { variables: { A: '😀'.slice(1) }, costTags: { a: '😀'.slice(0, 1) } }),
    )
    assert.equal(job.costTags['a'], '\ufffd')
  })
})

test('pages of the list meet without gap or double, newest first, by state and repository', async (t) => {
  const jobs = await startTestJobs(t)
  const [place, other] = [await jobs.makePlace(), await jobs.makePlace()]
  for (let i = 0; i < 23; i += 1) await jobs.waiting(place)
  await jobs.waiting(other)
  await jobs.jobs.cancel(place.principal, '7')
  const numbers: number[] = []
  for (let before: number | undefined, pages = 0; pages < 10; pages += 1) {
    const page = await jobs.jobs.list(
      place.principal,
      jobQuerySchema.parse({ limit: 5, ...(before === undefined ? {} : { before }) }),
    )
    numbers.push(...page.jobs.map(({ number }) => number))
    if (page.nextBefore === null) break
    before = page.nextBefore
  }
  assert.deepEqual(
    numbers,
    Array.from({ length: 23 }, (_, index) => 23 - index),
  )
  const cancelled = await jobs.jobs.list(place.principal, jobQuerySchema.parse({ state: 'cancelled' }))
  assert.deepEqual(
    cancelled.jobs.map(({ number }) => number),
    [7],
  )
  assert.equal(
    (await jobs.jobs.list(place.principal, jobQuerySchema.parse({ repository: 'no such' }))).jobs.length,
    0,
  )
})

test('the database lets a job make exactly the moves of the table, whoever asks', async (t) => {
  const jobs = await startTestJobs(t)
  const place = await jobs.makePlace()
  for (const from of JOB_STATES) {
    for (const to of JOB_STATES) {
      if (from === to) continue
      const moved = await move(jobs, await jobs.waiting(place), from, to)
      assert.equal(moved, canMove(from, to), `${from} > ${to}`)
    }
  }
})

test('a paused job that is resumed twice at once goes on once', async (t) => {
  const jobs = await startTestJobs(t)
  const place = await jobs.makePlace()
  const id = await jobs.waiting(place)
  await set(jobs, id, 'running')
  await set(jobs, id, 'paused')
  const both = await Promise.allSettled([1, 2].map(() => jobs.jobs.retry(place.principal, id)))
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length >= 1, true)
  const kinds = (await jobs.jobs.events(place.principal, id, 0, 100)).map(({ kind }) => kind)
  assert.equal(kinds.filter((kind) => kind === 'job.resumed').length, 1)
})

const WAYS: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: [],
  running: ['running'],
  merging: ['running', 'merging'],
  paused: ['running', 'paused'],
  needs_review: ['running', 'merging', 'needs_review'],
  succeeded: ['running', 'merging', 'succeeded'],
  failed: ['running', 'failed'],
  cancelled: ['cancelled'],
}

async function move(jobs: TestJobs, id: string, from: JobState, to: JobState): Promise<boolean> {
  for (const state of WAYS[from]) await set(jobs, id, state)
  try {
    await set(jobs, id, to)
    return true
  } catch (error) {
    assert.match(String(error), /cannot move from/)
    return false
  }
}

async function set(jobs: TestJobs, id: string, state: JobState): Promise<void> {
  await jobs.system((trx) =>
    trx
      .updateTable('jobs')
      .set({ state, finished_at: isFinal(state) ? new Date() : null })
      .where('id', '=', id)
      .execute(),
  )
}
