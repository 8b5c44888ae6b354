import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scriptedTask } from './script.ts'
import { startScriptedModel } from './server.ts'

type Reply = { content: { type: string; text?: string; id?: string; input?: unknown }[]; stop_reason: string }
const TOOLS = [{ name: 'Bash', input_schema: { type: 'object' } }]

async function ask(url: string, messages: unknown[], more: object = { tools: TOOLS }): Promise<Response> {
  return fetch(`${url}/v1/messages?beta=true`, {
    method: 'POST',
    body: JSON.stringify({ model: 'claude-opus-5-5', max_tokens: 10, messages, ...more }),
  })
}

const task = scriptedTask('Please.', {
  turns: [
    { text: 'I look.', tools: [{ name: 'Bash', input: { command: 'ls' } }] },
    { tools: [{ name: 'Bash', input: { command: 'echo "{{result}}"' } }] },
    { text: 'Done.' },
  ],
})

test('a script is played turn by turn, from the conversation alone', async () => {
  await using model = await startScriptedModel()
  const messages: unknown[] = [{ role: 'user', content: task }]
  const first = (await (await ask(model.url, messages)).json()) as Reply
  assert.equal(first.stop_reason, 'tool_use')
  assert.deepEqual(first.content[1]?.input, { command: 'ls' })

  messages.push({ role: 'assistant', content: first.content })
  const result = { type: 'tool_result', tool_use_id: first.content[1]?.id, content: 'a.txt' }
  messages.push({ role: 'user', content: [result] })
  const second = (await (await ask(model.url, messages)).json()) as Reply
  assert.deepEqual(second.content[0]?.input, { command: 'echo "a.txt"' })
  const again = (await (await ask(model.url, messages)).json()) as Reply
  assert.deepEqual(again, second)

  messages.push({ role: 'assistant', content: second.content })
  const other = {
    type: 'tool_result',
    tool_use_id: second.content[0]?.id,
    content: [{ type: 'text', text: 'x' }],
  }
  messages.push({ role: 'user', content: [other] })
  const third = (await (await ask(model.url, messages)).json()) as Reply
  assert.equal(third.content[0]?.text, 'Done.')
  assert.equal(third.stop_reason, 'end_turn')
})

test('the stream carries the same answer in the order of events that Anthropic uses', async () => {
  await using model = await startScriptedModel()
  const messages = [{ role: 'user', content: task }]
  const response = await ask(model.url, messages, { stream: true, tools: TOOLS })
  assert.equal(response.headers.get('x-flowforge-simulated'), 'scripted model, no key')
  const events = (await response.text())
    .split('\n\n')
    .filter(Boolean)
    .map(
      (piece) => JSON.parse(piece.split('\ndata: ')[1]!) as { type: string; delta?: Record<string, string> },
    )
  assert.deepEqual(
    events.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1]),
    [
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  assert.equal(events.map(({ delta }) => delta?.['text'] ?? '').join(''), 'I look.')
  assert.equal(events.map(({ delta }) => delta?.['partial_json'] ?? '').join(''), '{"command":"ls"}')
})

test('an error of the script comes once, then the answer', async () => {
  await using model = await startScriptedModel()
  const messages = [{ role: 'user', content: scriptedTask('', { turns: [{ status: 529, text: 'Now.' }] }) }]
  assert.equal((await ask(model.url, messages)).status, 529)
  assert.equal((await ask(model.url, messages)).status, 200)
})

test('without a script it says that no model is configured', async () => {
  await using model = await startScriptedModel()
  const reply = (await (await ask(model.url, [{ role: 'user', content: 'hi' }])).json()) as Reply
  assert.match(reply.content[0]?.text ?? '', /No model is configured/)
})

test('a question beside the main loop does not move the script on', async () => {
  await using model = await startScriptedModel()
  const reply = (await (await ask(model.url, [{ role: 'user', content: task }], {})).json()) as Reply
  assert.equal(reply.stop_reason, 'end_turn')
  assert.equal(reply.content[0]?.text, 'Scripted task')
})

test('a script with a mistake is refused at once', async () => {
  await using model = await startScriptedModel()
  const content = '```flowforge-script\n{"turns": 1}\n```'
  assert.equal((await ask(model.url, [{ role: 'user', content }])).status, 400)
})
