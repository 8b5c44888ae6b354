/** The result: made inside the sandbox as a bundle, verified on its way into the mirror, kept in storage. */
import { COLLECT_LIMITS, commitCommand, NOTHING_CHANGED } from '#git'
import { reach } from '#lib/race-points.ts'
import type { Landing } from './landing.ts'
import { resultMessage } from './landing-message.ts'
import { agentFailed } from './retry.ts'
import { openScratch } from './scratch.ts'
import type { End } from './settle.ts'
import { throwIfStopped } from './stop.ts'
import type { Work } from './work.ts'
import type { Workspace } from './workspace.ts'

/** More would be refused after it was copied. */
const BUNDLE_LIMIT_BYTES = COLLECT_LIMITS.bundleBytes

export async function bringHome(
  work: Work,
  { sandbox }: Workspace,
  base: string,
  summary: string,
): Promise<End> {
  const { claim, tools, mirror, events } = work
  const { job } = claim
  await using scratch = await openScratch(work)
  const made = await sandbox.run(
    commitCommand({
      name: 'result',
      message: resultMessage(job),
      author: tools.settings.commitAuthor,
      date: new Date(tools.clock.now()),
    }),
    { timeoutMs: 10 * 60_000, signal: work.signal },
  )
  throwIfStopped(work.signal)
  if (made.exitCode === NOTHING_CHANGED) return nothingChanged(work, summary)
  if (made.exitCode !== 0) {
    return agentFailed(job, {
      cause: 'result_unreadable',
      message: `The work tree could not be committed: ${made.stderr.toString().slice(-1_000)}`,
    })
  }
  const file = scratch.path('result.bundle')
  const taken = await sandbox.take('result.bundle', file, BUNDLE_LIMIT_BYTES)
  if (taken !== 'taken') {
    return agentFailed(job, {
      cause: 'result_rejected',
      message:
        taken === 'absent'
          ? 'The sandbox gave no result.'
          : `The result is larger than ${BUNDLE_LIMIT_BYTES / 1024 ** 2} MiB.`,
    })
  }
  // Kept while it is verified: both read the same file, and what is not taken is deleted again.
  const [collected, resultBlob] = await Promise.all([
    mirror.collect({ file, base, keepAs: `jobs/${claim.key.id}` }, work.signal),
    tools.blobs.putFile(file),
  ])
  if (collected.kind !== 'collected') await tools.blobs.delete(resultBlob)
  switch (collected.kind) {
    case 'unchanged':
      return nothingChanged(work, summary)
    case 'rejected':
      return agentFailed(job, {
        cause: 'result_rejected',
        message: `The result is not taken: ${collected.problem}`,
      })
    case 'collected': {
      events.write('run.collected', {
        commit: collected.commit,
        paths: collected.paths.slice(0, 200),
        files: collected.paths.length,
      })
      await reach('run:result-collected')
      return { kind: 'result', baseCommit: base, resultCommit: collected.commit, resultBlob, summary }
    }
  }
}

function nothingChanged({ claim }: Work, summary: string): End {
  return agentFailed(claim.job, {
    cause: 'no_changes',
    message: `The agent ended without changing a file, so there is nothing to land.${summary ? ` It said: ${summary.slice(0, 2_000)}` : ''}`,
  })
}

/** Keeps a commit in storage, where it survives the mirror. Answers the blob's name. */
export async function storeBundle(work: Work, commit: string, without: readonly string[]): Promise<string> {
  await using scratch = await openScratch(work)
  const file = scratch.path('landing.bundle')
  await work.mirror.writeBundle(commit, without, file)
  // Awaited here: the scratch folder goes when this scope ends.
  return await work.tools.blobs.putFile(file)
}

/** The mirror is a cache: what it lost, or what another worker's mirror has, comes back from storage. */
export async function restoreResult(work: Work, landing: Landing | undefined): Promise<void> {
  const { claim, mirror, tools } = work
  const needed = [
    { commit: claim.job.result_commit, blob: claim.job.result_blob },
    ...(landing ? [{ commit: landing.commit, blob: landing.bundleBlob }] : []),
  ]
  for (const { commit, blob } of needed) {
    if (commit === null || blob === null || (await mirror.resolve(commit)) !== undefined) continue
    const fetched = await mirror.fetch(work.signal)
    if (fetched.kind === 'unreachable') tools.log.warn({ problem: fetched.problem }, 'result.fetch-failed')
    await using scratch = await openScratch(work)
    const file = scratch.path('restored.bundle')
    await tools.blobs.getFile(blob, file)
    await mirror.restoreBundle(file)
  }
}
