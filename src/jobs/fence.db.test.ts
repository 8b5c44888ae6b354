/** A worker that was thought dead and comes back: whatever it writes, its successor's job stays as it is. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inOrganization } from '#db'
import { sleep } from '#lib/clock.ts'
import { newId, type JobId } from '#lib/ids.ts'
import { commitFiles, git } from '#test/story.ts'
import { startTestJobs, type Place, type TestJobs } from '#test/jobs.ts'
import { admit } from './admission.ts'
import { claimJob, StaleClaim, type Claim } from './claim.ts'
import { appendEvents, createEventLog } from './events.ts'
import { createInbox } from './inbox.ts'
import { findOpenLanding, settleLanding, writeLanding, type Landing } from './landing.ts'
import { settle, type End } from './settle.ts'

const failed: End = { kind: 'failed', cause: 'test', message: 'It failed.' }
const result: End = {
  kind: 'result',
  baseCommit: 'b'.repeat(40),
  resultCommit: 'c'.repeat(40),
  resultBlob: 'blob',
  summary: 'Done.',
}

/** Everything the database knows of a job, so that "nothing was written" can be said of all of it. */
async function allOf(jobs: TestJobs, id: JobId): Promise<unknown> {
  return jobs.system(async (trx) => ({
    job: await trx.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst(),
    executions: await trx
      .selectFrom('job_executions')
      .selectAll()
      .where('job_id', '=', id)
      .orderBy('started_at')
      .execute(),
    events: await trx
      .selectFrom('job_events')
      .selectAll()
      .where('job_id', '=', id)
      .orderBy('number')
      .execute(),
    landings: await trx.selectFrom('landings').selectAll().where('job_id', '=', id).execute(),
    checkpoints: await trx.selectFrom('job_checkpoints').selectAll().where('job_id', '=', id).execute(),
  }))
}

/** A zombie and its successor in the phase `run`. */
async function twoClaims(
  jobs: TestJobs,
): Promise<{ readonly place: Place; readonly id: JobId; readonly zombie: Claim; readonly successor: Claim }> {
  const place = await jobs.makePlace()
  await jobs.worker(4)
  const id = await jobs.waiting(place)
  await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
  const first = (await jobs.take('job.run'))!
  const zombie = await jobs.claim(first)
  await jobs.loseLease(first)
  const successor = await jobs.claim((await jobs.take('job.run'))!)
  return { place, id, zombie, successor }
}

async function twoLandClaims(jobs: TestJobs): Promise<{
  readonly place: Place
  readonly id: JobId
  readonly zombie: Claim
  readonly successor: Claim
  readonly pair: { readonly branch: string; readonly expectedOld: string; readonly commit: string }
}> {
  const place = await jobs.makePlace()
  await jobs.worker(4)
  const id = await jobs.waiting(place)
  await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
  const run = await jobs.claim((await jobs.take('job.run'))!)
  await settle(jobs, run, { end: result })
  const delivery = (await jobs.take('job.land'))!
  const zombie = await jobs.claim(delivery)
  await jobs.loseLease(delivery)
  const successor = await jobs.claim((await jobs.take('job.land'))!)
  return { place, id, zombie, successor, pair: await twoCommits(jobs, place, zombie) }
}

/** The tip of main and a commit on top of it, both in the mirror. */
async function twoCommits(jobs: TestJobs, place: Place, claim: Claim) {
  const work = `${place.origin}-clone`
  await git('/', 'clone', '--quiet', place.origin, work)
  const expectedOld = await git(work, 'rev-parse', 'HEAD')
  await commitFiles(work, { 'new.txt': 'x\n' }, 'New')
  await git(work, 'push', '--quiet', 'origin', 'HEAD:refs/heads/next')
  const commit = await git(work, 'rev-parse', 'HEAD')
  await (await jobs.workOf(claim, place)).mirror.fetch(AbortSignal.timeout(10_000))
  return { branch: 'main', expectedOld, commit }
}

