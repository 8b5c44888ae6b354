/**
 * The second story: how a result lands on its target branch. One lane (repository and branch) lands one job at a time.
 *
 *   is a landing of this job already written?          yes: ask the remote, push exactly that pair again
 *   fetch the target, merge the result into it         conflict: resolved with proof, or a person decides
 *   do the changes touch what waits for review?        yes, and not approved: a person decides
 *   run the checks on the merged tree                  fail: the job fails, the result is kept
 *   write the landing: commit and expected old value   from here on it can no longer be cancelled
 *   push exactly that pair                             moved: prove it absent, begin again
 *
 * No lock and no transaction is held while pushing: a stopped worker would keep it. What makes a late push of a dead
 * worker harmless is the pair itself, the same for every owner.
 */
import { expectNever } from '#lib/expect-never.ts'
import { reach } from '#lib/race-points.ts'
import { runChecks } from './checks.ts'
import { StaleClaim } from './claim.ts'
import { keepBranch, resultBranchOf } from './kept-branch.ts'
import { findOpenLanding, settleLanding, writeLanding, type Landing } from './landing.ts'
import { landingMessage } from './landing-message.ts'
import { changedTheSameFile, resolveConflicts } from './resolve.ts'
import { restoreResult } from './result.ts'
import { backOff } from './retry.ts'
import { reviewReasonsOf } from './review.ts'
import type { End, Why } from './settle.ts'
import { stopReasonOf } from './stop.ts'
import type { Work } from './work.ts'

/** A target that moves this often while one job lands goes to the back of its lane. */
const TRIES_IN_A_ROW = 5
/** A remote that refuses us so often in a row (rights, no such repository) is for a person to mend. */
const REFUSALS_IN_A_ROW = 3

export async function landJob(work: Work): Promise<End> {
  const { claim, repository, events } = work
  await reach('land:claimed')
  let landing = await findOpenLanding(work)
  if (!landing && claim.job.cancel_requested_at)
    return { kind: 'cancelled', message: 'Cancelled before it landed.' }
  await restoreResult(work, landing)

  for (let tries = 0; tries < TRIES_IN_A_ROW; tries += 1) {
    if (!landing) {
      const prepared = await prepareLanding(work)
      if (prepared.kind !== 'written') return prepared
      landing = prepared.landing
      await reach('land:written')
    }
    const pushed = await pushLanding(work, landing)
    await reach('land:pushed')
    switch (pushed.kind) {
      case 'landed':
        // That it landed is written with the end of the job, in one transaction (settle.ts).
        return { kind: 'landed', commit: landing.commit, branch: landing.targetBranch }
      case 'absent':
        await settleLanding(work, landing, 'absent')
        events.write('land.target_moved', { branch: landing.targetBranch, absent: landing.commit })
        landing = undefined
        break
      case 'refused': {
        await settleLanding(work, landing, 'refused')
        return waitForPerson(work, {
          cause: 'push_refused',
          message: `The remote refused the push to ${landing.targetBranch}: ${pushed.problem}`,
          reasons: [pushed.problem],
        })
      }
      case 'checked-out': {
        await settleLanding(work, landing, 'absent')
        return waitForPerson(work, {
          cause: 'checked_out',
          message: `${landing.targetBranch} is checked out with changes of its own in ${repository.address}. Take the work there with: git merge ${resultBranchOf(claim.job)}. Or commit or stash there, then: flowforge approve ${claim.job.number}`,
          reasons: ['the target branch is checked out and not clean'],
        })
      }
      case 'unreachable':
        // The landing stays written: whoever comes next asks the remote first.
        return againLater(work, { cause: 'unreachable', message: pushed.problem })
      default:
        expectNever(pushed)
    }
  }
  return {
    kind: 'again',
    cause: 'target_busy',
    message: 'The target branch moved again and again.',
    delayMs: backOff(1, 1_000),
  }
}

type Prepared = { readonly kind: 'written'; readonly landing: Landing } | End

async function prepareLanding(work: Work): Promise<Prepared> {
  const { claim, tools, mirror, events, signal } = work
  const { job } = claim
  const result = job.result_commit ?? ''
  if (job.landing === 'branch') {
    // The remote may build a branch by what is in it: it passes the same gates as a merge.
    const stopped = await passGates(work, { from: job.base_commit ?? result, to: result })
    return stopped ?? writeLanding(work, { branch: resultBranchOf(job), expectedOld: null, commit: result })
  }

  const target = await mirror.fetchBranch(job.target_branch, signal)
  if (target.kind === 'unreachable') {
    if (target.temporary || job.infrastructure_failures < REFUSALS_IN_A_ROW)
      return againLater(work, { cause: 'unreachable', message: target.problem })
    return {
      kind: 'review',
      cause: 'unreachable',
      message: `The result is kept, but the remote refuses FlowForge: ${target.problem} When that is mended: flowforge approve ${job.number}`,
      reasons: [target.problem],
    }
  }
  if (target.kind === 'missing') {
    return {
      kind: 'failed',
      cause: 'branch_missing',
      message: `The branch ${job.target_branch} no longer exists at the remote.`,
    }
  }

  const merged = await mergeInto(work, target.commit, result)
  if (merged.kind !== 'merged') return merged
  const commit = await mirror.commitMerge({
    tree: merged.tree,
    parents: [target.commit, result],
    message: landingMessage(job),
    author: tools.settings.commitAuthor,
    date: new Date(tools.clock.now()),
  })
  events.write('land.merged', { target: target.commit, commit })
  await reach('land:merged')

  const stopped = await passGates(work, { from: target.commit, to: commit })
  return stopped ?? writeLanding(work, { branch: job.target_branch, expectedOld: target.commit, commit })
}

