import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

async function read(chunks: readonly (string | Uint8Array)[]): Promise<readonly ServerSentEvent[]> {
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk))
  const events: ServerSentEvent[] = []
  for await (const event of readServerSentEvents(ReadableStream.from(bytes))) events.push(event)
  return events
}

test('events, ids and comments are told apart', async () => {
  assert.deepEqual(await read([': hello\n\nid: 3\ndata: {"a":1}\n\nevent: end\ndata:x\n\n']), [
    { event: 'message', id: '3', data: '{"a":1}' },
    { event: 'end', id: '3', data: 'x' },
  ])
})

test('however the bytes are cut, the events are the same', async () => {
  const bytes = new TextEncoder().encode(
    'id: 1\r\ndata: grün 🎉 \u2028 :x\r\ndata: two\r\n\r\nid: 2\ndata: y\n\n',
  )
  const whole = await read([bytes])
  assert.deepEqual(whole, [
    { event: 'message', id: '1', data: 'grün 🎉 \u2028 :x\ntwo' },
    { event: 'message', id: '2', data: 'y' },
  ])
  for (let size = 1; size < 8; size++) {
    const chunks = []
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
    assert.deepEqual(await read(chunks), whole, `in pieces of ${size}`)
  }
})

test('an event that was cut off before its end is not believed', async () => {
  assert.deepEqual(await read(['id: 1\ndata: whole\n\nid: 2\ndata: half']), [
    { event: 'message', id: '1', data: 'whole' },
  ])
})
