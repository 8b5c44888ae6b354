/** Nothing outlives its sandbox (T31), nothing outlives its worker (T38), nothing reaches another one (T21). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '#lib/ids.ts'
import { shell, tryShell, type Bench } from './bench.ts'

const HOLDER = join(import.meta.dirname, 'holder.ts')

export async function lifetimeEnds(t: TestContext, bench: Bench): Promise<void> {
  const { guarantees } = bench.sandboxes
  const orphans = bench.needs(guarantees.killsOrphans, 'what a command leaves behind is not ended')

  await t.test('T31: a daemon does not outlive the command that started it', orphans, async () => {
    await using sandbox = await bench.open()
    const mark = uniqueSeconds()
    await shell(
      sandbox,
      `(setsid sleep ${mark} >/dev/null 2>&1 &); (setsid setsid nohup sleep ${mark} >/dev/null 2>&1 &); sleep 0.1`,
    )
    assert.deepEqual(processesWith(mark), [])
  })

  await t.test('T31: closing ends every process, whatever signals it ignores', orphans, async () => {
    const sandbox = await bench.open()
    const mark = uniqueSeconds()
    for (let count = 0; count < 3; count++)
      await sandbox.start({
        argv: [
          '/bin/bash',
          '-c',
          `trap "" TERM INT HUP; setsid sleep ${mark} & while :; do sleep ${mark}; done`,
        ],
      })
    while (processesWith(mark).length < 3) await sleep(10)
    await sandbox[Symbol.asyncDispose]()
    assert.deepEqual(processesWith(mark), [])
  })

  await t.test('T21: nothing of a sandbox is found in the next one', async () => {
    const first = await bench.open()
    await shell(
      first,
      'for d in /workspace /state /cache /tmp $HOME /exchange/out; do echo left > $d/left; done',
    )
    await first[Symbol.asyncDispose]()
    await using second = await bench.open()
    assert.equal(await shell(second, 'ls -A /workspace /state /cache /exchange/out | grep left || true'), '')
    if (guarantees.isolatedFilesystem) assert.equal(await shell(second, 'ls -A /tmp; ls -A $HOME'), '')
  })

  await t.test('an id is open only once, and free again after it was closed', async () => {
    const id = newId()
    const first = await bench.open({ id })
    await assert.rejects(bench.open({ id }))
    assert.equal(await shell(first, 'echo still here'), 'still here\n')
    await first[Symbol.asyncDispose]()
    await (await bench.open({ id }))[Symbol.asyncDispose]()
  })

  const listed = bench.needs(process.platform === 'linux', 'no list of sockets to look at')
  await t.test('the gate answers the sandbox and is gone with it', listed, async () => {
    const sandbox = await bench.open(
      {},
      { model: (request, response) => void response.end(`path ${request.url}`) },
    )
    const script = `const http=require('http');http.get({socketPath:(process.env.FLOWFORGE_GATES||'/run/ff')+'/model.sock',path:'/v1/x'},r=>r.pipe(process.stdout))`
    const result = await sandbox.run({
      argv: ['/opt/ff/node', '-e', script],
    })
    assert.equal(result.stdout.toString(), 'path /v1/x')
    const socket = findSocket(bench.home, 'model.sock')
    assert.ok(Buffer.byteLength(socket) < 100, socket)
    await sandbox[Symbol.asyncDispose]()
    assert.ok(!existsSync(socket))
    await assert.rejects(once(connect(socket), 'connect'))
  })

  await t.test(
    'T38: after kill -9 of the worker the reaper leaves nothing, and spares the living',
    orphans,
    async () => {
      await using living = await bench.open()
      await shell(living, 'echo alive > /workspace/me')
      const id = newId()
      const mark = uniqueSeconds()
      const holder = spawn(process.execPath, [HOLDER, bench.technology, bench.home, id, mark], {
        // The seventh descriptor is one that the worker inherits and does not know of.
        stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'ignore', 'ignore', 'ignore', 'pipe'],
        env: { PATH: process.env['PATH'] },
      })
      try {
        await once(holder.stdout!, 'data')
        assert.ok(processesWith(mark).length >= 2)
        assert.ok(existsSync(join(bench.home, 'sandboxes', id)))
        const open = readFileSync(join(bench.home, 'sandboxes', id, 'disk/out/fds'), 'utf8')
        assert.doesNotMatch(open, / ([3-9]|\d\d+) -> (?!\/dev\/null|\/proc\/)/)
      } finally {
        holder.kill('SIGKILL')
        await once(holder, 'exit')
      }
      const ended = await bench.sandboxes.reap((found) => Promise.resolve(found === living.id))
      assert.deepEqual(ended, [id])
      assert.deepEqual(processesWith(mark), [])
      assert.deepEqual(tracesOf(bench.home, id), [])
      assert.equal(await shell(living, 'cat /workspace/me'), 'alive\n')
    },
  )

  await t.test('the reaper ends a sandbox of this worker, too, when its job is over', async () => {
    const sandbox = await bench.open()
    assert.deepEqual(await bench.sandboxes.reap(() => Promise.resolve(false)), [sandbox.id])
    await assert.rejects(tryShell(sandbox, 'true'), /closed/)
  })
}

/** A number of seconds that no other process sleeps for. */
export function uniqueSeconds(): string {
  return `9${Math.floor(Math.random() * 1e8)}`
}

/** Processes of this host with the mark as an argument of its own, the dead ones left out. */
export function processesWith(mark: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1).includes(mark) &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep')
        )
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Whatever on this host still carries the sandbox's id. */
function tracesOf(home: string, id: string): readonly string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(id))
  const groups = ['memory', 'pids', 'cpu', ''].map((name) => join('/sys/fs/cgroup', name, 'flowforge', id))
  const left = ['.ready', '.ended', '.worker'].flatMap((name) => {
    const directory = join(home, 'sandboxes', name)
    return readdirSync(directory)
      .filter((entry) => !entry.startsWith(`${process.pid}-`))
      .map((entry) => join(directory, entry))
  })
  return [...mounts, ...left, ...[join(home, 'sandboxes', id), ...groups].filter((path) => existsSync(path))]
}

/** Listening sockets have their path in the kernel's list. */
function findSocket(home: string, name: string): string {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n')
  const paths = lines.map((line) => line.split(' ').at(-1) ?? '').filter((path) => path.endsWith(`/${name}`))
  const found =
    paths.find((path) => path.startsWith(home)) ?? paths.find((path) => path.includes('flowforge'))
  assert.ok(found, 'no socket is listening')
  return found
}
