/** Out to the remote: exactly one commit to one branch, only while the branch has the expected value. */
import { askTip, isAncestor } from './fetch.ts'
import { commitId, headOf, trackingOf } from './names.ts'
import type { PushOutcome, PushRequest } from './outcomes.ts'
import { writeRef, type Place } from './place.ts'
import { withRemote, type Remote } from './remote.ts'
import { readUnreachable, remoteText } from './remote-problems.ts'
import { runGit, type GitAnswer } from './run-git.ts'

/** The remote's branch has another value than expected; some of these also stand for other faults, so the remote is asked again. */
const MOVED =
  /stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|reference already exists|incorrect old value/
/** Git's updateInstead rule: the branch is checked out and its work tree or index has changes. */
const CHECKED_OUT =
  /checked out|working directory|work(ing)? tree|unstaged changes|staged changes|push-to-checkout|not up to date/i

export async function push(place: Place, request: PushRequest, signal: AbortSignal): Promise<PushOutcome> {
  const { branch, expectedOld } = request
  const commit = commitId(request.commit)
  const ref = headOf(branch)
  // A lease lets git overwrite history; what we push must still build on what is there.
  if (expectedOld !== null && !(await buildsOn(place, commit, commitId(expectedOld))))
    return { kind: 'refused', problem: `${commit} does not build on ${expectedOld}.` }
  const answer = await withRemote(place, (remote) =>
    send(place, remote, { ref, commit, expectedOld }, signal),
  )
  if ('kind' in answer) return answer
  const verdict = readPush(answer, ref)
  if (verdict.kind === 'pushed') await writeRef(place, trackingOf(branch), commit)
  if (verdict.kind !== 'target-moved') return verdict
  const actual = await askTip(place, branch, signal)
  if (typeof actual === 'object') return actual
  // Somebody pushed the same pair already: every owner of a landing pushes the same commit.
  if (actual === commit) return { kind: 'pushed' }
  if ((actual ?? null) === expectedOld)
    return {
      kind: 'refused',
      problem: remoteText(answer.stderr) || 'the server could not update the branch.',
    }
  return { kind: 'target-moved', ...(actual !== undefined && { actual }) }
}

async function buildsOn(place: Place, commit: string, old: string): Promise<boolean> {
  return place.landings.get(commit)?.includes(old) || isAncestor(place, old, commit)
}

type Sent = { readonly ref: string; readonly commit: string; readonly expectedOld: string | null }

function send(place: Place, remote: Remote, sent: Sent, signal: AbortSignal): Promise<GitAnswer> {
  const { ref, commit, expectedOld } = sent
  return runGit({
    repository: place.path,
    args: [
      'push',
      '--porcelain',
      '--progress',
      '--no-verify',
      '--no-follow-tags',
      '--no-signed',
      '--recurse-submodules=no',
      `--force-with-lease=${ref}:${expectedOld ?? ''}`,
      ...remote.receivePack,
      '--end-of-options',
      remote.url,
      `${commit}:${ref}`,
    ],
    config: remote.config,
    env: remote.env,
    redact: remote.redact,
    limitMs: remote.limitMs,
    signal,
  })
}

/** Reads `push --porcelain`: FLAG TAB FROM:TO TAB SUMMARY (REASON). */
export function readPush(answer: GitAnswer, ref: string): PushOutcome {
  const lines = answer.stdout.toString('utf8').split('\n')
  const fields = lines.map((line) => line.split('\t')).find(([, names]) => names?.endsWith(`:${ref}`))
  if (answer.ended !== undefined || fields === undefined) return readUnreachable(answer)
  const [flag = '', , summary = ''] = fields
  if (flag !== '!') return answer.code === 0 ? { kind: 'pushed' } : readUnreachable(answer)
  const reason = /\(([^)]*)\)/.exec(summary)?.[1] ?? summary
  if (MOVED.test(reason)) return { kind: 'target-moved' }
  const problem = [reason, remoteText(answer.stderr)].filter((text) => text !== '').join(': ')
  return CHECKED_OUT.test(reason) ? { kind: 'checked-out', problem } : { kind: 'refused', problem }
}
