import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { newId } from '#lib/ids.ts'
import { endSurvivors, findProcesses, MARK } from './survivors.ts'

const skip = existsSync('/bin/ps') ? false : 'no ps'

function start(script: string, env: Record<string, string> = {}) {
  const child = spawn('/bin/sh', ['-c', script], {
    env: { PATH: '/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  })
  return { child, said: once(child.stdout, 'data').then(([chunk]) => String(chunk)) }
}

test(
  'a group, descendants in groups of their own and marked orphans are found and ended',
  { skip },
  async () => {
    const id = newId()
    // The orphan's parent is gone and it leads a group; only its mark tells whose it is.
    const { child, said } = start(
      `perl -e 'setpgrp; exec qw(sleep 60)' & perl -e 'fork and exit; setpgrp; exec qw(sleep 60)'; echo ready; sleep 60`,
      { [MARK]: `${id}.1` },
    )
    await said
    const searched = { leader: child.pid!, mark: `${id}.1` }
    let found = await findProcesses(searched)
    for (let tries = 0; found.length < 4 && tries < 50; tries++) found = await findProcesses(searched)
    assert.equal(found.length, 4)
    await endSurvivors(searched)
    assert.deepEqual(await findProcesses({ known: found, mark: id }), [])
  },
)

test("a sandbox's mark finds all its commands, a command's mark only its own", { skip }, async () => {
  const id = newId()
  const first = start('echo ready; sleep 60', { [MARK]: `${id}.1` })
  const tenth = start('echo ready; sleep 60', { [MARK]: `${id}.10` })
  await Promise.all([first.said, tenth.said])
  const one = (await findProcesses({ mark: `${id}.1` })).map(({ pid }) => pid)
  assert.ok(one.includes(first.child.pid!) && !one.includes(tenth.child.pid!))
  const all = (await findProcesses({ mark: id })).map(({ pid }) => pid)
  assert.ok(all.includes(first.child.pid!) && all.includes(tenth.child.pid!))
  await endSurvivors({ mark: id })
})

test('a number that belongs to another process by now is left alone', { skip }, async () => {
  const { child, said } = start('echo ready; sleep 60')
  await said
  const stranger = { pid: child.pid!, startedAt: 'Thu Jan 1 00:00:00 1970' }
  assert.deepEqual(await findProcesses({ known: [stranger], mark: newId() }), [])
  child.kill('SIGKILL')
  process.kill(-child.pid!, 'SIGKILL')
})
