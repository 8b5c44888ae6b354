/** Commands: what they get, what they answer, how they end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { shell, tryShell, type Bench } from './bench.ts'

export async function commandsBehave(t: TestContext, bench: Bench): Promise<void> {
  await using sandbox = await bench.open()

  await t.test('a command answers its output, its errors and its exit code', async () => {
    const result = await tryShell(sandbox, 'echo out; echo err >&2; exit 7')
    assert.deepEqual(
      [result.exitCode, result.stdout.toString(), result.stderr.toString(), result.ended],
      [7, 'out\n', 'err\n', undefined],
    )
  })

  await t.test('a program that does not exist is 127, as in a shell', async () => {
    const result = await sandbox.run({ argv: ['no-such-program'] })
    assert.equal(result.exitCode, 127)
    assert.match(result.stderr.toString(), /no-such-program/)
  })

  await t.test('a signal shows as 128 and its number', async () => {
    assert.equal((await tryShell(sandbox, 'kill -TERM $$')).exitCode, 143)
  })

  await t.test(
    'scripts can open their standard streams by name',
    bench.needs(bench.technology === 'bubblewrap', 'streams are sockets'),
    async () => {
      const result = await tryShell(sandbox, 'echo a > /dev/stderr; cat /dev/stdin; echo b > /dev/stdout')
      assert.deepEqual(
        [result.exitCode, result.stderr.toString(), result.stdout.toString()],
        [0, 'a\n', 'b\n'],
      )
    },
  )

  await t.test('the environment, the folder and the arguments arrive as given', async () => {
    const odd = `a 'b' "c" $(d) \n e;f`
    const result = await sandbox.run({
      argv: ['/bin/bash', '-c', 'printf "%s|%s|%s" "$ODD" "$PWD" "$1"', 'bash', odd],
      env: { ODD: odd },
      cwd: '/',
    })
    assert.equal(result.stdout.toString(), `${odd}|/|${odd}`)
  })

  await t.test('a running guest hears its input and answers', async () => {
    const guest = await sandbox.start({ argv: ['/bin/cat'] })
    guest.stdin.write('hello\n')
    const [chunk] = (await once(guest.stdout, 'data')) as [Buffer]
    assert.equal(chunk.toString(), 'hello\n')
    guest.stdin.end()
    assert.deepEqual(await guest.exited, { exitCode: 0 })
  })

  const signals = bench.needs(
    bench.technology !== 'seatbelt' || process.platform === 'darwin',
    'on Linux a signal does not reach the program',
  )
  await t.test('SIGINT and SIGTERM reach the program, which may end in its own way', signals, async () => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      const script = `trap "echo got; exit 5" ${name.slice(3)}; echo ready; while :; do sleep 0.05; done`
      const guest = await sandbox.start({ argv: ['/bin/bash', '-c', script] })
      await once(guest.stdout, 'data')
      guest.signal(name)
      assert.deepEqual(await guest.exited, { exitCode: 5 }, name)
    }
  })

  await t.test('time runs out, an abort and a kill end everything at once and say so', async () => {
    const late = await sandbox.run({ argv: ['/bin/sleep', '60'] }, { timeoutMs: 100 })
    assert.deepEqual([late.exitCode, late.ended], [137, 'timed-out'])
    const abort = new AbortController()
    setTimeout(() => abort.abort(), 100)
    const aborted = await sandbox.run({ argv: ['/bin/sleep', '60'] }, { signal: abort.signal })
    assert.deepEqual([aborted.exitCode, aborted.ended], [137, 'killed'])
    const guest = await sandbox.start({ argv: ['/bin/bash', '-c', 'trap "" TERM INT; sleep 60'] })
    guest.kill()
    assert.deepEqual(await guest.exited, { exitCode: 137, ended: 'killed' })
  })

  await t.test('only the end of a long output is kept, and all of it is heard', async () => {
    let heard = 0
    const result = await sandbox.run(
      { argv: ['/bin/bash', '-c', 'head -c 3000000 /dev/zero; echo end'] },
      { keepBytes: 1000, onOutput: (chunk) => (heard += chunk.length) },
    )
    assert.equal(result.stdout.length, 1000)
    assert.ok(result.stdout.toString().endsWith('end\n'))
    assert.equal(heard, 3_000_004)
  })

  await t.test('several commands at once share the workspace and the state', async () => {
    const waiting = shell(sandbox, 'while [ ! -e /workspace/flag ]; do sleep 0.02; done; cat /workspace/flag')
    await sleep(50)
    await shell(sandbox, 'echo x > /state/s; echo raised > /workspace/.f; mv /workspace/.f /workspace/flag')
    assert.equal(await waiting, 'raised\n')
    assert.equal(await shell(sandbox, 'cat /state/s'), 'x\n')
  })

  await t.test('a sandbox that is closed starts nothing more', async () => {
    const closed = await bench.open()
    await closed[Symbol.asyncDispose]()
    await assert.rejects(closed.start({ argv: ['true'] }), /closed/)
  })

  await t.test('an id that is no name is refused', async () => {
    for (const id of ['', '..', 'a/b', '.hidden', 'x'.repeat(65)])
      await assert.rejects(bench.open({ id }), /not an id/, id)
  })
}
