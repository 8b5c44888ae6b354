/** Writes the merged tree, the merge commit, and a ref when one was named. */
import { join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import { GitFailed } from './run.ts'
import { lastLine, mustRun, type Shadow } from './shadow.ts'

export type NewFile = { readonly rawPath: string; readonly mode: string; readonly content: Buffer }
export type MovableRef = { readonly name: string; readonly old: string }

/** The tree with some files replaced. Paths go in by NUL records: any name that git can hold works. */
export async function writeTree(shadow: Shadow, tree: string, files: readonly NewFile[]): Promise<string> {
  if (files.length === 0) return tree
  const env = { GIT_INDEX_FILE: join(shadow.gitDir, 'index') }
  await mustRun(shadow, ['read-tree', tree], { env })
  const records: Buffer[] = []
  for (const { rawPath, mode, content } of files) {
    const id = (await mustRun(shadow, ['hash-object', '-w', '--stdin', '--no-filters'], { input: content }))
      .toString('latin1')
      .trim()
    records.push(Buffer.from(`${mode} ${id} 0\t`, 'latin1'), Buffer.from(rawPath, 'latin1'), Buffer.from([0]))
  }
  await mustRun(shadow, ['update-index', '-z', '--index-info'], { env, input: Buffer.concat(records) })
  return (await mustRun(shadow, ['write-tree'], { env })).toString('latin1').trim()
}

/** The same request gives the same commit: its date is the later one of its parents'. */
export async function commitTree(
  shadow: Shadow,
  request: {
    readonly tree: string
    readonly parents: readonly string[]
    readonly message: string
    readonly author: { readonly name: string; readonly email: string }
  },
): Promise<string> {
  const times = await mustRun(shadow, ['show', '-s', '--format=%ct', ...request.parents])
  const time = Math.max(...times.toString('latin1').trim().split('\n').map(Number))
  const date = `${time} +0000`
  const { name, email } = request.author
  const output = await mustRun(
    shadow,
    ['commit-tree', request.tree, ...request.parents.flatMap((parent) => ['-p', parent]), '-F', '-'],
    {
      input: `${request.message}\n`,
      env: {
        GIT_AUTHOR_NAME: name,
        GIT_AUTHOR_EMAIL: email,
        GIT_AUTHOR_DATE: date,
        GIT_COMMITTER_NAME: name,
        GIT_COMMITTER_EMAIL: email,
        GIT_COMMITTER_DATE: date,
      },
    },
  )
  return output.toString('latin1').trim()
}

/** Reads the ref before the merge begins. A ref that is checked out anywhere is refused: its work tree would lie. */
export async function readMovableRef(shadow: Shadow, given: string): Promise<MovableRef> {
  const bad = (problem: string): Error => refuse('invalid_request', { problem })
  const full = await shadow.ask([
    'rev-parse',
    '--verify',
    '--quiet',
    '--symbolic-full-name',
    '--end-of-options',
    given,
  ])
  const found = full.stdout.toString('utf8').trim()
  const name = found.startsWith('refs/') ? found : given.startsWith('refs/') ? given : `refs/heads/${given}`
  if ((await shadow.ask(['check-ref-format', name])).code !== 0)
    throw bad(`${JSON.stringify(given)} is not a valid name for a ref.`)
  const worktrees = (await shadow.ask(['worktree', 'list', '--porcelain', '-z'])).stdout.toString('utf8')
  const blocks = worktrees.split('\0\0')
  if (
    blocks.some(
      (block) => block.split('\0').includes(`branch ${name}`) && !block.split('\0').includes('bare'),
    )
  )
    throw bad(`${name} is checked out in a work tree; moving it would leave that work tree behind.`)
  const value = await shadow.ask(['rev-parse', '--verify', '--quiet', name])
  const old = value.stdout.toString('latin1').trim()
  return { name, old: value.code === 0 ? old : '0'.repeat(shadow.sha256 ? 64 : 40) }
}

/** Compare and swap. */
export async function moveRef(shadow: Shadow, ref: MovableRef, commit: string): Promise<void> {
  const result = await shadow.ask(['update-ref', '-m', 'flowforge merge', ref.name, commit, ref.old])
  if (result.code === 0) return
  if (/cannot lock ref|but expected/.test(result.stderr))
    throw refuse('invalid_request', {
      problem: `${ref.name} moved while merging (${lastLine(result.stderr)}).`,
    })
  throw new GitFailed('update-ref', result)
}
