/** How jobs end, each by the whole program: what the user sees, and what is on the branch afterwards. */
import assert from 'node:assert/strict'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { JobRequestInput } from '#api'
import { scriptedTask } from '#demo'
import { commitFiles, git, startStory, type Story } from '#test/story.ts'

let story: Story
const endings: (() => Promise<void>)[] = []
before(async () => {
  story = await startStory(
    { after: (end) => void endings.push(end) },
    { environment: { FLOWFORGE_SLOTS: '4' } },
  )
})
after(async () => {
  for (const end of endings.reverse()) await end()
})

const command = (script: string): Pick<JobRequestInput, 'agent' | 'command' | 'task' | 'into'> => ({
  into: 'main',
  task: script,
  agent: 'command',
  command: ['sh', '-c', script],
})

describe('the agent', { concurrency: 2 }, () => {
  test('fails: the job fails with its exit code and its last words', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo "no luck" >&2; exit 7'),
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.cause, 'agent_exit')
    assert.match(ended.message ?? '', /7/)
    assert.match(ended.message ?? '', /no luck/)
  })

  test('fails once and is tried again when the job asks for it', async () => {
    const origin = await story.makeOrigin({ 'README.md': '#\n' })
    const { job } = await story.client.submit({ repository: origin, ...command('exit 1'), maxAttempts: 2 })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.attempts, 2)
    assert.equal((await story.client.listExecutions(job.id)).length, 2)
  })

  test('writes nothing: the job says that there is nothing to land', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({ repository: origin, ...command('true') })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.cause, 'no_changes')
  })

  test('is not done in time: the job fails, its work so far is kept', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo part > part.txt; sleep 600'),
      timeLimitSeconds: 2,
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.cause, 'time_limit')
    const events = await story.client.listEvents(job.id)
    assert.ok(
      events.some(({ kind }) => kind === 'checkpoint.saved'),
      JSON.stringify(events),
    )
  })

  test('uses a program that is not there: it is named before anything runs', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: scriptedTask('Do it', { turns: [{ text: 'Done.' }] }),
      checks: ['no-such-tool --version'],
    })
    const asked = story.model.requests.length
    const ended = await story.settled(job)
    assert.equal(ended.cause, 'tool_missing')
    assert.match(ended.message ?? '', /no-such-tool/)
    assert.equal(story.model.requests.length, asked, 'no model was called')
  })

  test('hears what people tell it while it runs', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: scriptedTask('Wait for a word', {
        turns: [
          { text: 'I wait.', tools: [{ name: 'Bash', input: { command: 'sleep 4', description: 'Wait' } }] },
          { tools: [{ name: 'Write', input: { file_path: '/workspace/heard.txt', content: '{{heard}}' } }] },
          { text: 'Done.' },
        ],
      }),
    })
    await story.reached(job, 'agent.tool')
    await story.client.tell(job.id, 'Use the metric system, please')
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    const kinds = (await story.client.listEvents(job.id)).map(({ kind }) => kind)
    assert.ok(kinds.includes('job.told') && kinds.includes('agent.heard'), kinds.join(' '))
  })
})

describe('the branch', { concurrency: 2 }, () => {
  test('takes two jobs, one after the other', async () => {
    const origin = await story.makeOrigin({ 'a.txt': 'a\n' })
    const jobs = await Promise.all(
      ['one', 'two', 'three'].map((name) =>
        story.client.submit({
          repository: origin,
          ...command(`echo ${name} > ${name}.txt`),
          checks: [`test -f ${name}.txt`],
        }),
      ),
    )
    for (const { job } of jobs) assert.equal((await story.settled(job)).state, 'succeeded')
    assert.deepEqual((await git(origin, 'ls-tree', '--name-only', 'main')).split('\n'), [
      'a.txt',
      'one.txt',
      'three.txt',
      'two.txt',
    ])
  })

  test('moves while a job lands: the lane merges again on the newest', async () => {
    const origin = await story.makeOrigin({ 'a.txt': 'a\n' })
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo mine > mine.txt'),
      checks: ['sleep 3; test -f mine.txt'],
    })
    await story.reached(job, 'check.started')
    const work = await mkdtemp(join(tmpdir(), 'ff-origin-'))
    await git(tmpdir(), 'clone', '--quiet', origin, work)
    await commitFiles(work, { 'theirs.txt': 'theirs\n' }, 'Theirs')
    await git(work, 'push', '--quiet', 'origin', 'main')
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    assert.equal(await git(origin, 'show', 'main:theirs.txt'), 'theirs')
    assert.equal(await git(origin, 'show', 'main:mine.txt'), 'mine')
    assert.ok((await story.client.listEvents(job.id)).some(({ kind }) => kind === 'land.target_moved'))
  })

  test('refuses a merge whose checks fail: nothing lands, the result is kept', async () => {
    const origin = await story.makeOrigin()
    const tip = await git(origin, 'rev-parse', 'main')
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo x > x.txt'),
      checks: ['echo broken; exit 3'],
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.cause, 'checks_failed')
    assert.match(ended.message ?? '', /broken/)
    assert.equal(await git(origin, 'rev-parse', 'main'), tip)
    assert.equal(await git(origin, 'show', `${ended.resultBranch}:x.txt`), 'x')
  })

  test('gets only a branch of its own when that is what was asked for', async () => {
    const origin = await story.makeOrigin()
    const tip = await git(origin, 'rev-parse', 'main')
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo x > x.txt'),
      landing: 'branch',
    })
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    assert.equal(await git(origin, 'rev-parse', 'main'), tip)
    assert.equal(await git(origin, 'show', `${ended.resultBranch}:x.txt`), 'x')
  })
})

