/** kill -9 of `flowforge up` itself, and what a second start says. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createClient } from '#api'
import { flowforge, freePort, processesOf, startUp } from '#test/command-line.ts'
import { git, makeOrigin, removeHome } from '#test/story.ts'

describe('flowforge up', { concurrency: 2 }, () => {
  test('after kill -9 of up the next start ends or adopts what was left, and the job ends once', async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'ff-story-'))
    await chmod(home, 0o755)
    t.after(() => removeHome(home))
    const env = {
      FLOWFORGE_HOME: home,
      FLOWFORGE_PORT: String(await freePort()),
      FLOWFORGE_GATEWAY_PORT: String(await freePort()),
      FLOWFORGE_SANDBOX_DISK_MB: '512',
    }
    const origin = await makeOrigin(t, { 'README.md': '#\n' })
    const first = await startUp(env)
    t.after(async () => void first.child.kill('SIGKILL'))
    const client = createClient({ url: first.api, apiKey: first.apiKey })

    const second = await flowforge(['up'], env)
    assert.equal(second.code, 1)
    assert.match(second.stderr, /Another FlowForge \(process \d+\) runs on .* Stop it first/)

    const { job } = await client.submit({
      repository: origin,
      into: 'main',
      task: 'x',
      agent: 'command',
      command: ['sh', '-c', 'sleep 4; echo hello > hello.txt'],
    })
    for await (const { kind } of client.followEvents(job.id)) if (kind === 'job.running') break
    first.child.kill('SIGKILL')
    await first.exited

    const killedAt = Date.now()
    const again = await startUp(env)
    t.diagnostic(`ready again after ${Date.now() - killedAt} ms`)
    t.after(async () => void again.child.kill('SIGKILL'))
    assert.equal(again.api, first.api, 'the port of the API that was left is free again')
    assert.equal(again.apiKey, first.apiKey)
    assert.deepEqual(again.events[0], { event: 'database', embedded: true, adopted: true })
    const until = Date.now() + 60_000
    let ended = await client.readJob(job.id)
    while (ended.finishedAt === null && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      ended = await client.readJob(job.id)
    }
    t.diagnostic(`ended after ${Date.now() - killedAt} ms`)
    assert.equal(ended.state, 'succeeded', `${ended.state} ${ended.message}`)
    assert.equal(
      await git(origin, 'log', '--merges', '--format=%H', 'main'),
      ended.landedCommit,
      'landed once',
    )

    again.child.kill('SIGTERM')
    assert.equal(await again.exited, 0)
    const left = Date.now() + 5_000
    while (processesOf(home).length > 0 && Date.now() < left)
      await new Promise((resolve) => setTimeout(resolve, 100))
    assert.deepEqual(processesOf(home), [], 'no process is left')
  })

  test('a port that is taken is named, with what to do', async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'ff-story-'))
    await chmod(home, 0o755)
    t.after(() => removeHome(home))
    const server = createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    t.after(async () => void server.close())
    const said = await flowforge(['up'], {
      FLOWFORGE_HOME: home,
      FLOWFORGE_PORT: String(port),
      FLOWFORGE_GATEWAY_PORT: '0',
    })
    assert.equal(said.code, 1)
    assert.match(said.stderr, new RegExp(`Port ${port} is in use by another program. Set FLOWFORGE_PORT`))
    assert.doesNotMatch(said.stderr, /\n +at /)
    assert.deepEqual(processesOf(home), [], 'nothing was left running')
  })
})
