/** kill -9 of the worker between any two steps: one terminal state, nothing lost, nothing pushed twice, nothing left. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { RACE_POINTS } from '#lib/race-points.ts'
import { git, startStory, type Story } from '#test/story.ts'

describe('a worker killed at', { concurrency: 6 }, () => {
  for (const point of RACE_POINTS) {
    test(point, async (t) => {
      const story = await startStory(t, {
        roles: ['api', 'worker'],
        environment: { FLOWFORGE_KILL_AT: point },
      })
      const origin = await story.makeOrigin()
      const { job } = await story.client.submit({
        repository: origin,
        into: 'main',
        task: 'Write a file',
        agent: 'command',
        command: ['sh', '-c', 'echo hello > hello.txt'],
        checks: ['test -f hello.txt'],
      })
      const ended = await story.settled(job, 150_000)
      assert.ok(existsSync(join(story.home, `killed-at-${point.replace(':', '-')}`)), 'the worker was killed')
      assert.equal(ended.state, 'succeeded', ended.message ?? '')
      assert.equal(await git(origin, 'show', 'main:hello.txt'), 'hello')
      assert.equal(await git(origin, 'rev-parse', 'main'), ended.landedCommit)
      const landings = await git(origin, 'log', '--merges', '--format=%H', 'main')
      assert.equal(landings.split('\n').length, 1, 'landed once')
      await nothingIsLeft(story)
    })
  }
})

/** Sandboxes of the dead worker: directories, mounts and processes. The reaper comes within 30 s. */
async function nothingIsLeft(story: Story): Promise<void> {
  const left = (): readonly string[] => [
    ...openSandboxes(story.home),
    ...mountsBelow(story.home),
    ...processesOf(story.home),
    ...scratchOf(story.home),
  ]
  const until = Date.now() + 45_000
  while (left().length > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 250))
  assert.deepEqual(left(), [])
}

function openSandboxes(home: string): readonly string[] {
  const directory = join(home, 'sandboxes')
  return existsSync(directory) ? readdirSync(directory).filter((name) => /^[0-9a-f-]{36}$/.test(name)) : []
}

function scratchOf(home: string): readonly string[] {
  const directory = join(home, 'scratch')
  return existsSync(directory) ? readdirSync(directory) : []
}

function mountsBelow(home: string): readonly string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${home}/sandboxes/`) && !line.includes('ready'))
}

function processesOf(home: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        return command.startsWith('bwrap') && command.includes(home)
      } catch {
        return false
      }
    })
}
