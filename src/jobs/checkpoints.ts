/** The work of a running agent, saved every few minutes: the work tree as a bundle, the agent's own state as an archive. */
import { restoreState, saveState } from '#agent'
import { COLLECT_LIMITS, commitCommand } from '#git'
import { inOrganization, type Transaction } from '#db'
import { sleep } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Sandbox } from '#sandbox'
import type { Claim } from './claim.ts'
import { resultMessage } from './landing-message.ts'
import { openScratch } from './scratch.ts'
import { stopReasonOf } from './stop.ts'
import type { Checkpoint } from './start.ts'
import type { Work } from './work.ts'
import type { Workspace } from './workspace.ts'

const BUNDLE_LIMIT_BYTES = COLLECT_LIMITS.bundleBytes
/** A work tree with a named pipe in place of a .gitignore keeps git waiting for ever. */
const SAVE_LIMIT_MS = 5 * 60_000
/** When the agent has ended somebody waits for it: a worker that is stopped has 25 s. */
const LAST_SAVE_LIMIT_MS = 20_000

export type Checkpoints = AsyncDisposable & {
  /** Saves now. Never throws: a checkpoint that fails is logged, the work goes on. */
  save(): Promise<void>
}

export function keepCheckpoints(
  work: Work,
  workspace: Workspace,
  session: { readonly id: string; readonly base: string },
): Checkpoints {
  const { tools, events } = work
  const ended = new AbortController()
  let saving: Promise<void> = Promise.resolve()
  // Nobody goes on from a job that is cancelled, nor from what a worker saves that has lost it.
  const useless = new AbortController()
  const onStop = (): void => {
    const why = stopReasonOf(work.signal)
    if (why === 'cancelled' || why === 'lost') useless.abort()
  }
  work.signal.addEventListener('abort', onStop, { once: true })
  onStop()

  async function save(timeoutMs: number): Promise<void> {
    if (useless.signal.aborted) return
    try {
      const options = { timeoutMs, signal: useless.signal }
      const saved = await saveOnce(work, workspace.sandbox, session, options)
      if (saved) events.write('checkpoint.saved', saved)
    } catch (error) {
      tools.log.warn({ err: error, job: work.claim.key.id }, 'checkpoint.failed')
      events.write('checkpoint.failed', {
        problem: error instanceof Error ? error.message.slice(0, 500) : 'unknown',
      })
    }
  }

  async function saveAgainAndAgain(): Promise<void> {
    for (;;) {
      await sleep(tools.settings.checkpointEveryMs, ended.signal)
      if (ended.signal.aborted) return
      saving = save(SAVE_LIMIT_MS)
      await saving
    }
  }
  const rounds = saveAgainAndAgain()

  return {
    async save() {
      await saving
      await save(LAST_SAVE_LIMIT_MS)
    },
    async [Symbol.asyncDispose]() {
      ended.abort()
      await rounds
      work.signal.removeEventListener('abort', onStop)
    },
  }
}

async function saveOnce(
  work: Work,
  sandbox: Sandbox,
  session: { readonly id: string; readonly base: string },
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<{ readonly workTree: boolean; readonly session: boolean } | undefined> {
  const { claim, tools } = work
  await using scratch = await openScratch(work)
  const bundle = await sandbox.run(
    commitCommand({
      name: 'checkpoint',
      message: resultMessage(claim.job),
      author: tools.settings.commitAuthor,
      date: new Date(tools.clock.now()),
    }),
    options,
  )
  const bundleFile = scratch.path('checkpoint.bundle')
  const hasBundle =
    bundle.exitCode === 0 &&
    (await sandbox.take('checkpoint.bundle', bundleFile, BUNDLE_LIMIT_BYTES)) === 'taken'
  const stateFile = scratch.path('state.tar')
  const hasState =
    claim.job.agent === 'claude' && (await saveState(sandbox, stateFile, options.signal)) === 'saved'
  if (!hasBundle && !hasState) return undefined
  const bundleBlob = hasBundle ? await tools.blobs.putFile(bundleFile) : null
  const sessionBlob = hasState ? await tools.blobs.putFile(stateFile) : null
  await inOrganization(tools.databases, claim.key.organizationId, async (trx) => {
    const ours = await trx
      .updateTable('jobs')
      .set({ session_id: session.id, base_commit: session.base })
      .where('id', '=', claim.key.id)
      .where('current_execution', '=', claim.executionId)
      .returning('id')
      .executeTakeFirst()
    if (ours) await insertCheckpoint(trx, claim, { bundleBlob, sessionBlob })
  })
  return { workTree: hasBundle, session: hasState }
}

/**
 * The transcript of a session that ended well, for people who look later. Kept after the job is settled, while the sandbox
 * is still there: nobody waits for it, and a job does not fail for want of it.
 */
export async function keepTranscript(work: Work, sandbox: Sandbox): Promise<void> {
  const { claim, tools } = work
  try {
    await using scratch = await openScratch(work)
    const file = scratch.path('transcript.tar')
    if ((await saveState(sandbox, file)) !== 'saved') return
    const sessionBlob = await tools.blobs.putFile(file)
    await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
      insertCheckpoint(trx, claim, { bundleBlob: null, sessionBlob }),
    )
  } catch (error) {
    tools.log.warn({ err: error, job: claim.key.id }, 'transcript.not-kept')
  }
}

async function insertCheckpoint(
  trx: Transaction,
  claim: Claim,
  blobs: { readonly bundleBlob: string | null; readonly sessionBlob: string | null },
): Promise<void> {
  await trx
    .insertInto('job_checkpoints')
    .values({
      id: newId(),
      organization_id: claim.key.organizationId,
      job_id: claim.key.id,
      execution_id: claim.executionId,
      bundle_blob: blobs.bundleBlob,
      session_blob: blobs.sessionBlob,
    })
    .execute()
}

/** Puts the agent's state of an earlier try back, so that its session can go on. */
export async function restoreSession(work: Work, sandbox: Sandbox, checkpoint: Checkpoint): Promise<void> {
  if (checkpoint.sessionBlob === undefined) return
  await using scratch = await openScratch(work)
  const file = scratch.path('state.tar')
  await work.tools.blobs.getFile(checkpoint.sessionBlob, file)
  await restoreState(sandbox, file)
}
