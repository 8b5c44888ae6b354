/** The model's place in the benchmark: reads the body and answers at once, whole or as a stream. Prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const usage = {
  input_tokens: 12_000,
  output_tokens: 60,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0,
}
const text = 'The quick brown fox jumps over the lazy dog. '.repeat(6)
const message = JSON.stringify({
  ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-opus-5-5', stop_reason: 'end_turn' },
  content: [{ type: 'text', text }],
  usage,
})
const event = (type: string, more: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const events = [
  event('message_start', {
    message: {
      id: 'msg_1',
      type: 'message',
      model: 'claude-opus-5-5',
      usage: { ...usage, output_tokens: 1 },
    },
  }),
  event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  ...text
    .split(' ')
    .map((word) =>
      event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: `${word} ` } }),
    ),
  event('content_block_stop', { index: 0 }),
  event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 60 } }),
  event('message_stop', {}),
]
// As they come over a network: a few events in each piece.
const pieces = Array.from({ length: Math.ceil(events.length / 8) }, (_, at) =>
  events.slice(at * 8, at * 8 + 8).join(''),
)

const server = createServer((request, response) => {
  let isStream = false
  request.on('data', (chunk: Buffer) => {
    if (chunk.includes('"stream":true')) isStream = true
  })
  request.on('end', () => {
    if (!isStream) {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(message),
      })
      return void response.end(message)
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let at = 0
    const next = (): void => {
      if (at === pieces.length) return void response.end()
      response.write(pieces[at++])
      setImmediate(next)
    }
    next()
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
