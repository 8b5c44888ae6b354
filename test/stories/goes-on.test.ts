/** A worker that ends in the middle of an agent's work: the agent goes on where it was, in the same session. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Job, JobEvent } from '#api'
import { scriptedTask } from '#demo'
import { git, startStory, type Story } from '#test/story.ts'

/** Writes one file, is busy for a long time, writes another: the first is not to be written twice. */
const task = scriptedTask('Write two files', {
  turns: [
    { tools: [{ name: 'Write', input: { file_path: '/workspace/first.txt', content: 'first\n' } }] },
    { tools: [{ name: 'Bash', input: { command: 'sleep 300', description: 'Wait' } }] },
    { tools: [{ name: 'Write', input: { file_path: '/workspace/second.txt', content: 'second\n' } }] },
    { text: 'Both are written.' },
  ],
})

describe('a worker that ends while its agent works', { concurrency: 2 }, () => {
  for (const [signal, name] of [
    ['SIGKILL', 'is killed: another goes on from its last checkpoint'],
    ['SIGTERM', 'is stopped: it saves the work, hands the job back at once, and another goes on'],
  ] as const) {
    test(name, async (t) => {
      const story = await startStory(t, { environment: { FLOWFORGE_CHECKPOINT_SECONDS: '1' } })
      const origin = await story.makeOrigin()
      const { job } = await story.client.submit({
        repository: origin,
        into: 'main',
        task,
        checks: ['test -f first.txt'],
      })
      await savedWhileBusy(story, job)
      const killedAt = Date.now()
      process.kill(story.running.pids()['worker'] ?? 0, signal)
      const ended = await story.settled(job, 90_000)
      assert.equal(ended.state, 'succeeded', ended.message ?? '')
      assert.equal(ended.attempts, 2)
      assert.equal(await git(origin, 'show', 'main:first.txt'), 'first')
      assert.equal(await git(origin, 'show', 'main:second.txt'), 'second')

      const events = await story.client.listEvents(job.id)
      const sessions = new Set(of(events, 'agent.started').map(({ facts }) => facts['sessionId']))
      assert.equal(sessions.size, 1, 'one session')
      assert.equal(of(events, 'agent.started').length, 2)
      assert.equal(beginnings(story), 1, 'the model was asked for the first file once')
      const written = of(events, 'agent.tool').filter(({ facts }) => facts['tool'] === 'Write')
      assert.equal(written.length, 2, 'each file was written once')
      assert.ok(!events.some(({ kind }) => kind === 'checkpoint.failed'))

      const resumed = of(events, 'job.running')[1]
      const afterMs = new Date(resumed?.occurredAt ?? 0).getTime() - killedAt
      assert.ok(afterMs < (signal === 'SIGTERM' ? 15_000 : 30_000), `went on after ${afterMs} ms`)
      t.diagnostic(`went on ${afterMs} ms after ${signal}`)
      const kind = signal === 'SIGTERM' ? 'job.retry' : 'job.recovered'
      assert.equal(of(events, kind).length, 1)
      if (signal === 'SIGTERM') assert.equal(of(events, kind)[0]?.facts['cause'], 'worker_stopping')
    })
  }
})

function of(events: readonly JobEvent[], kind: string): readonly JobEvent[] {
  return events.filter((event) => event.kind === kind)
}

/** Waits for a checkpoint that was begun after the long command had started. */
async function savedWhileBusy(story: Story, job: Job): Promise<void> {
  let busy = false
  let saved = 0
  for await (const { kind, facts } of story.client.followEvents(job.id, {
    signal: AbortSignal.timeout(60_000),
  })) {
    if (kind === 'agent.tool' && facts['tool'] === 'Bash') busy = true
    if (kind === 'checkpoint.saved' && busy && facts['session'] === true) saved += 1
    if (saved === 2) return
  }
}

/** Questions of the agent's main loop that begin the conversation: no answer of ours is in them yet. */
function beginnings({ model }: Story): number {
  return model.requests.filter(({ path, body }) => {
    if (!path.startsWith('/v1/messages') || path.includes('count_tokens')) return false
    const { tools = [] } = JSON.parse(body) as { readonly tools?: readonly unknown[] }
    return tools.length > 0 && !body.includes('toolu_ff_0_')
  }).length
}
