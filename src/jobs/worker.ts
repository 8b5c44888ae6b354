/**
 * A worker: takes deliveries, claims the job behind each, tells its story, settles it. Beside that it keeps its row
 * in `workers`, hears what people want of its jobs, admits waiting jobs, reconciles and reaps.
 */
import { hostname } from 'node:os'
import { sql } from 'kysely'
import { asSystem, inOrganization, type Listener } from '#db'
import { sleep } from '#lib/clock.ts'
import { newId, type ExecutionId, type WorkerId } from '#lib/ids.ts'
import { reach } from '#lib/race-points.ts'
import { admit } from './admission.ts'
import { endOfThrown, endWhileLanding } from './broken.ts'
import { claimJob, StaleClaim, type Claim } from './claim.ts'
import { createEventLog } from './events.ts'
import { createInbox, type Inbox } from './inbox.ts'
import { landJob } from './land.ts'
import { forgetOldLayers } from './layers.ts'
import { findOpenLanding } from './landing.ts'
import { costOf } from './cost.ts'
import type { Delivery } from './queue.ts'
import { reconcile } from './reconcile.ts'
import { runJob } from './run.ts'
import { sweepScratch } from './scratch.ts'
import { settle, type Settlement } from './settle.ts'
import { Stop } from './stop.ts'
import type { Work, WorkerTools } from './work.ts'

export type Worker = AsyncDisposable & {
  readonly id: WorkerId
  /** Takes no new jobs, lets running ones save their work and hands them back. */
  stop(): Promise<void>
}

type UnderWay = { readonly claim: Claim; readonly stop: (stop: Stop) => void; readonly inbox: Inbox }