describe('a worker that was thought dead', { concurrency: 2 }, () => {
  test('writes no event, no state, no checkpoint, and takes no message, while its successor works', async (t) => {
    const jobs = await startTestJobs(t)
    const { place, id, zombie, successor } = await twoClaims(jobs)
    assert.equal(successor.attempt, 2)
    await jobs.jobs.tell(place.principal, id, 'hello').catch((error: unknown) => {
      // Only Claude hears; the message is put in by hand.
      assert.match(String(error), /only Claude/)
    })
    await inOrganization(jobs.databases, place.organizationId, (trx) =>
      trx
        .insertInto('job_messages')
        .values({
          id: newId(),
          organization_id: place.organizationId,
          job_id: id,
          text: 'hello',
          created_by: 'tester',
        })
        .execute(),
    )
    const before = await allOf(jobs, id)

    let stale = 0
    const events = createEventLog({
      databases: jobs.databases,
      job: zombie.key,
      executionId: zombie.executionId,
      log: jobs.log,
      onStale: () => (stale += 1),
    })
    events.write('agent.text', { text: 'I am still here' })
    await events.flush()
    assert.equal(stale, 1, 'it is told to stop')
    events.write('agent.text', { text: 'and go on' })
    await events.flush()
    for (const end of [
      failed,
      result,
      { kind: 'again', cause: 'x', message: 'x', delayMs: 0 },
      { kind: 'cancelled', message: 'x' },
    ] as const) {
      await assert.rejects(settle(jobs, zombie, { end }), StaleClaim)
    }
    await createInbox(jobs.databases, zombie, jobs.log).look()
    assert.deepEqual(await allOf(jobs, id), before)

    const inbox = createInbox(jobs.databases, successor, jobs.log)
    await inbox.look()
    assert.equal((await inbox.messages[Symbol.asyncIterator]().next()).value, 'hello')
  })

  test('cannot end the delivery of its successor', async (t) => {
    const jobs = await startTestJobs(t)
    const { zombie, successor } = await twoClaims(jobs)
    assert.equal(zombie.delivery.entry, successor.delivery.entry, 'one entry, delivered twice')
    assert.equal(await jobs.system((trx) => jobs.queue.complete(trx, zombie.delivery)), false)
    assert.equal(await jobs.system((trx) => jobs.queue.complete(trx, successor.delivery)), true)
    assert.equal(await jobs.system((trx) => jobs.queue.complete(trx, successor.delivery)), false, 'nor twice')
  })

  test('writes no landing, and cannot say what became of one', async (t) => {
    const jobs = await startTestJobs(t)
    const { place, id, zombie, successor, pair } = await twoLandClaims(jobs)
    const [late, current] = [await jobs.workOf(zombie, place), await jobs.workOf(successor, place)]
    await assert.rejects(writeLanding(late, pair), StaleClaim)
    const written = await writeLanding(current, pair)
    assert.equal(written.kind, 'written')
    const { landing } = written as { readonly landing: Landing }
    const before = await allOf(jobs, id)
    for (const state of ['absent', 'refused'] as const)
      await assert.rejects(settleLanding(late, landing, state), StaleClaim)
    await assert.rejects(
      settle(jobs, zombie, { end: { kind: 'landed', commit: pair.commit, branch: 'main' } }),
      StaleClaim,
    )
    assert.deepEqual(await allOf(jobs, id), before)

    await settle(jobs, successor, { end: { kind: 'landed', commit: pair.commit, branch: 'main' } })
    assert.equal((await jobs.jobs.read(place.principal, id)).state, 'succeeded')
    assert.equal(await findOpenLanding(current), undefined, 'the landing is settled with the job')
  })

  test('claims nothing with a delivery of a job that has ended or gone on by another entry', async (t) => {
    const jobs = await startTestJobs(t)
    const place = await jobs.makePlace()
    await jobs.worker(2)
    const id = await jobs.waiting(place)
    await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
    const delivery = (await jobs.take('job.run'))!
    await settle(jobs, await jobs.claim(delivery), {
      end: { kind: 'again', cause: 'sandbox', message: 'x', delayMs: 0 },
    })
    const claim = () => jobs.system((trx) => claimJob(trx, delivery, newId<'worker'>()))
    assert.equal(await claim(), undefined, 'it waits for admission')
    await admit(jobs.databases, jobs.queue, { maxRunningJobs: undefined })
    assert.equal(await claim(), undefined, 'it has another entry')
    await jobs.jobs.cancel(place.principal, id)
    assert.equal(
      await jobs.system(async (trx) => claimJob(trx, (await jobs.take('job.run'))!, newId<'worker'>())),
      undefined,
      'it has ended',
    )
  })
})

