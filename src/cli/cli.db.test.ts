import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { Job } from '#api'
import { startTestApi, type TestApi } from '#test/api.ts'

const bin = new URL('../../bin/flowforge', import.meta.url).pathname
const closers: (() => Promise<void>)[] = []
let api: TestApi
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ff-cli-'))
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder })
  git('init', '-q', '-b', 'main', 'work')
  git(
    '-C',
    'work',
    '-c',
    'user.name=T',
    '-c',
    'user.email=t@localhost',
    'commit',
    '-q',
    '--allow-empty',
    '-m',
    'Begin',
  )
  git('clone', '-q', '--bare', 'work', 'origin.git')
  api = await startTestApi({ after: (work) => void closers.push(work) })
})
after(async () => {
  for (const close of closers.toReversed()) await close()
  rmSync(folder, { recursive: true, force: true })
})

type Result = { readonly status: number; readonly stdout: string; readonly stderr: string }

async function flowforge(
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<Result> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    FLOWFORGE_HOME: api.home,
    ...(options.env ?? { FLOWFORGE_URL: api.url, FLOWFORGE_API_KEY: api.apiKey }),
  }
  const child = spawn(bin, args, { cwd: folder, env })
  child.stdin.end(options.input ?? '')
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ])
  return { status, stdout, stderr }
}

async function submit(...more: string[]): Promise<Job> {
  const { stdout, stderr } = await flowforge([
    'submit',
    './origin.git',
    'Do it',
    '--into',
    'main',
    '--command',
    'true',
    '--json',
    ...more,
  ])
  assert.equal(stderr, '')
  return JSON.parse(stdout) as Job
}

test('a relative path is submitted as an absolute one, and the answer says how to follow the job', async () => {
  const { status, stdout } = await flowforge([
    'submit',
    './origin.git',
    'Do it',
    '--into',
    'main',
    '--command',
    'true',
  ])
  assert.equal(status, 0)
  assert.match(stdout, /^Job \d+ waits for a place: Do it\nFollow it with: flowforge watch \d+\n$/)
})

test('a task comes from a file or from standard input', async () => {
  writeFileSync(join(folder, 'task.md'), '# From a file\nwith lines')
  const rest = ['--into', 'main', '--command', 'true', '--json']
  const fromFile = JSON.parse(
    (await flowforge(['submit', './origin.git', '@task.md', ...rest])).stdout,
  ) as Job
  assert.equal(fromFile.task, '# From a file\nwith lines')
  const fromInput = JSON.parse(
    (await flowforge(['submit', './origin.git', '-', ...rest], { input: 'From a pipe' })).stdout,
  ) as Job
  assert.equal(fromInput.task, 'From a pipe')
})

test('the options of submit reach the job', async () => {
  const job = await submit(
    '--check',
    'one',
    '--check',
    'two',
    '--time-limit',
    '1h30m',
    '--budget',
    '2.5',
    '--tag',
    'team=core',
    '--priority',
    '-3',
  )
  assert.deepEqual(job.checks, ['one', 'two'])
  assert.equal(job.timeLimitSeconds, 5400)
  assert.equal(job.budgetUsd, '2.50')
  assert.deepEqual(job.costTags, { team: 'core' })
  assert.equal(job.priority, -3)
})

test('what the API refuses is printed as its sentence, with --json as its code', async () => {
  const plain = await flowforge(['show', '99999'])
  assert.equal(plain.status, 1)
  assert.equal(plain.stderr, 'error There is no job 99999. `flowforge jobs` lists them.\n')
  const json = await flowforge(['show', '99999', '--json'])
  assert.equal((JSON.parse(json.stderr) as { error: { code: string } }).error.code, 'job_not_found')
  const branch = await flowforge(['submit', './origin.git', 'x', '--into', 'nowhere', '--command', 'true'])
  assert.equal(branch.status, 1)
  assert.match(branch.stderr, /has no branch nowhere\. It has: main\./)
})

test('jobs are listed as a table for people and as JSON for programs', async () => {
  const job = await submit('--title', 'A title \u001b[31min red')
  const { stdout } = await flowforge(['jobs', '--limit', '1'])
  assert.match(stdout, new RegExp(`^JOB +STATE .*\\n${job.number} +queued .* A title in red\\n$`))
  const list = JSON.parse((await flowforge(['jobs', '--limit', '1', '--json'])).stdout) as { jobs: Job[] }
  assert.equal(list.jobs[0]?.id, job.id)
})

