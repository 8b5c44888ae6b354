/** Dependencies that a setup command brings: there for agent and checks, kept for the next job, never part of a result. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Job, JobRequestInput } from '#api'
import { commitFiles, git, startStory, type Story } from '#test/story.ts'

/** Stands for `npm ci`: what it brings depends on the lockfile, and it marks each time it really runs. */
const setup =
  'mkdir -p deps && cp package-lock.json deps/lib.txt && cat /proc/sys/kernel/random/uuid > deps/run-id && echo left > left-over.txt'

test('dependencies are set up once for each lockfile', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin({ 'README.md': '#\n', 'package-lock.json': '{"v":1}\n' })
  const submit = async (name: string): Promise<Job> => {
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: name,
      agent: 'command',
      // What a job does to its dependencies must not get into the next one's.
      command: [
        'sh',
        '-c',
        `cat deps/lib.txt deps/run-id > ${name}.txt; echo poisoned > deps/run-id; rm -f deps/lib.txt`,
      ],
      setup,
      checks: ['test -s deps/lib.txt && ! grep poisoned deps/run-id'],
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    return ended
  }

  const first = await submit('first')
  assert.deepEqual(
    await setupsOf(story, first),
    ['setup.started', 'setup.ended', 'setup.kept', 'setup.reused'],
    'the checks use what the run kept',
  )
  assert.deepEqual((await git(origin, 'ls-tree', '-r', '--name-only', 'main')).split('\n'), [
    'README.md',
    'first.txt',
    'package-lock.json',
  ])

  const second = await submit('second')
  assert.deepEqual(await setupsOf(story, second), ['setup.reused', 'setup.reused'])
  assert.equal(
    await git(origin, 'show', 'main:second.txt'),
    await git(origin, 'show', 'main:first.txt'),
    'the same run of setup',
  )
  assert.deepEqual((await git(origin, 'ls-tree', '-r', '--name-only', 'main')).split('\n'), [
    'README.md',
    'first.txt',
    'package-lock.json',
    'second.txt',
  ])

  const work = await mkdtemp(join(tmpdir(), 'ff-origin-'))
  t.after(() => rm(work, { recursive: true, force: true }))
  await git(tmpdir(), 'clone', '--quiet', origin, work)
  await commitFiles(work, { 'package-lock.json': '{"v":2}\n' }, 'Update')
  await git(work, 'push', '--quiet', 'origin', 'main')
  const third = await submit('third')
  assert.deepEqual(await setupsOf(story, third), [
    'setup.started',
    'setup.ended',
    'setup.kept',
    'setup.reused',
  ])
  assert.match(await git(origin, 'show', 'main:third.txt'), /"v":2/)

  const { job } = await story.client.submit({
    repository: origin,
    into: 'main',
    task: 'x',
    agent: 'command',
    command: ['true'],
    setup: 'echo no network >&2; exit 9',
  })
  const failed = await story.settled(job)
  assert.deepEqual([failed.state, failed.cause], ['failed', 'setup_failed'])
  assert.match(failed.message ?? '', /exit code 9[\s\S]*no network/)
})

test('what an unlanded branch sets up is not given to jobs on another', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin({
    'package-lock.json': '{}\n',
    'setup.sh': 'mkdir -p deps && echo good > deps/x\n',
    '.gitignore': 'deps\n',
  })
  const submit = async (script: string, more: Partial<JobRequestInput>): Promise<Job> => {
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: script,
      agent: 'command',
      command: ['sh', '-c', script],
      ...more,
    })
    return story.settled(job)
  }
  const evil = await submit('echo "mkdir -p deps; echo evil > deps/x" > setup.sh', {
    landing: 'branch',
  })
  const base = evil.resultBranch ?? ''
  const onIt = await submit('echo 1 > 1.txt', { base, landing: 'branch', setup: 'sh [s]etup.sh' })
  assert.ok((await setupsOf(story, onIt)).includes('setup.kept'), onIt.message ?? '')
  const onMain = await submit('echo 2 > 2.txt', { setup: 'sh [s]etup.sh', checks: ['grep good deps/x'] })
  assert.equal(onMain.state, 'succeeded', onMain.message ?? '')
  assert.ok((await setupsOf(story, onMain)).includes('setup.kept'))
})

test('a script that the set-up command names counts like a lock file', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin({ 'bin/setup.sh': 'mkdir deps && echo 1 > deps/x\n' })
  const submit = async (script: string): Promise<Job> => {
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: script,
      agent: 'command',
      command: ['sh', '-c', script],
      setup: 'sh ./bin/setup.sh',
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    return ended
  }
  await submit('echo "mkdir deps && echo 2 > deps/x" > bin/setup.sh')
  await submit('cat deps/x > seen.txt')
  assert.equal(await git(origin, 'show', 'main:seen.txt'), '2')
})

test('a set-up that is ended because the job is to stop has not failed', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin()
  const slow: JobRequestInput = {
    repository: origin,
    into: 'main',
    task: 'y',
    agent: 'command',
    command: ['sh', '-c', 'echo y > y.txt'],
  }
  const cancelled = (await story.client.submit({ ...slow, setup: 'sleep 600' })).job
  await story.reached(cancelled, 'setup.started')
  await story.client.cancel(cancelled.id)
  assert.equal((await story.settled(cancelled, 20_000)).state, 'cancelled')
  const stopped = (await story.client.submit({ ...slow, setup: 'sleep 3' })).job
  await story.reached(stopped, 'setup.started')
  process.kill(story.running.pids()['worker'] ?? 0, 'SIGTERM')
  const ended = await story.settled(stopped)
  assert.deepEqual([ended.state, ended.attempts], ['succeeded', 2], ended.message ?? '')
})

async function setupsOf(story: Story, job: Job): Promise<readonly string[]> {
  return (await story.client.listEvents(job.id))
    .map(({ kind }) => kind)
    .filter((kind) => kind.startsWith('setup.'))
}
