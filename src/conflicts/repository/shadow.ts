/**
 * A repository as the engine sees it: somebody's objects under a configuration of our own.
 *
 * Git runs in an empty bare directory of ours that borrows the objects. So no hook, filter, merge driver, attribute,
 * replace ref or configuration of the repository is ever heard, its refs and its work tree are out of reach, and what a
 * replay writes vanishes with the directory. Objects that must last (`keeps`) are written into the repository itself.
 */
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { refuse } from '#lib/errors.ts'
import { git, GitFailed, type GitResult, type RunOptions } from './run.ts'

export type Shadow = AsyncDisposable & {
  /** The repository's own git directory (common directory of its work trees). */
  readonly commonDir: string
  readonly gitDir: string
  readonly sha256: boolean
  /** Runs git under our configuration on the repository's objects. */
  run(args: readonly string[], options?: RunOptions): Promise<GitResult>
  env(): Readonly<Record<string, string>>
  /** Asks the real repository, for refs and work trees only. */
  ask(args: readonly string[], options?: RunOptions): Promise<GitResult>
}

export async function openShadow(repository: string, { keeps }: { keeps: boolean }): Promise<Shadow> {
  const path = resolve(repository)
  const notOne = (problem: string): Error => refuse('invalid_request', { problem })
  if (!(await stat(path).catch(() => undefined))?.isDirectory())
    throw notOne(`there is no directory ${repository}.`)
  const asked = await git(
    ['rev-parse', '--path-format=absolute', '--git-common-dir', '--git-dir', '--show-object-format'],
    { cwd: path, env: { GIT_CEILING_DIRECTORIES: '' } },
  )
  if (asked.code !== 0) throw notOne(`${repository} is not a git repository (${lastLine(asked.stderr)}).`)
  const [commonDir = '', ownDir = '', format = 'sha1'] = asked.stdout.toString('utf8').trimEnd().split('\n')

  const gitDir = await mkdtemp(join(tmpdir(), 'flowforge-merge-'))
  const sha256 = format === 'sha256'
  await mkdir(join(gitDir, 'objects', 'info'), { recursive: true })
  await mkdir(join(gitDir, 'refs'))
  await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n')
  const version = sha256 ? 1 : 0
  const extension = sha256 ? '[extensions]\n\tobjectFormat = sha256\n' : ''
  await writeFile(
    join(gitDir, 'config'),
    `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n\tquotePath = false\n${extension}[merge]\n\trenameLimit = 7000\n[gc]\n\tauto = 0\n`,
  )
  const objects = join(commonDir, 'objects')
  // A shallow clone's missing parents are no damage only while git knows where the history was cut.
  await copyFile(join(commonDir, 'shallow'), join(gitDir, 'shallow')).catch(() => undefined)
  if (!keeps) await writeFile(join(gitDir, 'objects', 'info', 'alternates'), `${objects}\n`)
  const env = (): Readonly<Record<string, string>> =>
    keeps ? { GIT_DIR: gitDir, GIT_OBJECT_DIRECTORY: objects } : { GIT_DIR: gitDir }
  return {
    commonDir,
    gitDir,
    sha256,
    env,
    run: (args, options = {}) => git(args, { ...options, env: { ...env(), ...options.env } }),
    ask: (args, options = {}) => git(args, { ...options, env: { GIT_DIR: ownDir, ...options.env } }),
    [Symbol.asyncDispose]: () => rm(gitDir, { recursive: true, force: true }),
  }
}

/** The commit a name stands for, or a refusal that says what is wrong with the name. */
export async function resolveCommit(shadow: Shadow, name: string): Promise<string> {
  const answer = await shadow.ask([
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${name}^{commit}`,
  ])
  const id = answer.stdout.toString('utf8').trim()
  if (answer.code === 0 && /^[0-9a-f]{40,64}$/.test(id)) return id
  const why = lastLine(answer.stderr)
  throw refuse('invalid_request', {
    problem: `${JSON.stringify(name)} is not a commit of this repository${why && ` (${why})`}.`,
  })
}

/** Like run, but any other exit code than 0 is a failure. */
export async function mustRun(
  shadow: Shadow,
  args: readonly string[],
  options?: RunOptions,
): Promise<Buffer> {
  const result = await shadow.run(args, options)
  if (result.code !== 0) throw new GitFailed(args[0] ?? '', result)
  return result.stdout
}

export const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''