/** What must hold before anything is pushed: nothing waits for review, every check passes. Undefined when it does. */
async function passGates(
  work: Work,
  change: { readonly from: string; readonly to: string },
): Promise<End | undefined> {
  const { claim, signal } = work
  const { job } = claim
  const reasons = await reviewReasonsOf(work, change)
  if (reasons.length > 0) {
    return {
      kind: 'review',
      cause: 'sensitive_paths',
      message: `The change touches what configures agents, CI or hooks. Look at it (flowforge show ${job.number} --diff), then: flowforge approve ${job.number}`,
      reasons,
    }
  }

  const checked = await runChecks(work, change.to)
  if (checked.kind === 'failed') {
    // A branch that was to be landed and did not pass is not pushed after all.
    const kept = job.landing === 'branch' ? undefined : await keepBranch(work)
    return {
      kind: 'failed',
      cause: checked.cause,
      message: checked.message,
      ...(kept === undefined ? {} : { branch: kept }),
    }
  }
  if (checked.kind === 'stopped') return whenStopped(work)
  if (checked.kind === 'interrupted') return againLater(work, { cause: 'sandbox', message: checked.message })
  await reach('land:checked')
  return signal.aborted ? whenStopped(work) : undefined
}

type Merged = { readonly kind: 'merged'; readonly tree: string } | End

/** Git's own merge where both sides left each other alone; the conflict engine where they met. */
async function mergeInto(work: Work, target: string, result: string): Promise<Merged> {
  const { claim, mirror, events, signal } = work
  const { job } = claim
  const merge = await mirror.merge({ target, result }, signal)
  switch (merge.kind) {
    case 'contained':
      return { kind: 'landed', commit: target, branch: job.target_branch }
    case 'unrelated':
      return {
        kind: 'failed',
        cause: 'unrelated_history',
        message: `${job.target_branch} no longer shares a history with what the job began from.`,
      }
    case 'conflicts':
      events.write('land.conflicts', { target, paths: merge.paths, messages: merge.messages.slice(0, 50) })
      break
    case 'clean':
      if (!(await changedTheSameFile(work, target))) return { kind: 'merged', tree: merge.tree }
      break
    default:
      return expectNever(merge)
  }
  // A person who approved has looked at the doubts; a conflict that is left stays one.
  if (merge.kind === 'clean' && job.approved_commit === result) return { kind: 'merged', tree: merge.tree }
  const resolved = await resolveConflicts(work, { target, result })
  if (resolved.kind === 'resolved') return { kind: 'merged', tree: resolved.tree }
  if (signal.aborted) return whenStopped(work)
  return waitForPerson(
    work,
    merge.kind === 'conflicts'
      ? {
          cause: 'conflict',
          message: `The result conflicts with ${job.target_branch} and not every file could be resolved with proof. Merge ${job.target_branch} into the branch of the job, push it, then: flowforge approve ${job.number} --commit SHA.`,
          reasons: resolved.reasons,
        }
      : {
          cause: 'doubtful_merge',
          message: `Git merges the result with ${job.target_branch} without a conflict, but the merged files do not hold together. Look at them, then: flowforge approve ${job.number}`,
          reasons: resolved.reasons,
        },
  )
}

type Pushed =
  | { readonly kind: 'landed' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'checked-out'; readonly problem: string }
  | { readonly kind: 'unreachable'; readonly problem: string }

/** Pushes exactly the pair. Whatever goes wrong, the remote is asked whether the commit is there before anything else. */
async function pushLanding({ mirror, signal }: Work, landing: Landing): Promise<Pushed> {
  const { commit, targetBranch: branch, expectedOld } = landing
  const push = await mirror.push({ commit, branch, expectedOld }, signal)
  if (push.kind === 'pushed') return { kind: 'landed' }
  const there = await mirror.remoteContains(branch, commit, signal)
  if (there.kind === 'contained') return { kind: 'landed' }
  if (there.kind === 'unreachable') return { kind: 'unreachable', problem: there.problem }
  switch (push.kind) {
    case 'target-moved':
      return { kind: 'absent' }
    case 'refused':
    case 'checked-out':
      return { kind: push.kind, problem: push.problem }
    case 'unreachable':
      return { kind: 'unreachable', problem: push.problem }
    default:
      return expectNever(push)
  }
}

async function waitForPerson(
  work: Work,
  why: { readonly cause: string; readonly message: string; readonly reasons: readonly string[] },
): Promise<End> {
  const branch = await keepBranch(work)
  const where = branch === undefined ? '' : ` The work is on the branch ${branch}.`
  return {
    kind: 'review',
    cause: why.cause,
    message: why.message + where,
    reasons: why.reasons,
    ...(branch === undefined ? {} : { branch }),
  }
}

/** Until it works: a result is there, and other jobs of the lane pass while this one waits. */
function againLater({ claim }: Work, why: Why): End {
  return {
    kind: 'again',
    ...why,
    counts: 'infrastructure',
    delayMs: backOff(claim.job.infrastructure_failures, 2_000),
  }
}

function whenStopped({ claim, signal }: Work): End {
  const why = stopReasonOf(signal)
  if (why === 'lost') throw new StaleClaim()
  if (why === 'cancelled') return { kind: 'cancelled', message: 'Cancelled before it landed.' }
  return {
    kind: 'again',
    cause: 'worker_stopping',
    message: `The worker was stopped; job ${claim.job.number} goes on elsewhere.`,
    delayMs: 0,
  }
}
