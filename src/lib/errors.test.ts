import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REFUSALS, refuse } from './errors.ts'

test('a refusal reads as a sentence', () => {
  const refusal = refuse('job_not_found', { id: '12' })
  assert.equal(refusal.message, 'There is no job 12. `flowforge jobs` lists them.')
  assert.equal(refusal.status, 404)
})

test('the compiler asks for every blank', () => {
  // @ts-expect-error state is missing
  refuse('already_final', { id: '12' })
})

test('every refusal has an HTTP error status', () => {
  for (const [code, [status]] of Object.entries(REFUSALS)) assert.ok(status >= 400 && status < 600, code)
})