export async function startWorker(
  tools: WorkerTools,
  listener: Listener,
  places: { readonly slots: number; readonly lanes: number },
): Promise<Worker> {
  const { databases, queue, log } = tools
  const id = newId<'worker'>()
  const underWay = new Map<ExecutionId, UnderWay>()
  const stopping = new AbortController()

  await sayAlive()
  await tools.sandboxes.reap((sandboxId) => isCurrent(sandboxId))

  async function handle(delivery: Delivery, lease: AbortSignal): Promise<void> {
    const claim = await asSystem(databases, (trx) => claimJob(trx, delivery, id))
    if (!claim) return
    await tellStory(claim, lease)
  }

  async function tellStory(claim: Claim, lease: AbortSignal): Promise<void> {
    const stopper = new AbortController()
    const stop = (reason: Stop): void => stopper.abort(reason)
    const onLeaseLost = (): void => stop(new Stop('lost'))
    lease.addEventListener('abort', onLeaseLost, { once: true })
    const inbox = createInbox(databases, claim, log)
    underWay.set(claim.executionId, { claim, stop, inbox })
    if (stopping.signal.aborted) stop(new Stop('shutdown'))
    const facts = { job: claim.key.id, execution: claim.executionId, phase: claim.phase }
    log.info(facts, 'job.claimed')
    try {
      await using events = createEventLog({
        databases,
        job: claim.key,
        executionId: claim.executionId,
        log,
        onStale: onLeaseLost,
      })
      await using atEnd = new AsyncDisposableStack()
      const { git, sensitivePaths } = await tools.repositoryOf(claim)
      const work: Work = {
        claim,
        tools,
        repository: git,
        sensitivePaths,
        mirror: tools.mirrors.open(git, { jobId: claim.key.id, executionId: claim.executionId }),
        events,
        messages: inbox.messages,
        signal: stopper.signal,
        atEnd,
      }
      void inbox.look()
      const settlement = await storyOf(work)
      await events.flush()
      await settle(tools, claim, { ...settlement, ...(await costOf(work)) })
      await reach(claim.phase === 'run' ? 'run:finished' : 'land:finished')
      log.info({ ...facts, end: settlement.end.kind }, 'job.settled')
    } catch (error) {
      if (error instanceof StaleClaim || (error instanceof Stop && error.why === 'lost')) {
        log.warn(facts, 'job.lost')
        return
      }
      throw error
    } finally {
      lease.removeEventListener('abort', onLeaseLost)
      underWay.delete(claim.executionId)
      inbox.close()
    }
  }

  /** A bug ends the job, not the worker: once logged with its cause, told to the user by the execution's id. */
  async function storyOf(work: Work): Promise<Settlement> {
    try {
      return work.claim.phase === 'run' ? await runJob(work) : { end: await landJob(work) }
    } catch (error) {
      const end = endOfThrown(work.claim, error)
      if (end) {
        log.warn(
          { error: String(error), job: work.claim.key.id, cause: 'cause' in end ? end.cause : end.kind },
          'job.interrupted',
        )
        return { end }
      }
      log.error({ err: error, job: work.claim.key.id, execution: work.claim.executionId }, 'job.broke')
      if (work.claim.phase === 'land' && (await findOpenLanding(work).catch(() => 'unknown')) !== undefined)
        return { end: endWhileLanding(work.claim) }
      const message = `FlowForge failed at this job (execution ${work.claim.executionId}); the worker's log has the cause.`
      return { end: { kind: 'failed', cause: 'internal', message } }
    }
  }

  async function sayAlive(): Promise<void> {
    await asSystem(databases, (trx) =>
      trx
        .insertInto('workers')
        .values({ id, host: hostname(), pid: process.pid, slots: stopping.signal.aborted ? 0 : places.slots })
        .onConflict((conflict) =>
          conflict
            .column('id')
            // The database's clock, by which it is read: with our own, a minute slow, nobody would be seen.
            .doUpdateSet({ seen_at: sql<Date>`now()`, slots: stopping.signal.aborted ? 0 : places.slots }),
        )
        .execute(),
    )
  }

  async function isCurrent(executionId: string): Promise<boolean> {
    if (underWay.has(executionId as ExecutionId)) return true
    const row = await asSystem(databases, (trx) =>
      trx.selectFrom('jobs').select('id').where('current_execution', '=', executionId).executeTakeFirst(),
    )
    return row !== undefined
  }

  /** Told that something about a job changed, or (undefined) that something may have been missed: look at ours. */
  async function hear(jobId: string | undefined): Promise<void> {
    const ours = [...underWay.values()].filter(({ claim }) => jobId === undefined || claim.key.id === jobId)
    for (const { claim, stop, inbox } of ours) {
      const row = await inOrganization(databases, claim.key.organizationId, (trx) =>
        trx
          .selectFrom('jobs')
          .select(['current_execution', 'cancel_requested_at'])
          .where('id', '=', claim.key.id)
          .executeTakeFirst(),
      )
      if (row?.current_execution !== claim.executionId) stop(new Stop('lost'))
      else if (row.cancel_requested_at) stop(new Stop('cancelled'))
      else await inbox.look()
    }
  }

  let admitting: Promise<unknown> | undefined
  let admitAgain = false
  /** Many notices become one admission, and one more if others came meanwhile. */
  function admitSoon(): void {
    if (admitting) {
      admitAgain = true
      return
    }
    admitting = admit(databases, queue, { maxRunningJobs: tools.settings.maxRunningJobs })
      .catch((error: unknown) => log.warn({ error: String(error) }, 'admission.failed'))
      .finally(() => {
        admitting = undefined
        if (admitAgain && !stopping.signal.aborted) {
          admitAgain = false
          admitSoon()
        }
      })
  }

  const heardEnds = [
    await listener.listen('flowforge_admission', admitSoon),
    await listener.listen('flowforge_job_control', (jobId) => {
      void hear(jobId).catch((error: unknown) => log.warn({ error: String(error) }, 'control.failed'))
    }),
  ]
  const finished = new AbortController()
  const rounds = [
    every(2_000, 'admission', async () => admitSoon()),
    every(5_000, 'alive', sayAlive),
    every(5_000, 'control', () => hear(undefined)),
    every(10_000, 'reconcile', () => reconcile(tools)),
    every(3_600_000, 'layers', async () => {
      const forgotten = await forgetOldLayers(tools.settings.layerDirectory, tools.clock.now())
      if (forgotten.length > 0) log.info({ forgotten: forgotten.length }, 'layers.forgotten')
    }),
    every(30_000, 'reap', async () => {
      const ended = await tools.sandboxes.reap(isCurrent)
      if (ended.length > 0) log.warn({ ended }, 'sandboxes.reaped')
      await sweepScratch(tools.settings.scratchDirectory, isCurrent)
    }),
  ]

  async function every(ms: number, name: string, round: () => Promise<void>): Promise<void> {
    while (!finished.signal.aborted) {
      await sleep(ms, finished.signal)
      if (finished.signal.aborted) return
      await round().catch((error: unknown) => log.warn({ round: name, error: String(error) }, 'round.failed'))
    }
  }

  await queue.work('job.run', places.slots, handle)
  await queue.work('job.land', places.lanes, handle)
  admitSoon()

  let stopped: Promise<void> | undefined
  const stopOnce = (): Promise<void> => (stopped ??= stopAll())
  return { id, stop: stopOnce, [Symbol.asyncDispose]: stopOnce }

  async function stopAll(): Promise<void> {
    stopping.abort()
    await queue.stopTaking()
    for (const { stop } of underWay.values()) stop(new Stop('shutdown'))
    const until = performance.now() + 25_000
    while (underWay.size > 0 && performance.now() < until) await sleep(50)
    finished.abort()
    for (const end of heardEnds) end()
    await Promise.all([...rounds, admitting])
    await asSystem(databases, (trx) => trx.deleteFrom('workers').where('id', '=', id).execute()).catch(
      () => undefined,
    )
  }
}
