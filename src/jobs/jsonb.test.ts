import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toJsonb, toText } from './jsonb.ts'

test('NUL characters and halves of pairs become the replacement character, in values and in names', () => {
  const half = '😀'.slice(1)
  assert.deepEqual(JSON.parse(toJsonb({ a: `x\0y${half}`, [`n\0${half}`]: ['\ud83d'] })), {
    a: 'x\ufffdy\ufffd',
    'n\ufffd\ufffd': ['\ufffd'],
  })
})

test('whole pairs, other escapes and text that only looks like an escape stay as they are', () => {
  const value = { emoji: '😀', line: 'a\nb\u0001', written: '\\u0000 \\\\ud800 \\', after: '\\\\' }
  assert.deepEqual(JSON.parse(toJsonb(value)), value)
  assert.deepEqual(JSON.parse(toJsonb({ a: '\\\0' })), { a: '\\\ufffd' })
})

test('adjacent ones are all replaced', () => {
  assert.equal(JSON.parse(toJsonb('\0\0\ud800\0')), '\ufffd\ufffd\ufffd\ufffd')
  assert.equal(toText('a\0\ud800b'), 'a\ufffd\ufffdb')
})
