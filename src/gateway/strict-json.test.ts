import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStrictJson } from './strict-json.ts'

function read(text: string | Buffer): string {
  const json = readStrictJson(Buffer.from(text))
  return json.kind === 'invalid' ? json.problem : JSON.stringify(json.value)
}

test('JSON is read as it is', () => {
  const text = '{"a":[1,{"b":"x\\"y\\\\"},[]],"c":{"a":null,"b":"{\\"a\\":1,\\"a\\":2}"},"d":"\\\\"}'
  assert.equal(read(text), text)
  assert.equal(read(' [ { "a" : 1 } , { "a" : 1 } ] '), '[{"a":1},{"a":1}]')
})

const twice = [
  '{"model":"a","model":"b"}',
  '{"model":"a","mod\\u0065l":"b"}',
  '{"a":[{"x":{"k":1,"j":2,"k":3}}]}',
  '{"a"\n:1,"a"\t:2}',
  '{"":1,"":2}',
  '{"a":"\\\\","a":1}',
  '{"a":{"b":1},"c":[{"d":1}],"a":2}',
]
for (const text of twice)
  test(`a repeated key is found in ${text.replaceAll('\n', ' ')}`, () =>
    assert.match(read(text), /is there twice/))

const invalid = [
  '',
  '{',
  '{"a":1,}',
  "{'a':1}",
  '{"a":NaN}',
  '{"a":1}x',
  '"',
  '"\\',
  '{"a\\":1}',
  '\uFEFF{}',
  '{"\\x":1}',
]
for (const text of invalid)
  test(`${JSON.stringify(text)} is refused`, () => assert.match(read(text), /not valid JSON/))

test('bytes that are not UTF-8 are refused', () =>
  assert.match(read(Buffer.from([0x22, 0xff, 0x22])), /UTF-8/))

test('deep nesting and a flood of values are refused at once', () => {
  const started = performance.now()
  assert.match(read('['.repeat(30_000_000)), /deep/)
  assert.match(read(`[${'[],'.repeat(5_000_000)}[]]`), /values/)
  assert.match(read(`{${'"a":{"b":'.repeat(300)}`), /deep/)
  assert.ok(performance.now() - started < 2000)
})

test('thirty megabytes of text take well under a second', () => {
  const content = Array.from({ length: 300 }, (_, index) => ({ text: `${index}${'x"\\\n'.repeat(20_000)}` }))
  const body = Buffer.from(JSON.stringify({ messages: content }))
  assert.ok(body.length > 30_000_000)
  const started = performance.now()
  assert.equal(readStrictJson(body).kind, 'value')
  assert.ok(performance.now() - started < 1500, `${performance.now() - started} ms`)
})
