import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AUTHOR, createGuest, createOrigin, createTestMirrors, NEVER, scratchFolder, sh } from '#test/git.ts'

test('a change made in a workspace lands on the branch', async (t) => {
  const origin = await createOrigin(t)
  const { mirrors, repository, operations } = await createTestMirrors(t)
  const mirror = mirrors.open(repository(origin.path))
  const base = await mirror.fetchBranch('main', NEVER)
  assert.deepEqual(base, { kind: 'fetched', commit: await origin.tip() })
  assert.ok(base.kind === 'fetched')

  const guest = await createGuest(t)
  await guest.unpack(mirror, base.commit)
  await sh(guest.workspace, ['status'])
  const { writeFile } = await import('node:fs/promises')
  await writeFile(join(guest.workspace, 'new.txt'), 'new\n')
  const made = await guest.commit()
  assert.equal(made.code, 0, made.stderr)
  const collected = await guest.collect(mirror, base.commit)
  assert.equal(collected.kind, 'collected', JSON.stringify(collected))
  assert.ok(collected.kind === 'collected')
  assert.deepEqual(collected.paths, [{ path: 'new.txt', change: 'added' }])

  const target = await origin.commit({ 'other.txt': 'other\n' })
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: target })
  const merged = await mirror.merge({ target, result: collected.commit }, NEVER)
  assert.ok(merged.kind === 'clean', JSON.stringify(merged))
  const request = {
    tree: merged.tree,
    parents: [target, collected.commit],
    message: 'Land the job',
    author: AUTHOR,
    date: new Date(1_800_000_000_000),
  }
  const landing = await mirror.commitMerge(request)
  assert.equal(await mirror.commitMerge(request), landing)
  assert.deepEqual(await mirror.remoteContains('main', landing, NEVER), { kind: 'absent' })
  const push = { commit: landing, branch: 'main', expectedOld: target }
  assert.deepEqual(await mirror.push(push, NEVER), { kind: 'pushed' })
  assert.deepEqual(await mirror.push(push, NEVER), { kind: 'pushed' }, 'the same pair again does no harm')
  assert.equal(await origin.tip(), landing)
  assert.equal(await origin.read('new.txt'), 'new')
  assert.deepEqual(await mirror.remoteContains('main', landing, NEVER), { kind: 'contained' })
  assert.deepEqual(await mirror.remoteContains('main', base.commit, NEVER), { kind: 'contained' })
  assert.deepEqual(await mirror.merge({ target: landing, result: collected.commit }, NEVER), {
    kind: 'contained',
  })
  assert.ok(
    operations.some((one) => one.operation === 'push' && one.outcome === 'pushed' && one.after === landing),
  )
  await rm(mirror.path, { recursive: true })
  void scratchFolder
})
