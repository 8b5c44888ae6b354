/** From the remote into the mirror, and questions to the remote. */
import { ensureMirror, readRef, removeMirror } from './mirror-directory.ts'
import { headOf, isCommitId, trackingOf } from './names.ts'
import type { ContainsOutcome, FetchBranchOutcome, FetchOutcome, Unreachable } from './outcomes.ts'
import { LOCKED, missingCommits, whileLocked, type Place } from './place.ts'
import { withRemote, type Remote } from './remote.ts'
import { readUnreachable } from './remote-problems.ts'
import { git, GitFailure, runGit, type GitAnswer } from './run-git.ts'

const EVERYTHING = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*']

/** The mirror itself is broken: half deleted, or cut off by a crash of the host. */
const BROKEN =
  /^(fatal|error): [^\n]*(bad object|unable to read|corrupt|not a git repository: '|could not parse|packfile )/m
/** A branch `a` went and `a/b` came: the old tracking ref is in the way until a fetch prunes it. */
const IN_THE_WAY = /exists; cannot create|there are still refs under|some local refs could not be updated/

export function fetchAll(place: Place, signal: AbortSignal): Promise<FetchOutcome> {
  return withRemote(place, (remote) => fetchAllFrom(place, remote, signal))
}

async function fetchAllFrom(place: Place, remote: Remote, signal: AbortSignal): Promise<FetchOutcome> {
  const [answer, symref] = await Promise.all([
    fetchRefs(place, remote, ['--prune', ...EVERYTHING], signal),
    listRemote(remote, ['--symref'], ['HEAD'], signal),
  ])
  if (answer.code !== 0) return readUnreachable(answer)
  const text = await git({
    repository: place.path,
    args: ['for-each-ref', '--format=%(objectname) %(refname:lstrip=3)', 'refs/remotes/origin'],
  })
  const lines = text.split('\n').filter((line) => line !== '')
  const branches = new Map(lines.map((line) => [line.slice(41), line.slice(0, 40)]))
  const defaultBranch = /^ref: refs\/heads\/([^\t]+)\tHEAD$/m.exec(symref.stdout.toString('utf8'))?.[1]
  return { kind: 'fetched', branches, ...(defaultBranch !== undefined && { defaultBranch }) }
}

/**
 * On this machine the remote's answer is compared with the mirror first (4.5 ms instead of 7 when nothing changed);
 * over a network, asking and fetching is one connection.
 */
export function fetchBranch(place: Place, branch: string, signal: AbortSignal): Promise<FetchBranchOutcome> {
  return withRemote(place, (remote) => fetchBranchFrom(place, remote, branch, signal))
}

async function fetchBranchFrom(
  place: Place,
  remote: Remote,
  branch: string,
  signal: AbortSignal,
): Promise<FetchBranchOutcome> {
  const tracking = trackingOf(branch)
  if (remote.local) {
    const tip = await tipOf(remote, branch, signal)
    if (typeof tip === 'object') return tip
    if (tip === undefined) return { kind: 'missing' }
    if (tip === (await readRef(place.path, tracking))) return { kind: 'fetched', commit: tip }
  }
  const refspec = `+${headOf(branch)}:${tracking}`
  let answer = await fetchRefs(place, remote, [refspec], signal)
  if (answer.code !== 0 && IN_THE_WAY.test(answer.stderr))
    answer = await fetchRefs(place, remote, ['--prune', ...EVERYTHING], signal)
  if (answer.code !== 0)
    return /couldn't find remote ref/.test(answer.stderr) ? { kind: 'missing' } : readUnreachable(answer)
  const commit = await readRef(place.path, tracking)
  return commit === undefined ? { kind: 'missing' } : { kind: 'fetched', commit }
}

/** Asks the remote, not the mirror. Only a remote that answered can make it `absent`. */
export async function remoteContains(
  place: Place,
  commit: string,
  branch: string,
  signal: AbortSignal,
): Promise<ContainsOutcome> {
  const tip = await askTip(place, branch, signal)
  if (typeof tip === 'object') return tip
  if (tip === undefined) return { kind: 'absent' }
  if (tip === commit) return { kind: 'contained' }
  const fetched = await fetchBranch(place, branch, signal)
  if (fetched.kind === 'unreachable') return fetched
  if (fetched.kind === 'missing') return { kind: 'absent' }
  // All ancestors of the tip are here now. A commit that is not, is none of them.
  if ((await missingCommits(place, [commit])).length > 0) return { kind: 'absent' }
  return (await isAncestor(place, commit, fetched.commit)) ? { kind: 'contained' } : { kind: 'absent' }
}

/** The commit a branch of the remote stands at; undefined when there is no such branch. */
export function askTip(
  place: Place,
  branch: string,
  signal: AbortSignal,
): Promise<string | undefined | Unreachable> {
  return withRemote(place, (remote) => tipOf(remote, branch, signal))
}

export async function isAncestor(place: Place, ancestor: string, commit: string): Promise<boolean> {
  const answer = await runGit({
    repository: place.path,
    args: ['merge-base', '--is-ancestor', ancestor, commit],
  })
  if (answer.code > 1) throw new GitFailure('merge-base', answer)
  return answer.code === 0
}

async function tipOf(
  remote: Remote,
  branch: string,
  signal: AbortSignal,
): Promise<string | undefined | Unreachable> {
  const ref = headOf(branch)
  const answer = await listRemote(remote, [], [ref], signal)
  if (answer.code !== 0) return readUnreachable(answer)
  // ls-remote matches ends of names: x/refs/heads/main answers to refs/heads/main too.
  const lines = answer.stdout.toString('utf8').split('\n')
  const tip = lines.find((line) => line.slice(41) === ref)?.slice(0, 40)
  return tip !== undefined && isCommitId(tip) ? tip : undefined
}

function listRemote(
  remote: Remote,
  options: readonly string[],
  patterns: readonly string[],
  signal: AbortSignal,
): Promise<GitAnswer> {
  return runGit({
    args: ['ls-remote', ...options, ...remote.uploadPack, '--end-of-options', remote.url, ...patterns],
    config: remote.config,
    env: remote.env,
    redact: remote.redact,
    limitMs: remote.limitMs,
    signal,
  })
}

async function fetchRefs(
  place: Place,
  remote: Remote,
  what: readonly string[],
  signal: AbortSignal,
): Promise<GitAnswer> {
  const options = what.filter((part) => part.startsWith('--'))
  const refspecs = what.filter((part) => !part.startsWith('--'))
  const attempt = async () => {
    await ensureMirror(place.path)
    return runGit({
      repository: place.path,
      args: [
        'fetch',
        '--progress',
        '--no-tags',
        '--no-auto-maintenance',
        '--no-write-fetch-head',
        '--update-shallow',
        ...options,
        ...remote.uploadPack,
        '--end-of-options',
        remote.url,
        ...refspecs,
      ],
      config: remote.config,
      env: remote.env,
      redact: remote.redact,
      limitMs: remote.limitMs,
      signal,
    })
  }
  const answer = await whileLocked(attempt, ({ code, stderr }) => code !== 0 && LOCKED.test(stderr))
  if (answer.code === 0 || !BROKEN.test(answer.stderr)) return answer
  await removeMirror(place.path)
  return attempt()
}