test('--wait follows to the end, and the exit code says how it went', async () => {
  const waiting = flowforge([
    'submit',
    './origin.git',
    'Wait',
    '--into',
    'main',
    '--command',
    'true',
    '--wait',
    '--title',
    'waited for',
  ])
  let job: Job | undefined
  while (job?.title !== 'waited for') [job] = (await api.client.listJobs({ limit: 1 })).jobs
  await api.happen(job.id, [
    { kind: 'agent.output', facts: { stream: 'stdout', text: '\u001b]0;evil\u0007said' } },
  ])
  await api.client.cancel(job.id)
  const { status, stdout } = await waiting
  assert.equal(status, 1)
  assert.match(stdout, /agent\.output +said\n/)
  assert.match(stdout, /Job \d+ cancelled/)
  // oxlint-disable-next-line no-control-regex -- looked for on purpose
  assert.doesNotMatch(stdout, /\u001b/)
})

test('a job that waits for a person ends the wait with 2', async () => {
  const job = await submit()
  await api.within(async (trx) => {
    for (const state of ['running', 'merging', 'needs_review'] as const)
      await trx
        .updateTable('jobs')
        .set({ state, message: 'Look at ci.yml' })
        .where('id', '=', job.id)
        .execute()
  })
  await api.happen(job.id, [
    { kind: 'job.needs_review', facts: { cause: 'sensitive', message: 'Look at ci.yml', reasons: [] } },
  ])
  const { status, stdout } = await flowforge(['watch', String(job.number)])
  assert.equal(status, 2)
  assert.match(stdout, /flowforge approve \d+/)
  assert.match((await flowforge(['review'])).stdout, /Look at ci\.yml/)
  assert.equal((await flowforge(['reject', String(job.number), '--reason', 'no'])).status, 0)
})

test('cancel, retry, show, log and diff work on one job', async () => {
  const job = await submit()
  const name = `#${job.number}`
  assert.match((await flowforge(['cancel', name])).stdout, /is cancelled/)
  const again = JSON.parse((await flowforge(['retry', name, '--json'])).stdout) as Job
  assert.equal(again.retryOf, job.id)
  const shown = await flowforge(['show', name])
  assert.match(shown.stdout, new RegExp(`^Job ${job.number} `))
  assert.match((await flowforge(['log', name])).stdout, /job\.submitted .*\n.*job\.cancelled/)
  const events = (await flowforge(['log', name, '--json'])).stdout.trim().split('\n')
  assert.deepEqual(
    events.map((line) => (JSON.parse(line) as { number: number }).number),
    events.map((_, index) => index + 1),
  )
  assert.equal((await flowforge(['diff', name])).status, 0)
  const withDiff = JSON.parse((await flowforge(['show', name, '--diff', '--json'])).stdout) as {
    diff: string
  }
  assert.equal(withDiff.diff, '')
  const tell = await flowforge(['tell', name, 'hello', 'there'])
  assert.match(tell.stderr, /nothing is there to hear the message/)
})

test('repositories are added with a token from a file, which is never printed', async () => {
  writeFileSync(join(folder, 'token'), 'tok-123456\n')
  const address = 'https://93.184.216.34/team/shop.git'
  const added = await flowforge([
    'repositories',
    'add',
    'shop',
    address,
    '--token-file',
    'token',
    '--sensitive',
    'ci/**',
  ])
  assert.equal(added.status, 0, added.stderr)
  const shown = await flowforge(['repositories', 'show', 'shop', '--json'])
  assert.equal((JSON.parse(shown.stdout) as { credential: string }).credential, 'https_token')
  assert.doesNotMatch(added.stdout + shown.stdout, /tok-123456/)
  assert.match((await flowforge(['repositories'])).stdout, /^shop +https_token /m)
  const changed = await flowforge(['repositories', 'change', 'shop', '--no-credential', '--json'])
  assert.equal((JSON.parse(changed.stdout) as { credential: null }).credential, null)
})

test('the key on this machine is used for its own API and never sent to another', async () => {
  writeFileSync(join(api.home, 'credentials.json'), JSON.stringify({ url: api.url, apiKey: api.apiKey }))
  assert.equal((await flowforge(['jobs'], { env: {} })).status, 0)
  assert.equal((await flowforge(['jobs'], { env: { FLOWFORGE_URL: `${api.url}/` } })).status, 0)
  const elsewhere = await flowforge(['jobs'], {
    env: { FLOWFORGE_URL: api.url.replace('127.0.0.1', 'localhost') },
  })
  assert.match(elsewhere.stderr, /API key is needed/)
})

test('an early end of the reader is no error', async () => {
  mkdirSync(join(folder, 'x'), { recursive: true })
  const job = await submit()
  const env = {
    PATH: process.env['PATH'] ?? '',
    FLOWFORGE_HOME: api.home,
    FLOWFORGE_URL: api.url,
    FLOWFORGE_API_KEY: api.apiKey,
  }
  const child = spawn('bash', ['-c', `set -o pipefail; ${bin} show ${job.number} --json | head -c 10`], {
    env,
  })
  const [status] = (await once(child, 'close')) as [number]
  assert.equal(status, 0)
})