describe('a person', { concurrency: 2 }, () => {
  test('is asked about an edit of CI, approves, and it lands', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      ...command('mkdir -p .github/workflows; echo on: push > .github/workflows/a.yml'),
    })
    const waiting = await story.settled(job)
    assert.equal(waiting.state, 'needs_review')
    assert.deepEqual(waiting.reviewReasons, ['edits .github/workflows/a.yml'])
    assert.equal(
      await git(origin, 'branch', '--list'),
      '* main',
      'a workflow is not pushed before it was looked at',
    )
    assert.match(await story.client.readDiff(job.id), /\+on: push/)
    await assert.rejects(story.client.approve(job.id, 'f'.repeat(40)), /stands at/)
    await story.client.approve(job.id, waiting.resultCommit ?? '')
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    assert.equal(ended.approvedBy, 'operator')
    assert.match(await git(origin, 'log', '-1', '--format=%B', 'main'), /FlowForge-Approved-By: operator/)
  })

  test('rejects it, and it is cancelled', async () => {
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({ repository: origin, ...command('echo x > CLAUDE.md') })
    assert.equal((await story.settled(job)).state, 'needs_review')
    const rejected = await story.client.reject(job.id, 'not wanted')
    assert.equal(rejected.state, 'cancelled')
    assert.match(rejected.message ?? '', /not wanted/)
  })

  test('mends a conflict on the branch of the job and approves the mended commit', async () => {
    const origin = await story.makeOrigin({ 'a.txt': 'one\n' })
    const { job } = await story.client.submit({
      repository: origin,
      ...command('echo agent > a.txt; sleep 3'),
    })
    await story.reached(job, 'job.running')
    const work = await mkdtemp(join(tmpdir(), 'ff-origin-'))
    await git(tmpdir(), 'clone', '--quiet', origin, work)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await commitFiles(work, { 'a.txt': 'person\n' }, 'Theirs')
    await git(work, 'push', '--quiet', 'origin', 'main')
    const waiting = await story.settled(job)
    assert.equal(waiting.state, 'needs_review')
    assert.equal(waiting.cause, 'conflict')
    const branch = waiting.resultBranch ?? ''
    await git(work, 'fetch', '--quiet', 'origin')
    await git(work, 'checkout', '--quiet', branch)
    await git(
      work,
      '-c',
      'user.name=T',
      '-c',
      'user.email=t@localhost',
      'merge',
      '--quiet',
      '-X',
      'ours',
      'origin/main',
    )
    await git(work, 'push', '--quiet', 'origin', branch)
    await story.client.approve(job.id, await git(work, 'rev-parse', 'HEAD'))
    const ended = await story.settled(job)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    assert.equal(await git(origin, 'show', 'main:a.txt'), 'agent')
  })

  test('cancels while it waits, while it runs and while it is checked; never once its landing is written', async () => {
    const origin = await story.makeOrigin()
    const tip = await git(origin, 'rev-parse', 'main')
    const running = await story.client.submit({ repository: origin, ...command('sleep 600') })
    await story.reached(running.job, 'job.running')
    await story.client.cancel(running.job.id)
    assert.equal((await story.settled(running.job, 20_000)).state, 'cancelled')

    const merging = await story.client.submit({
      repository: origin,
      ...command('echo x > x.txt'),
      checks: ['sleep 600'],
    })
    await story.reached(merging.job, 'check.started')
    await story.client.cancel(merging.job.id)
    assert.equal((await story.settled(merging.job, 20_000)).state, 'cancelled')
    assert.equal(await git(origin, 'rev-parse', 'main'), tip)

    const done = await story.client.submit({ repository: origin, ...command('echo y > y.txt') })
    await story.settled(done.job)
    await assert.rejects(story.client.cancel(done.job.id), /already ended/)
  })
})

test('the repository’s CLAUDE.md reaches the model as it stands on the branch', async () => {
  const origin = await story.makeOrigin({
    'CLAUDE.md': 'Always write tests in sentences, says the branch.\n',
  })
  const { job } = await story.client.submit({
    repository: origin,
    into: 'main',
    task: scriptedTask('Look', {
      turns: [
        { tools: [{ name: 'Write', input: { file_path: '/workspace/x.txt', content: 'x\n' } }] },
        { text: 'Done.' },
      ],
    }),
  })
  assert.equal((await story.settled(job)).state, 'succeeded')
  const asked = story.model.requests.map(({ body }) => body)
  assert.ok(asked.some((body) => body.includes('says the branch')))
})
