import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { scriptedTask } from '#demo'
import { git, startStory } from '#test/story.ts'

test('a command job comes home as a commit and lands on the branch', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin()
  const { job } = await story.client.submit({
    repository: origin,
    into: 'main',
    task: 'Write a file',
    agent: 'command',
    command: ['sh', '-c', 'echo hello > hello.txt'],
    checks: ['test -f hello.txt'],
  })
  const ended = await story.settled(job)
  assert.equal(ended.state, 'succeeded', ended.message ?? '')
  assert.equal(await git(origin, 'show', 'main:hello.txt'), 'hello')
  assert.equal(await git(origin, 'rev-parse', 'main'), ended.landedCommit)
  assert.match(await git(origin, 'log', '-1', '--format=%B', 'main'), new RegExp(`FlowForge-Job: ${job.id}`))
})

test('a Claude job comes home as a commit and lands on the branch', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin()
  const { job } = await story.client.submit({
    repository: origin,
    into: 'main',
    task: scriptedTask('Write a file', {
      turns: [
        {
          text: 'I write it.',
          tools: [{ name: 'Write', input: { file_path: '/workspace/hello.txt', content: 'hello\n' } }],
        },
        { text: 'It is written.' },
      ],
    }),
  })
  const ended = await story.settled(job)
  assert.equal(ended.state, 'succeeded', ended.message ?? '')
  assert.equal(await git(origin, 'show', 'main:hello.txt'), 'hello')
  assert.equal(ended.simulated, true)
  assert.notEqual(ended.costUsd, '0.00')

  // The transcript is kept when nobody waits any more.
  const database = new pg.Client({ connectionString: story.environment['FLOWFORGE_DATABASE_URL'] })
  await database.connect()
  for (let tries = 0; ; tries += 1) {
    const { rows } = await database.query('select from job_checkpoints where session_blob is not null')
    if (rows.length === 1) break
    assert.ok(tries < 100, 'the transcript is in storage')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await database.end()
})
