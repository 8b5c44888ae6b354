import assert from 'node:assert/strict'
import { test } from 'node:test'
import { editTopNumber } from './edit-number.ts'

const edits: readonly (readonly [string, string | undefined])[] = [
  ['{"max_tokens":5}', '{"max_tokens":42}'],
  [
    ' {\n "a" : {"max_tokens":1}, "max_tokens" :\t5e3 ,"b":[1]}',
    ' {\n "a" : {"max_tokens":1}, "max_tokens" :\t42 ,"b":[1]}',
  ],
  ['{"x":"\\"max_tokens\\":9\\\\","max_tokens":5}', '{"x":"\\"max_tokens\\":9\\\\","max_tokens":42}'],
  ['{"max\\u005ftokens":5}', '{"max\\u005ftokens":42}'],
  [
    '{"a":"max_tokens","ä":["max_tokens",{"max_tokens":1}],"max_tokens":5}',
    '{"a":"max_tokens","ä":["max_tokens",{"max_tokens":1}],"max_tokens":42}',
  ],
  ['{"a":["max_tokens",5]}', undefined],
  ['{"max_tokens":"5"}', undefined],
  ['{"max_tokens":null}', undefined],
  ['{}', undefined],
]
for (const [before, after] of edits)
  test(`${before} becomes ${after}`, () => {
    assert.equal(editTopNumber(Buffer.from(before), 'max_tokens', 42)?.toString(), after)
  })
