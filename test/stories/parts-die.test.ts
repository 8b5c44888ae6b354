/** kill -9 of every other part while a job runs and while it lands: one terminal state, one push, no event missed. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { scriptedTask } from '#demo'
import { git, startStory, type Story } from '#test/story.ts'

/** Writes hello.txt after a while, so that there is time to kill something. */
const slowTask = scriptedTask('Write a file', {
  turns: [
    {
      text: 'I wait a little.',
      tools: [{ name: 'Bash', input: { command: 'sleep 3', description: 'Wait' } }],
    },
    {
      text: 'I write.',
      tools: [{ name: 'Write', input: { file_path: '/workspace/hello.txt', content: 'hello\n' } }],
    },
    { text: 'Written.' },
  ],
})

type Phase = { readonly name: string; readonly event: string }
const PHASES: readonly Phase[] = [
  { name: 'while the agent works', event: 'agent.tool' },
  { name: 'while the merged tree is checked', event: 'check.started' },
]

type Victim = 'api' | 'gateway' | 'postgres' | 'agent'

// Mostly waiting, so several at once.
describe('kill -9 of', { concurrency: 2 }, () => {
  for (const victim of ['api', 'gateway', 'postgres', 'agent'] as const satisfies readonly Victim[]) {
    describe(victim, { concurrency: 2 }, () => {
      for (const { name, event } of PHASES) {
        if (victim === 'agent' && event === 'check.started') continue
        test(name, async (t) => {
          const story = await startStory(t, { embedded: victim === 'postgres' })
          const origin = await story.makeOrigin()
          const { job } = await story.client.submit({
            repository: origin,
            into: 'main',
            task: slowTask,
            checks: ['sleep 2; test -f hello.txt'],
            maxAttempts: 2,
          })
          const numbers: number[] = []
          const reading = (async () => {
            for await (const { number } of story.client.followEvents(job.id)) numbers.push(number)
          })()
          await story.reached(job, event)
          process.kill(pidOf(story, victim), 'SIGKILL')
          await reading
          const ended = await story.client.readJob(job.id)
          assert.equal(ended.state, 'succeeded', ended.message ?? '')
          assert.equal(await git(origin, 'show', 'main:hello.txt'), 'hello')
          const landings = await git(origin, 'log', '--merges', '--format=%H', 'main')
          assert.equal(landings, ended.landedCommit, 'landed once')
          assert.deepEqual(
            numbers,
            numbers.map((_, index) => index + 1),
            'every event once and in order',
          )
          if (victim !== 'agent') assert.equal(ended.attempts, 1, 'what was done is not done twice')
        })
      }
    })
  }
})

function pidOf(story: Story, victim: Victim): number {
  switch (victim) {
    case 'api':
    case 'gateway':
      return story.running.pids()[victim] ?? 0
    case 'postgres':
      return Number(
        readFileSync(join(story.home, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0],
      )
    case 'agent':
      return agentBelow(story.running.pids()['worker'] ?? 0)
  }
}

/** The claude process that this worker started, found through its parents. */
function agentBelow(worker: number): number {
  const parents = new Map<number, number>()
  const agents: number[] = []
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
      if (readFileSync(`/proc/${name}/cmdline`, 'latin1').startsWith('/opt/ff/claude'))
        agents.push(Number(name))
    } catch {
      // It ended meanwhile.
    }
  }
  const found = agents.find((pid) => {
    for (let at: number | undefined = pid; at; at = parents.get(at)) if (at === worker) return true
    return false
  })
  assert.ok(found, 'the agent runs')
  return found
}
