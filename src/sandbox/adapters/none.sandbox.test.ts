import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sandboxesBehave } from '../sandbox.contract.ts'
import { createNoSandboxes } from './none.ts'

sandboxesBehave('none', async (options) => createNoSandboxes(options))

test('none: says loudly what it lacks', async () => {
  const home = await mkdtemp(join(tmpdir(), 'ff-none-'))
  await using sandboxes = createNoSandboxes({ home })
  const { technology: _, missing, diskLimit, ...flags } = sandboxes.guarantees
  assert.ok(Object.values(flags).every((holds) => holds === false))
  assert.equal(diskLimit, 'none')
  assert.ok(missing.length >= 5)
  await rm(home, { recursive: true })
})
