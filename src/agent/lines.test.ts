import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { linesOf, type Line } from './lines.ts'

async function lines(chunks: readonly (string | Buffer)[], limit = 100): Promise<readonly Line[]> {
  const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
  return Array.fromAsync(linesOf(stream, limit))
}

test('lines are cut wherever the chunks are, also inside a character', async () => {
  const euro = Buffer.from('€')
  const chunks = ['{"a"', ':1}\n{"b":2}\n', euro.subarray(0, 1), euro.subarray(1), '\nlast']
  const texts = (await lines(chunks)).map((line) => (line.kind === 'line' ? line.text : '-'))
  assert.deepEqual(texts, ['{"a":1}', '{"b":2}', '€', 'last'])
})

test('a line that is too long is dropped and the next one is read', async () => {
  assert.deepEqual(await lines(['x'.repeat(60), 'x'.repeat(60), '\nshort\n']), [
    { kind: 'too-long', bytes: 120 },
    { kind: 'line', text: 'short' },
  ])
})

test('a stream that we close ends like any other', async () => {
  const stream = new Readable({ read() {} })
  stream.push('one\n')
  setTimeout(() => stream.destroy(), 20)
  assert.deepEqual(await Array.fromAsync(linesOf(stream, 100)), [{ kind: 'line', text: 'one' }])
})
