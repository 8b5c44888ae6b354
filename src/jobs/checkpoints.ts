/** The work of a running agent, saved every few minutes: the work tree as a bundle, the agent's own state as an archive. */
import { restoreState, saveState } from '#agent'
import { commitCommand } from '#git'
import { inOrganization } from '#db'
import { sleep } from '#lib/clock.ts'
import { newId } from '#lib/ids.ts'
import type { Sandbox } from '#sandbox'
import { resultMessage } from './landing-message.ts'
import { openScratch } from './scratch.ts'
import type { Checkpoint } from './start.ts'
import type { Work } from './work.ts'
import type { Workspace } from './workspace.ts'

const BUNDLE_LIMIT_BYTES = 2 * 1024 ** 3

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

  async function save(): Promise<void> {
    try {
      const saved = await saveOnce(work, workspace.sandbox, session)
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
      saving = save()
      await saving
    }
  }
  const rounds = saveAgainAndAgain()

  return {
    async save() {
      await saving
      await save()
    },
    async [Symbol.asyncDispose]() {
      ended.abort()
      await rounds
    },
  }
}

async function saveOnce(
  work: Work,
  sandbox: Sandbox,
  session: { readonly id: string; readonly base: string },
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
    { timeoutMs: 5 * 60_000 },
  )
  const bundleFile = scratch.path('checkpoint.bundle')
  const hasBundle =
    bundle.exitCode === 0 &&
    (await sandbox.take('checkpoint.bundle', bundleFile, BUNDLE_LIMIT_BYTES)) === 'taken'
  const stateFile = scratch.path('state.tar')
  const hasState = claim.job.agent === 'claude' && (await saveState(sandbox, stateFile)) === 'saved'
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
    if (!ours) return
    await trx
      .insertInto('job_checkpoints')
      .values({
        id: newId(),
        organization_id: claim.key.organizationId,
        job_id: claim.key.id,
        execution_id: claim.executionId,
        bundle_blob: bundleBlob,
        session_blob: sessionBlob,
      })
      .execute()
  })
  return { workTree: hasBundle, session: hasState }
}

/** Puts the agent's state of an earlier try back, so that its session can go on. */
export async function restoreSession(work: Work, sandbox: Sandbox, checkpoint: Checkpoint): Promise<void> {
  if (checkpoint.sessionBlob === undefined) return
  await using scratch = await openScratch(work)
  const file = scratch.path('state.tar')
  await work.tools.blobs.getFile(checkpoint.sessionBlob, file)
  await restoreState(sandbox, file)
}
