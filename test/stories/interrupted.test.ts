/** Pauses, lost mirrors and remotes that are away: the job ends as it really ended, and nothing is done twice. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { sleep } from '#lib/clock.ts'
import { git, startStory } from '#test/story.ts'

const attempt = (script: string) => ({
  into: 'main',
  task: script,
  agent: 'command' as const,
  command: ['sh', '-c', script],
})

describe('what interrupts a job', { concurrency: 5 }, () => {
  for (const point of ['land:written', 'land:pushed'] as const) {
    test(`a worker that dies at ${point}, its mirror lost, while the remote is away: the job lands when it is back`, async (t) => {
      const story = await startStory(t, { environment: { FLOWFORGE_KILL_AT: point } })
      const origin = await story.makeOrigin()
      const { job } = await story.client.submit({ repository: origin, ...attempt('echo hi > a.txt') })
      const killed = join(story.home, `killed-at-${point.replace(':', '-')}`)
      while (!existsSync(killed)) await sleep(20)
      await rename(origin, `${origin}.away`)
      await rm(join(story.home, 'mirrors'), { recursive: true, force: true })
      let now = await story.client.readJob(job.id)
      while (now.cause === null) {
        await sleep(200)
        now = await story.client.readJob(job.id)
      }
      assert.deepEqual([now.state, now.cause], ['merging', 'unreachable'], now.message ?? '')
      await rename(`${origin}.away`, origin)
      const ended = await story.settled(job, 120_000)
      assert.equal(ended.state, 'succeeded', ended.message ?? '')
      assert.equal(await git(origin, 'rev-parse', 'main'), ended.landedCommit)
      assert.equal(await git(origin, 'show', 'main:a.txt'), 'hi')
      assert.equal((await git(origin, 'log', '--merges', '--format=%H', 'main')).split('\n').length, 1)
    })
  }

  test('a checkpoint outlives the mirror: the work goes on from it', async (t) => {
    const story = await startStory(t, { environment: { FLOWFORGE_CHECKPOINT_SECONDS: '1' } })
    const origin = await story.makeOrigin()
    const script = 'if [ -e first.txt ]; then echo 2 > second.txt; else echo 1 > first.txt; sleep 300; fi'
    const { job } = await story.client.submit({ repository: origin, ...attempt(script) })
    for await (const { kind, number } of story.client.followEvents(job.id))
      if (kind === 'checkpoint.saved' && number > 3) break
    process.kill(story.running.pids()['worker'] ?? 0, 'SIGKILL')
    await rm(join(story.home, 'mirrors'), { recursive: true, force: true })
    const ended = await story.settled(job, 60_000)
    assert.equal(ended.state, 'succeeded', ended.message ?? '')
    assert.equal(await git(origin, 'show', 'main:second.txt'), '2')
  })

  test('a worker that stands still for longer than its lease, as a laptop that sleeps, goes on with its job', async (t) => {
    const story = await startStory(t)
    const origin = await story.makeOrigin()
    const script = 'echo begun; sleep 34; echo hi > a.txt'
    const { job } = await story.client.submit({ repository: origin, ...attempt(script) })
    await story.reached(job, 'agent.output')
    const worker = story.running.pids()['worker'] ?? 0
    process.kill(worker, 'SIGSTOP')
    await sleep(24_000)
    process.kill(worker, 'SIGCONT')
    const ended = await story.settled(job)
    assert.deepEqual([ended.state, ended.attempts], ['succeeded', 1], ended.message ?? '')
  })

  test('a cancel is heard while git waits for what the agent left in its way', async (t) => {
    const story = await startStory(t)
    const origin = await story.makeOrigin()
    const { job } = await story.client.submit({
      repository: origin,
      ...attempt('mkfifo .gitignore; echo hi > a.txt'),
    })
    await story.reached(job, 'job.running')
    await sleep(3_000)
    await story.client.cancel(job.id)
    const ended = await story.settled(job, 10_000)
    assert.equal(ended.state, 'cancelled', ended.message ?? '')
  })
})
