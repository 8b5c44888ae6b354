import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { forgetOldLayers } from './layers.ts'

test('a layer that no job began from for a week goes, a younger one stays', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ff-layers-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const now = Date.UTC(2026, 0, 20)
  for (const [name, day] of [
    ['old', 10],
    ['young', 18],
  ] as const) {
    await mkdir(join(directory, name, 'node_modules'), { recursive: true })
    await utimes(join(directory, name), new Date(Date.UTC(2026, 0, day)), new Date(Date.UTC(2026, 0, day)))
  }
  assert.deepEqual(await forgetOldLayers(directory, now), ['old'])
  assert.ok(existsSync(join(directory, 'young')) && !existsSync(join(directory, 'old')))
  assert.deepEqual(await forgetOldLayers(join(directory, 'absent'), now), [])
})
