import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createFileResolutions } from './adapters/file.ts'
import { closeParsers } from './checks/index.ts'
import { mergeFile } from './merge-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'flowforge-resolutions-test-'))
after(() => {
  closeParsers()
  rmSync(folder, { recursive: true, force: true })
})

const versions = {
  path: 'm.py',
  base: Buffer.from('x = 1\n'),
  ours: Buffer.from('x = 2\n'),
  theirs: Buffer.from('x = 3\n'),
}

test('what was resolved once is resolved again, and only for the same contents', async () => {
  const resolutions = createFileResolutions(folder)
  assert.equal((await mergeFile(versions, { resolutions })).outcome, 'conflicts')
  await resolutions.keep(versions, Buffer.from('x = 3\n'))
  const outcome = await mergeFile(versions, { resolutions })
  assert.deepEqual(
    [outcome.outcome, outcome.rung, String(outcome.result)],
    ['resolved', 'remembered', 'x = 3\n'],
  )
  const other = { ...versions, theirs: Buffer.from('x = 4\n') }
  assert.equal((await mergeFile(other, { resolutions })).outcome, 'conflicts')
})

test('a remembered resolution that no longer passes the checks is not used', async () => {
  const resolutions = createFileResolutions(folder)
  await resolutions.keep(versions, Buffer.from('x = (\n'))
  const outcome = await mergeFile(versions, { resolutions })
  assert.equal(outcome.outcome, 'conflicts')
  assert.equal(outcome.rungs[0]?.outcome, 'rejected')
})
