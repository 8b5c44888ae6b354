/**
 * The whole program for a story: `up` with a home of its own, its roles as real processes, a real PostgreSQL, the
 * scripted model as the upstream, and repositories made on the spot.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { createClient, type Client, type Job } from '#api'
import { startScriptedModel, type ScriptedModel } from '#demo'
import { up, type Running, type UpOptions } from '#up'
import { testMasterKeyText, testServer } from './database.ts'

const run = promisify(execFile)

type Ending = { after(work: () => Promise<void>): void }

export type Story = {
  readonly home: string
  readonly client: Client
  readonly running: Running
  readonly model: ScriptedModel
  readonly environment: Readonly<Record<string, string>>
  /** Makes a bare repository with one commit on main. Answers its path. */
  makeOrigin(files?: Readonly<Record<string, string>>): Promise<string>
  /** Waits until the job is final or waits for a person. */
  settled(job: Job, timeoutMs?: number): Promise<Job>
  /** Waits for the first event of this kind. */
  reached(job: Job, kind: string, timeoutMs?: number): Promise<void>
}

export type StoryOptions = {
  readonly environment?: Readonly<Record<string, string>>
  /** With a PostgreSQL of its own, so that it can be killed. */
  readonly embedded?: boolean
  readonly roles?: UpOptions['roles']
}

export async function startStory(t: Ending, options: StoryOptions = {}): Promise<Story> {
  const home = await mkdtemp(join(tmpdir(), 'ff-story-'))
  // As root, PostgreSQL and the sandboxes run as users of their own, who must be able to enter.
  await chmod(home, 0o755)
  const model = await startScriptedModel()
  const database = options.embedded === true ? undefined : await makeDatabase()
  const environment = {
    FLOWFORGE_HOME: home,
    FLOWFORGE_PORT: '0',
    FLOWFORGE_GATEWAY_PORT: '0',
    FLOWFORGE_UPSTREAM_URL: model.url,
    FLOWFORGE_MASTER_KEY: testMasterKeyText,
    FLOWFORGE_SANDBOX_DISK_MB: '512',
    // Shared by all stories: each home is new, and compiling anew would cost each of them seconds.
    NODE_COMPILE_CACHE:
      process.env['NODE_COMPILE_CACHE'] ?? join(tmpdir(), `flowforge-compiled-${process.getuid?.() ?? 0}`),
    ...(database === undefined ? {} : { FLOWFORGE_DATABASE_URL: database.url }),
    ...options.environment,
  }
  let running: Running | undefined
  t.after(async () => {
    await running?.[Symbol.asyncDispose]()
    await model.close()
    await database?.drop()
    await removeHome(home)
  })
  running = await up({
    environment,
    logTo: 'files',
    modelSource: 'scripted',
    ...(options.roles ? { roles: options.roles } : {}),
  })
  const client = createClient({ url: running.apiUrl ?? '', apiKey: running.apiKey })
  return {
    home,
    client,
    running,
    model,
    environment,
    makeOrigin: (files = { 'README.md': '# Sample\n' }) => makeOrigin(t, files),
    settled: (job, timeoutMs = 90_000) => settled(client, job, timeoutMs),
    reached: (job, kind, timeoutMs = 60_000) => reached(client, job, kind, timeoutMs),
  }
}

/** A worker that was killed at the very end leaves mounted disks for the next start, which does not come here. */
export async function removeHome(home: string): Promise<void> {
  const mounts = (await readFile('/proc/mounts', 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(`${home}/`))) await run('umount', ['-l', mount])
  await rm(home, { recursive: true, force: true })
}

async function makeDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const adminUrl = await testServer()
  const name = `story_${process.pid}_${randomBytes(5).toString('hex')}`
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    async drop() {
      const postgres = new URL(adminUrl)
      postgres.pathname = '/postgres'
      const admin = new pg.Client({ connectionString: postgres.href })
      await admin.connect()
      await admin.query(`drop database if exists ${name} with (force)`)
      await admin.end()
    },
  }
}

export async function makeOrigin(t: Ending, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-origin-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const work = join(directory, 'work')
  const origin = join(directory, 'origin.git')
  await run('git', ['init', '--quiet', '--initial-branch', 'main', work])
  await commitFiles(work, files, 'Begin')
  await run('git', ['clone', '--quiet', '--bare', work, origin])
  return origin
}

/** Writes files into a work tree and commits them. */
export async function commitFiles(
  work: string,
  files: Readonly<Record<string, string>>,
  message: string,
): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(work, path)), { recursive: true })
    await writeFile(join(work, path), text)
  }
  await git(work, 'add', '.')
  await git(
    work,
    '-c',
    'user.name=Test',
    '-c',
    'user.email=test@localhost',
    'commit',
    '--quiet',
    '--message',
    message,
  )
}

/** Runs git in a repository and answers what it said. */
export async function git(repository: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('git', ['-C', repository, ...args], { maxBuffer: 64 * 1024 * 1024 })
  return stdout.trimEnd()
}

async function settled(client: Client, job: Job, timeoutMs: number): Promise<Job> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const now = await client.readJob(job.id)
    if (['succeeded', 'failed', 'cancelled', 'needs_review', 'paused'].includes(now.state)) return now
    if (Date.now() > until)
      throw new Error(
        `job ${job.number} is still ${now.state} after ${timeoutMs} ms: ${await lastEvents(client, job)}`,
      )
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function reached(client: Client, job: Job, kind: string, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs)
  for await (const event of client.followEvents(job.id, { signal })) if (event.kind === kind) return
  throw new Error(`job ${job.number} ended without ${kind}: ${await lastEvents(client, job)}`)
}

async function lastEvents(client: Client, job: Job): Promise<string> {
  const events = await client.listEvents(job.id)
  return events
    .slice(-8)
    .map(({ kind, facts }) => `${kind} ${JSON.stringify(facts).slice(0, 300)}`)
    .join('\n')
}
