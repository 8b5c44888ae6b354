/** What came out of a sandbox: a bundle from an untrusted machine. Checked from the outside in; nothing is kept before all holds. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { readBundleHeader } from './bundle-file.ts'
import { inspect } from './inspect.ts'
import { keptAs } from './names.ts'
import type { CollectLimits, CollectOutcome, CollectRequest } from './outcomes.ts'
import { missingCommits, writeRef, type Place } from './place.ts'
import { openQuarantine, readPack } from './quarantine.ts'
import { GitFailure, type GitAnswer } from './run-git.ts'

export const COLLECT_LIMITS: CollectLimits = {
  bundleBytes: 512 * 1024 ** 2,
  fileBytes: 100 * 1024 ** 2,
  files: 50_000,
  pathBytes: 1024,
}

export const RESULT_REF = 'refs/heads/result'
/** Objects for each file: itself and the trees above it, in a history of some commits. */
const OBJECTS_PER_FILE = 20

export async function collect(
  place: Place,
  request: CollectRequest,
  signal: AbortSignal,
): Promise<CollectOutcome> {
  const limits = { ...COLLECT_LIMITS, ...request.limits }
  // The file is ours, but its content is not; a link or a pipe in its place is not followed.
  await using handle = await open(
    request.file,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  )
  const found = await handle.stat()
  if (!found.isFile()) return rejected('it is not a file.')
  if (found.size > limits.bundleBytes)
    return rejected(`it has ${found.size} bytes; at most ${limits.bundleBytes} are taken.`)
  const header = await readBundleHeader(handle)
  if ('problem' in header) return rejected(header.problem)
  const commit = header.refs.get(RESULT_REF)
  if (commit === undefined || header.refs.size !== 1)
    return rejected(`it must hold ${RESULT_REF} and nothing else.`)
  if (commit === request.base) return { kind: 'unchanged' }
  if (header.prerequisites.length !== 1 || header.prerequisites[0] !== request.base)
    return rejected('it must build on the commit the work began from and on nothing else.')
  if (header.objects > limits.files * OBJECTS_PER_FILE)
    return rejected(`it has ${header.objects} objects; at most ${limits.files * OBJECTS_PER_FILE} are taken.`)

  await using quarantine = await openQuarantine(place)
  const { fileBytes } = limits
  const answer = await readPack(quarantine, place, { handle, header, fileBytes, signal })
  if (answer.code !== 0) return await readRefusal(place, request, answer)
  const packBytes = found.size - header.bytes
  const verdict = await inspect({
    place,
    env: quarantine.env,
    base: request.base,
    commit,
    packBytes,
    limits,
    signal,
  })
  if ('problem' in verdict) return rejected(verdict.problem)
  if (verdict.paths.length === 0) return { kind: 'unchanged' }
  await quarantine.accept()
  await writeRef(place, keptAs(request.keepAs), commit)
  return { kind: 'collected', commit, paths: verdict.paths }
}

/** Git refused the pack: that is the sandbox's fault, unless our own mirror lacks the base. */
async function readRefusal(
  place: Place,
  { base }: CollectRequest,
  answer: GitAnswer,
): Promise<CollectOutcome> {
  const failure = new GitFailure('index-pack', answer)
  if ((await missingCommits(place, [base])).length > 0) throw failure
  if (/No space left on device|Disk quota exceeded/.test(answer.stderr)) throw failure
  if (/over limit/.test(answer.stderr)) return rejected('it has an object that is too large.')
  const said = answer.stderr
    .split('\n')
    .filter((line) => /^(fatal|error): /.test(line))
    .map((line) => line.replace(/^(fatal|error): /, ''))
  return rejected(
    `git does not accept its objects: ${said.join('; ').slice(0, 400) || `code ${answer.code}`}.`,
  )
}

function rejected(problem: string): CollectOutcome {
  return { kind: 'rejected', problem: `The result was not taken: ${problem}` }
}
