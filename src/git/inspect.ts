/** Looks at a result in quarantine: where it comes from, what it changes, and whether each change may be taken. */
import type { ChangedPath, CollectLimits } from './outcomes.ts'
import { changeProblem, collisions, linkProblem, SYMLINK, type RawChange } from './path-rules.ts'
import { missingCommits, type Place } from './place.ts'
import {
  asChangedPath,
  changedPaths,
  RAW_LOG,
  readRawLog,
  splitAtNul,
  type RawCommit,
} from './raw-changes.ts'
import { git, gitBytes, GitFailure, runGit } from './run-git.ts'

export type Inspection = {
  readonly place: Place
  /** Makes git see the quarantine. */
  readonly env: Readonly<Record<string, string>>
  readonly base: string
  readonly commit: string
  readonly packBytes: number
  readonly limits: CollectLimits
  readonly signal: AbortSignal
}
export type Verdict = { readonly paths: readonly ChangedPath[] } | { readonly problem: string }

/** The most that deflate can do: one byte for 1,032. */
const DEFLATE_RATIO = 1032
const LISTING_BYTES = 512 * 1024 ** 2
const LINK_BYTES = 4000

/** One process for a small result of one commit without new files; more only where there is more to ask. */
export async function inspect(inspection: Inspection): Promise<Verdict> {
  const { place, env, base, commit, limits, signal } = inspection
  const log = await runGit({
    repository: place.path,
    args: ['log', '-m', ...RAW_LOG, commit, `^${base}`],
    env,
    // A record has about 100 bytes and the path.
    maxOutputBytes: limits.files * (100 + limits.pathBytes),
    signal,
  })
  if (log.ended === 'too-much') return { problem: `it changes more than ${limits.files} files.` }
  const commits = log.code === 0 ? readRawLog(log.stdout) : []
  if (!commits.some(({ id }) => id === commit)) {
    if (log.code !== 0 && (await missingCommits(place, [base])).length > 0) throw new GitFailure('log', log)
    return { problem: 'it does not hold the commit that it names.' }
  }
  // The log is everything new in the result. If the base is an ancestor, some new commit has it as a parent.
  if (!commits.some(({ parents }) => parents.includes(base)))
    return { problem: 'it does not descend from the commit the work began from.' }
  const changes = commits.flatMap((one) => one.changes)
  if (changes.length > limits.files)
    return { problem: `it changes ${changes.length} files; at most ${limits.files} are taken.` }
  for (const change of changes) {
    const problem = changeProblem(change, limits)
    if (problem !== undefined) return { problem }
  }
  const problem =
    (await blobProblem(inspection, changes)) ??
    (await collisionProblem(
      inspection,
      changes.filter(({ status }) => status === 'A'),
    ))
  if (problem !== undefined) return { problem }
  return { paths: await netChanges(inspection, commits) }
}

/** The paths that differ between base and result: told already when the result is one commit on the base. */
async function netChanges(
  { place, env, base, commit }: Inspection,
  commits: readonly RawCommit[],
): Promise<readonly ChangedPath[]> {
  const [only, ...others] = commits
  if (only && others.length === 0) return only.changes.map(asChangedPath)
  return changedPaths(place, { from: base, to: commit }, env)
}

/** Files that are too large (a small pack of whole objects cannot hold one), and where symbolic links lead. */
async function blobProblem(
  inspection: Inspection,
  changes: readonly RawChange[],
): Promise<string | undefined> {
  const { limits } = inspection
  const written = changes.filter(({ newMode }) => newMode !== '000000')
  const links = written.filter(({ newMode }) => newMode === SYMLINK)
  const couldBeLarge = inspection.packBytes * DEFLATE_RATIO > limits.fileBytes
  const asked = couldBeLarge ? written : links
  if (asked.length === 0) return undefined
  const sizes = await sizesOf(inspection, asked)
  for (const [at, { path, newMode }] of asked.entries()) {
    const size = sizes[at]!
    const shown = JSON.stringify(path.toString('utf8').slice(0, 200))
    if (newMode === SYMLINK && size > LINK_BYTES)
      return `the symbolic link ${shown} has a target of ${size} bytes.`
    if (size > limits.fileBytes)
      return `the file ${shown} has ${size} bytes; at most ${limits.fileBytes} are taken.`
  }
  const targets = links.length === 0 ? [] : await contentsOf(inspection, links)
  for (const [at, { path }] of links.entries()) {
    const problem = linkProblem(path.toString('utf8'), targets[at]!)
    if (problem !== undefined) return problem
  }
  return undefined
}

async function sizesOf(
  { place, env, signal }: Inspection,
  changes: readonly RawChange[],
): Promise<readonly number[]> {
  const text = await git({
    repository: place.path,
    args: ['cat-file', '--batch-check=%(objectsize)'],
    input: idLines(changes),
    env,
    signal,
  })
  return text.trimEnd().split('\n').map(Number)
}

/** The contents of small objects. */
async function contentsOf(
  { place, env, signal }: Inspection,
  changes: readonly RawChange[],
): Promise<readonly Buffer[]> {
  const args = ['cat-file', '--batch=%(objectsize)']
  const bytes = await gitBytes({ repository: place.path, args, input: idLines(changes), env, signal })
  const contents: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const start = bytes.indexOf('\n', at) + 1
    const size = Number(bytes.toString('latin1', at, start - 1))
    contents.push(bytes.subarray(start, start + size))
    at = start + size + 1
  }
  return contents
}

function idLines(changes: readonly RawChange[]): string {
  return changes.map(({ newId }) => `${newId}\n`).join('')
}

/** Two names that differ only in case, of which at least one is new. */
async function collisionProblem(
  { place, env, base, commit, signal }: Inspection,
  added: readonly RawChange[],
): Promise<string | undefined> {
  if (added.length === 0) return undefined
  const list = async (of: string) => {
    const args = ['ls-tree', '-r', '-z', '--name-only', of]
    const bytes = await gitBytes({ repository: place.path, args, env, maxOutputBytes: LISTING_BYTES, signal })
    return splitAtNul(bytes).map((name) => name.toString('utf8'))
  }
  const paths = added.map(({ path }) => path.toString('utf8'))
  const found = collisions(await list(commit), paths)
  if (found.length === 0) return undefined
  const before = new Set(collisions(await list(base), paths).map((pair) => pair.toSorted().join('\0')))
  const fresh = found.find((pair) => !before.has(pair.toSorted().join('\0')))
  if (!fresh) return undefined
  const [one, two] = fresh.map((name) => JSON.stringify(name.slice(0, 200)))
  return `${one} and ${two} are one name on a file system that ignores case.`
}
