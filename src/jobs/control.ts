/** What people do to a job that exists: cancel, tell, retry, approve, reject. Each is one transaction. */
import { sql } from 'kysely'
import { recordAudit } from '#audit'
import { notify, type Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import type { Principal } from '#tenants'
import { appendEvents } from './events.ts'
import { isFinal, type JobState } from './state.ts'
import { refuseNul } from './refuse-nul.ts'
import { findAndLockJob, keyOf, type JobRow } from './store.ts'

/** A job that nobody works on ends at once; one that runs is told to stop; one whose landing is written lands. */
export async function cancelJob(trx: Transaction, principal: Principal, name: string): Promise<JobRow> {
  const job = await findAndLockJob(trx, name)
  const state = job.state as JobState
  if (isFinal(state)) throw refuse('already_final', { id: numberOf(job), state })
  await refuseWhenLanding(trx, job)
  await audit(trx, principal, 'job.cancel', job)
  const worked = job.current_execution !== null
  if (worked) {
    await trx
      .updateTable('jobs')
      .set({ cancel_requested_at: sql<Date>`coalesce(cancel_requested_at, now())` })
      .where('id', '=', job.id)
      .execute()
    await appendEvents(trx, keyOf(job), [{ kind: 'job.cancelling', facts: { by: principal.name } }])
    await notify(trx, 'flowforge_job_control', job.id)
  } else {
    await end(trx, job, 'cancelled', `Cancelled by ${principal.name}.`)
  }
  return findAndLockJob(trx, job.id)
}

/** Once the pair of a landing is written, any owner may push it: a cancel could no longer be kept. */
async function refuseWhenLanding(trx: Transaction, job: JobRow): Promise<void> {
  const landing = await trx
    .selectFrom('landings')
    .select('commit')
    .where('job_id', '=', job.id)
    .where('state', '=', 'written')
    .executeTakeFirst()
  if (landing) throw refuse('already_landing', { id: numberOf(job), commit: landing.commit.slice(0, 12) })
}

export async function tellJob(
  trx: Transaction,
  principal: Principal,
  name: string,
  text: string,
): Promise<void> {
  refuseNul(text)
  const job = await findAndLockJob(trx, name)
  if (job.state !== 'running' && job.state !== 'queued')
    throw refuse('not_running', { id: numberOf(job), state: job.state })
  if (job.agent !== 'claude')
    throw refuse('invalid_request', {
      problem: `job ${numberOf(job)} runs a command; only Claude can be told something.`,
    })
  await trx
    .insertInto('job_messages')
    .values({
      id: newId(),
      organization_id: job.organization_id,
      job_id: job.id,
      text,
      created_by: principal.name,
    })
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.told', facts: { by: principal.name, text } }])
  await notify(trx, 'flowforge_job_control', job.id)
}

/** A paused job waits for a place again. (A failed or cancelled one is final: it is submitted anew.) */
export async function resumeJob(trx: Transaction, principal: Principal, name: string): Promise<JobRow> {
  const job = await findAndLockJob(trx, name)
  // It may have gone on since it was looked at: a running job is not to be queued again.
  if (job.state !== 'paused')
    throw refuse('invalid_transition', { id: numberOf(job), state: job.state, to: 'queued' })
  await audit(trx, principal, 'job.resume', job)
  await trx
    .updateTable('jobs')
    .set({ state: 'queued', cause: null, message: null, run_after: new Date() })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.resumed', facts: { by: principal.name } }])
  await notify(trx, 'flowforge_admission', job.id)
  return findAndLockJob(trx, job.id)
}

/** The lane runs again, on the newest target, with the gates of review open for exactly this commit. */
export async function approveJob(
  trx: Transaction,
  principal: Principal,
  name: string,
  { seen, commit }: { readonly seen: string; readonly commit: string },
): Promise<JobRow> {
  const job = await findAndLockJob(trx, name)
  if (job.state !== 'needs_review') throw refuse('not_in_review', { id: numberOf(job), state: job.state })
  // It was looked at before it was locked.
  if (job.result_commit !== seen)
    throw refuse('review_moved', { id: numberOf(job), actual: `${job.result_commit}`, expected: seen })
  await audit(trx, principal, 'job.approve', job, { commit })
  await trx
    .updateTable('jobs')
    .set({
      state: 'merging',
      approved_by: principal.name,
      approved_commit: commit,
      result_commit: commit,
      // A commit that a person pushed is at the remote; the bundle in storage holds the agent's.
      ...(commit === seen ? {} : { result_blob: null }),
      cause: null,
      message: null,
    })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.approved', facts: { by: principal.name, commit } }])
  await notify(trx, 'flowforge_admission', job.id)
  return findAndLockJob(trx, job.id)
}

export async function rejectJob(
  trx: Transaction,
  principal: Principal,
  name: string,
  reason: string | undefined,
): Promise<JobRow> {
  refuseNul(reason)
  const job = await findAndLockJob(trx, name)
  if (job.state !== 'needs_review') throw refuse('not_in_review', { id: numberOf(job), state: job.state })
  await audit(trx, principal, 'job.reject', job, { reason: reason ?? null })
  await end(trx, job, 'rejected', `Rejected by ${principal.name}${reason ? `: ${reason}` : '.'}`)
  return findAndLockJob(trx, job.id)
}

async function end(trx: Transaction, job: JobRow, cause: string, message: string): Promise<void> {
  await trx
    .updateTable('jobs')
    .set({ state: 'cancelled', cause, message, finished_at: sql<Date>`now()`, queue_entry: null })
    .where('id', '=', job.id)
    .execute()
  await appendEvents(trx, keyOf(job), [{ kind: 'job.cancelled', facts: { cause, message } }])
  await notify(trx, 'flowforge_admission', job.id)
}

async function audit(
  trx: Transaction,
  principal: Principal,
  action: string,
  job: JobRow,
  after: Record<string, unknown> = {},
): Promise<void> {
  await recordAudit(trx, {
    principal,
    action,
    subject: `job ${numberOf(job)}`,
    before: { state: job.state },
    after,
    outcome: 'done',
  })
}

function numberOf(job: JobRow): string {
  return String(job.number)
}
