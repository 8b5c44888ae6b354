import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { EVENT_KINDS, narrate } from './narrate.ts'

const event = (kind: string, facts: Record<string, unknown>) => ({
  number: 1,
  occurredAt: '2026-11-24T11:00:00.000Z',
  kind,
  facts,
})

test('every kind of event that jobs and agents write is told and documented', () => {
  const written = new Set<string>()
  for (const file of globSync(['src/jobs/**/*.ts', 'src/agent/**/*.ts'])) {
    if (file.endsWith('.test.ts')) continue
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (!/\bkind: |\.write\(/.test(line)) continue
      for (const [, kind = ''] of line.matchAll(
        /'((?:job|land|run|setup|check|checkpoint|sandbox|agent)\.[a-z_]+)'/g,
      ))
        written.add(kind)
    }
  }
  assert.ok(written.size > 20)
  assert.deepEqual(
    [...written].filter((kind) => !(kind in EVENT_KINDS)),
    [],
  )
})

test('a kind of a later version is told with its facts', () => {
  assert.equal(narrate(event('moon.landed', { by: 'us', year: 1969 })), 'moon.landed by=us year=1969')
})

test('facts of another shape than expected do not break the telling', () => {
  for (const kind of Object.keys(EVENT_KINDS)) {
    for (const facts of [
      {},
      { message: null, text: 7, output: { a: 1 }, paths: 'x', exitCode: 'y', delayMs: 'z', commit: 5 },
    ])
      assert.ok(narrate(event(kind, facts)).startsWith(kind))
  }
})

test('lines of a job stay below their event, and nothing of them is a control character', () => {
  const told = narrate(event('agent.output', { text: 'one\r\ntwo\u001b[31m\nthree\u0007' }))
  assert.equal(told, 'agent.output one\n    two\n    three\\u{7}')
})
