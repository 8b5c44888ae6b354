/** Merging in the object database: no work tree, no index, no ref. Attributes of the repository name no program here. */
import { isAncestor } from './fetch.ts'
import { commitId } from './names.ts'
import type { CommitMergeRequest, MergeOutcome, MergeRequest } from './outcomes.ts'
import type { Place } from './place.ts'
import { splitAtNul } from './raw-changes.ts'
import { git, GitFailure, runGit } from './run-git.ts'

const MESSAGES = 200

export async function merge(place: Place, request: MergeRequest, signal: AbortSignal): Promise<MergeOutcome> {
  const target = commitId(request.target)
  const result = commitId(request.result)
  if (target === result) return { kind: 'contained' }
  const [contained, answer] = await Promise.all([
    isAncestor(place, result, target),
    runGit({
      repository: place.path,
      args: ['merge-tree', '--write-tree', '-z', '--messages', '--name-only', target, result],
      signal,
    }),
  ])
  if (contained) return { kind: 'contained' }
  if (/refusing to merge unrelated histories/.test(answer.stderr)) return { kind: 'unrelated' }
  if (answer.code > 1 || answer.ended !== undefined) throw new GitFailure('merge-tree', answer)
  return readMergeTree(answer.stdout, answer.code === 0)
}

/**
 * Reads `merge-tree -z --messages --name-only`: the tree, then conflicted paths, an empty field, and records of
 * messages (count, paths, kind, text). Git 2.39 prints free text about submodules after the records: it ends the reading.
 */
export function readMergeTree(output: Buffer, clean: boolean): MergeOutcome {
  const [tree = '', ...fields] = splitAtNul(output).map((field) => field.toString('utf8'))
  if (clean) return { kind: 'clean', tree: commitId(tree) }
  const gap = fields.indexOf('')
  const paths = new Set(gap < 0 ? fields : fields.slice(0, gap))
  const messages: string[] = []
  for (let at = gap + 1; gap >= 0 && at < fields.length && messages.length < MESSAGES;) {
    const count = /^\d+$/.test(fields[at]!) ? Number(fields[at]) : -1
    const text = fields[at + count + 2]
    if (count < 0 || text === undefined) break
    if (fields[at + count + 1]!.startsWith('CONFLICT')) messages.push(text.trim())
    at += count + 3
  }
  return { kind: 'conflicts', paths: [...paths], messages }
}

/** The same request gives the same id on every worker: names, dates and text are all in it. */
export async function commitMerge(place: Place, request: CommitMergeRequest): Promise<string> {
  const { tree, parents, message, author, date } = request
  const when = `@${Math.floor(date.getTime() / 1000)} +0000`
  const id = await git({
    repository: place.path,
    args: [
      'commit-tree',
      commitId(tree),
      ...parents.flatMap((parent) => ['-p', commitId(parent)]),
      '-F',
      '-',
    ],
    input: message.endsWith('\n') ? message : `${message}\n`,
    env: {
      GIT_AUTHOR_NAME: author.name,
      GIT_AUTHOR_EMAIL: author.email,
      GIT_AUTHOR_DATE: when,
      GIT_COMMITTER_NAME: author.name,
      GIT_COMMITTER_EMAIL: author.email,
      GIT_COMMITTER_DATE: when,
    },
  })
  if (place.landings.size > 1000) place.landings.clear()
  place.landings.set(id.trim(), parents)
  return commitId(id.trim())
}

/** A patch for people, cut off at maxBytes. Large files count as binary; nobody's diff program runs. */
export async function diff(
  place: Place,
  between: { readonly from: string; readonly to: string },
  maxBytes: number,
): Promise<string> {
  const answer = await runGit({
    repository: place.path,
    args: [
      'diff-tree',
      '-p',
      '-r',
      '-M',
      '--no-color',
      '--no-ext-diff',
      '--no-textconv',
      commitId(between.from),
      commitId(between.to),
    ],
    config: ['core.bigFileThreshold=8m', 'diff.renameLimit=1000'],
    maxOutputBytes: maxBytes,
  })
  if (answer.ended === 'too-much')
    return `${answer.stdout.subarray(0, maxBytes).toString('utf8')}\n… cut off after ${maxBytes} bytes\n`
  if (answer.code !== 0) throw new GitFailure('diff-tree', answer)
  return answer.stdout.toString('utf8')
}
