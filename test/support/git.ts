/** Real repositories for tests: an origin, mirrors of it, and a stand-in for the sandbox that runs the guest's scripts. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import {
  commitCommand,
  createMirrors,
  unpackCommand,
  type CollectOutcome,
  type CollectRequest,
  type GitOperation,
  type GitRepository,
  type GuestGitCommand,
  type Mirror,
  type Mirrors,
} from '#git'
import { newId } from '#lib/ids.ts'
import { createLog } from '#telemetry'

type Ending = { after(work: () => Promise<void>): void }

/** A folder below the system's temporary one, removed when the test is over. */
export async function scratchFolder(t: Ending = { after }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ff-git-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Plain git as a person would run it in a folder. Answers its output, throws with its message. */
export async function sh(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await execute('git', args, { cwd: folder, env: { ...PERSON, ...env } })
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout.trimEnd()
}

const PERSON = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Person',
  GIT_AUTHOR_EMAIL: 'person@example.com',
  GIT_COMMITTER_NAME: 'Person',
  GIT_COMMITTER_EMAIL: 'person@example.com',
} as const

export type Execution = { readonly code: number; readonly stdout: string; readonly stderr: string }

export function execute(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Execution> {
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 64 * 1024 ** 2, ...options }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
      resolve({ code, stdout, stderr })
    })
  })
}

/** Files by path; null deletes, `link` makes a symbolic link. */
export type Files = Readonly<Record<string, string | Buffer | null | { readonly link: string }>>

export async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await rm(file, { recursive: true, force: true })
    if (content === null) continue
    if (typeof content === 'object' && 'link' in content) await symlink(content.link, file)
    else await writeFile(file, content)
  }
}

export type Origin = {
  /** The bare repository. */
  readonly path: string
  /** A person's clone of it. */
  readonly clone: string
  /** Commits files as a person would and pushes them; answers the commit. */
  commit(files: Files, options?: { readonly branch?: string; readonly message?: string }): Promise<string>
  tip(branch?: string): Promise<string>
  /** A file of a branch, as text. */
  read(path: string, branch?: string): Promise<string>
}

/** A bare origin with the branch main and one commit of these files. */
export async function createOrigin(t?: Ending, files: Files = { 'README.md': 'hello\n' }): Promise<Origin> {
  const folder = await scratchFolder(t)
  const path = join(folder, 'origin.git')
  const clone = join(folder, 'clone')
  await sh(folder, ['init', '-q', '--bare', '-b', 'main', path])
  await sh(folder, ['init', '-q', '-b', 'main', clone])
  await sh(clone, ['remote', 'add', 'origin', path])
  const origin: Origin = {
    path,
    clone,
    async commit(changes, { branch = 'main', message = 'Change' } = {}) {
      const exists = (await execute('git', ['-C', path, 'rev-parse', '-q', '--verify', branch])).code === 0
      if (exists) {
        await sh(clone, ['fetch', '-q', 'origin'])
        await sh(clone, ['checkout', '-q', '-f', '-B', branch, `origin/${branch}`])
      } else {
        await sh(clone, ['checkout', '-q', '-B', branch])
      }
      await writeFiles(clone, changes)
      await sh(clone, ['add', '-A', '-f'])
      await sh(clone, ['commit', '-q', '--allow-empty', '-m', message])
      await sh(clone, ['push', '-q', 'origin', branch])
      return sh(clone, ['rev-parse', 'HEAD'])
    },
    tip: (branch = 'main') => sh(path, ['rev-parse', branch]),
    read: (file, branch = 'main') => sh(path, ['show', `${branch}:${file}`]),
  }
  await origin.commit(files, { message: 'First commit' })
  return origin
}

export type TestMirrors = {
  readonly home: string
  readonly mirrors: Mirrors
  readonly operations: GitOperation[]
  /** A repository of its own id at this address. */
  readonly repository: (address: string, more?: Partial<GitRepository>) => GitRepository
}

export async function createTestMirrors(
  t?: Ending,
  options: Partial<Parameters<typeof createMirrors>[0]> = {},
): Promise<TestMirrors> {
  const home = await scratchFolder(t)
  const operations: GitOperation[] = []
  const mirrors = createMirrors({
    home,
    log: createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'test'),
    recorder: async (operation) => void operations.push(operation),
    ...options,
  })
  const organizationId = newId<'organization'>()
  return {
    home,
    mirrors,
    operations,
    repository: (address, more) => ({ id: newId<'repository'>(), organizationId, address, ...more }),
  }
}

export const AUTHOR = { name: 'FlowForge', email: 'flowforge@localhost' }
export const NEVER = new AbortController().signal

/** Where the guest's scripts run in a test: folders of the host in the place of those of the sandbox. */
export type Guest = {
  readonly workspace: string
  readonly in: string
  readonly out: string
  run(command: GuestGitCommand): Promise<Execution>
  /** Puts the commit's work tree there. */
  unpack(mirror: Mirror, commit: string, checkpointFile?: string): Promise<void>
  commit(name?: 'result' | 'checkpoint', message?: string): Promise<Execution>
  /** The file commit() wrote. */
  readonly result: string
  readonly checkpoint: string
  collect(mirror: Mirror, base: string, more?: Partial<CollectRequest>): Promise<CollectOutcome>
}

export async function createGuest(t?: Ending): Promise<Guest> {
  const folder = await scratchFolder(t)
  const folders = { workspace: join(folder, 'workspace'), in: join(folder, 'in'), out: join(folder, 'out') }
  for (const one of Object.values(folders)) await mkdir(one)
  const result = join(folders.out, 'result.bundle')
  const checkpoint = join(folders.out, 'checkpoint.bundle')
  const run = ({ argv: [program = '', ...args], env }: GuestGitCommand) =>
    execute(program, args, { env: { PATH: PERSON.PATH, HOME: '/nonexistent', ...env } })
  return {
    ...folders,
    result,
    checkpoint,
    run,
    async unpack(mirror, commit, checkpointFile) {
      await mirror.writeInputBundle(commit, join(folders.in, 'base.bundle'), NEVER)
      if (checkpointFile !== undefined)
        await writeFile(join(folders.in, 'checkpoint.bundle'), await readFile(checkpointFile))
      const request = { commit, checkpoint: checkpointFile !== undefined, folders }
      const { code, stderr } = await run(unpackCommand(request))
      if (code !== 0) throw new Error(`unpack ended with ${code}: ${stderr}`)
    },
    commit: (name = 'result', message = 'Do the task') =>
      run(commitCommand({ name, message, author: AUTHOR, date: new Date(1_800_000_000_000), folders })),
    collect: (mirror, base, more) =>
      mirror.collect({ file: result, base, keepAs: `results/${newId()}`, ...more }, NEVER),
  }
}
