/**
 * The first story: how one run of a job goes, from a claimed job to a result in storage.
 *
 *   find the commit to begin from               missing branch, no rights: the job ends and says so
 *   open a workspace: sandbox, work tree, setup a missing tool is named before any model is called
 *   give the task to the agent                  its work is saved every few minutes meanwhile
 *   bring the result home                       a bundle, verified, kept in storage
 *
 * What ends a run early is a value (End), never an exception; only bugs and lost claims throw.
 */
import { runCommand, runTask, type TaskOutcome } from '#agent'
import { expectNever } from '#lib/expect-never.ts'
import { idFromName } from '#lib/ids.ts'
import { reach } from '#lib/race-points.ts'
import { keepCheckpoints, keepTranscript, type Checkpoints } from './checkpoints.ts'
import { StaleClaim } from './claim.ts'
import { openModelGate } from './model-gate.ts'
import { bringHome } from './result.ts'
import { agentFailed, infrastructureFailed } from './retry.ts'
import type { End, Settlement } from './settle.ts'
import { findStart } from './start.ts'
import { stopReasonOf } from './stop.ts'
import type { Work } from './work.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

export async function runJob(work: Work): Promise<Settlement> {
  const { claim } = work
  if (claim.job.cancel_requested_at)
    return { end: { kind: 'cancelled', message: 'Cancelled before it ran.' } }
  await reach('run:claimed')

  const [start, gate] = await Promise.all([
    findStart(work),
    claim.job.agent === 'claude' ? openModelGate(work) : undefined,
  ])
  if (start.kind === 'ended') return { end: start.end }
  const [opened, instructions] = await Promise.all([
    openWorkspace(work, { commit: start.commit, checkpoint: start.checkpoint, ...(gate ? { gate } : {}) }),
    gate ? work.mirror.readFile(start.commit, 'CLAUDE.md', INSTRUCTIONS_LIMIT_BYTES) : undefined,
  ])
  if (opened.kind === 'ended') return { end: opened.end }
  const { workspace } = opened
  await reach('run:workspace-ready')

  const timeLimit = AbortSignal.timeout(claim.job.time_limit_seconds * 1000)
  const signal = AbortSignal.any([work.signal, timeLimit])
  const sessionId = start.checkpoint?.sessionId ?? idFromName(`${claim.key.id}/${claim.attempt}`)
  const outcome = await giveToAgent({ ...work, signal }, workspace, {
    id: sessionId,
    base: start.commit,
    resume: start.checkpoint !== undefined,
    instructions,
  })
  await reach('run:agent-ended')
  if (outcome.kind === 'done' && gate) work.atEnd.defer(() => keepTranscript(work, workspace.sandbox))

  // What is done in time is brought home in peace: the time limit is the agent's.
  const end =
    outcome.kind === 'done'
      ? await bringHome(work, workspace, start.commit, outcome.summary)
      : endOf({ ...work, signal }, outcome)
  return {
    end,
    sessionId,
    ...('usage' in outcome && outcome.usage ? { usage: outcome.usage } : {}),
  }
}

/** The kernel takes 128 KiB for one argument. */
const INSTRUCTIONS_LIMIT_BYTES = 64 * 1024

type Session = {
  readonly id: string
  readonly base: string
  readonly resume: boolean
  readonly instructions: string | undefined
}

async function giveToAgent(work: Work, workspace: Workspace, session: Session): Promise<TaskOutcome> {
  const { claim, events, messages, signal } = work
  const { job } = claim
  await using checkpoints = keepCheckpoints(work, workspace, { id: session.id, base: session.base })
  const context = {
    sandbox: workspace.sandbox,
    messages,
    onEvent: ({ kind, ...facts }: { readonly kind: string }) => events.write(kind, facts),
  }
  await reach('run:agent-started')
  const variables = job.variables as Record<string, string>
  const outcome =
    job.agent === 'command'
      ? await runCommand(
          job.command ?? [],
          { text: job.task, sessionId: session.id, variables },
          context,
          signal,
        )
      : await runTask(
          {
            text: job.task,
            sessionId: session.id,
            resume: session.resume,
            variables,
            ...(session.instructions === undefined ? {} : { instructions: session.instructions }),
            ...(job.model === null ? {} : { model: job.model }),
            ...(job.max_turns === null ? {} : { maxTurns: job.max_turns }),
          },
          context,
          signal,
        )
  await saveUnfinished(checkpoints, outcome, work.signal)
  return outcome
}

/** What an agent did before it was stopped is work too. */
async function saveUnfinished(
  checkpoints: Checkpoints,
  outcome: TaskOutcome,
  signal: AbortSignal,
): Promise<void> {
  if (outcome.kind !== 'done' && stopReasonOf(signal) !== 'lost') await checkpoints.save()
}

function endOf(work: Work, outcome: Exclude<TaskOutcome, { readonly kind: 'done' }>): End {
  const { job } = work.claim
  switch (outcome.kind) {
    case 'failed':
      return agentFailed(job, {
        cause: `agent_${outcome.cause.replaceAll('-', '_')}`,
        message: outcome.message,
      })
    case 'hung':
      return agentFailed(job, { cause: 'agent_hung', message: outcome.message })
    case 'over-budget':
      return { kind: 'paused', cause: 'budget', message: outcome.message }
    case 'interrupted':
      return outcome.cause === 'out-of-memory'
        ? agentFailed(job, { cause: 'out_of_memory', message: outcome.message })
        : infrastructureFailed(job, { cause: outcome.cause, message: outcome.message })
    case 'cancelled':
      return endOfStopped(work)
    default:
      return expectNever(outcome)
  }
}

function endOfStopped({ claim, signal }: Work): End {
  switch (stopReasonOf(signal)) {
    case 'cancelled':
      return { kind: 'cancelled', message: 'Cancelled while it ran.' }
    case 'shutdown':
      return {
        kind: 'again',
        cause: 'worker_stopping',
        message: 'The worker was stopped; another goes on from the last checkpoint.',
        delayMs: 0,
      }
    case 'lost':
    case undefined:
      throw new StaleClaim()
    case 'time-limit':
      return agentFailed(claim.job, {
        cause: 'time_limit',
        message: `The agent was not done after ${claim.job.time_limit_seconds} seconds. Its work so far is kept as a checkpoint.`,
      })
  }
}