test('a cancel and the writing of a landing: exactly one wins, in every order', async (t) => {
  const jobs = await startTestJobs(t)
  const { place, id, successor, pair } = await twoLandClaims(jobs)
  const work = await jobs.workOf(successor, place)
  const outcomes = new Set<string>()
  for (let round = 0; round < 60; round += 1) {
    // Sometimes the one, sometimes the other begins a little earlier.
    const [wait, delay] = [round % 2 === 0, (round % 12) * 2]
    const [written, cancelled] = await Promise.all([
      sleep(wait ? delay : 0).then(() => writeLanding(work, pair)),
      sleep(wait ? 0 : delay).then(() =>
        jobs.jobs.cancel(place.principal, id).then(
          () => 'taken',
          (error: unknown) => (error as { code?: string }).code,
        ),
      ),
    ])
    outcomes.add(`${written.kind} ${cancelled}`)
    if (written.kind === 'written') await settleLanding(work, written.landing, 'absent')
    await jobs.system((trx) =>
      trx.updateTable('jobs').set({ cancel_requested_at: null }).where('id', '=', id).execute(),
    )
  }
  const known = ['cancelled taken', 'written already_landing']
  assert.deepEqual(
    [...outcomes].filter((outcome) => !known.includes(outcome)),
    [],
  )
  assert.deepEqual([...outcomes].toSorted(), known, 'both orders were met')
})

test('event numbers have no gap, however many write at once', async (t) => {
  const jobs = await startTestJobs(t)
  const place = await jobs.makePlace()
  const id = await jobs.waiting(place)
  const key = { id, organizationId: place.organizationId }
  const seen: number[] = []
  let reading = true
  const reader = (async () => {
    while (reading) {
      const events = await jobs.jobs.events(place.principal, id, seen.at(-1) ?? 0, 50)
      seen.push(...events.map(({ number }) => number))
      if (events.length === 0) await sleep(2)
    }
  })()
  await Promise.all(
    Array.from({ length: 40 }, (_, writer) =>
      inOrganization(jobs.databases, place.organizationId, async (trx) => {
        await appendEvents(
          trx,
          key,
          Array.from({ length: (writer % 4) + 1 }, (__, n) => ({ kind: 'test', facts: { writer, n } })),
        )
        // Some roll back after they took their numbers.
        if (writer % 10 === 9) throw new Error('rolled back')
      }).catch((error: unknown) => assert.match(String(error), /rolled back/)),
    ),
  )
  // 40 writers of 1, 2, 3 or 4 events, less the 12 of those that rolled back.
  const last = 88
  assert.equal((await jobs.jobs.events(place.principal, id, 0, 1000)).length, last)
  for (const until = Date.now() + 5_000; seen.length < last && Date.now() < until;) await sleep(5)
  reading = false
  await reader
  const all = (await jobs.jobs.events(place.principal, id, 0, 1000)).map(({ number }) => number)
  assert.deepEqual(
    all,
    all.map((_, index) => index + 1),
  )
  assert.deepEqual(seen, all, 'a reader that resumes after what it saw misses none')
})

test(
  'foreign text with NUL and broken pairs is written, not tried for ever',
  { timeout: 20_000 },
  async (t) => {
    const jobs = await startTestJobs(t)
    const { id, place, successor } = await twoClaims(jobs)
    const text = `a\0b ${'😀'.slice(1)} \\u0000`
    const events = createEventLog({
      databases: jobs.databases,
      job: successor.key,
      executionId: successor.executionId,
      log: jobs.log,
      onStale: () => assert.fail('stale'),
    })
    events.write('agent.output', { text, [text]: 1 })
    await events.flush()
    await settle(jobs, successor, {
      end: { kind: 'failed', cause: 'agent_exit', message: text },
      usage: { text },
    })
    const clean = 'a\ufffdb \ufffd \\u0000'
    assert.equal((await jobs.jobs.read(place.principal, id)).message, clean)
    const written = (await jobs.jobs.events(place.principal, id, 0, 100)).find(
      ({ kind }) => kind === 'agent.output',
    )
    assert.deepEqual(written?.facts, { text: clean, [clean]: 1 })
  },
)
