import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHearing, summaryOf } from './hearing.ts'
import { outcomeOf, type Ended } from './outcome.ts'
import type { AgentEvent } from './task.ts'

function hearAll(...messages: readonly (object | string)[]) {
  const events: AgentEvent[] = []
  const hearing = createHearing(
    (event) => events.push(event),
    (uuid) => uuid === 'steering',
  )
  for (const message of messages)
    hearing.hear(typeof message === 'string' ? message : JSON.stringify(message))
  hearing.flush()
  return { events, facts: hearing.facts }
}

const piece = (text: string) => ({
  type: 'stream_event',
  parent_tool_use_id: null,
  event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
})
const start = { type: 'stream_event', event: { type: 'message_start', message: { id: 'msg_1' } } }
const toolUse = { type: 'tool_use', id: 't1', name: 'Bash', input: { command: 'ls -l' } }

test('words come in one piece, before what follows them, and not twice', () => {
  const { events } = hearAll(
    start,
    piece('I lo'),
    piece('ok.'),
    { type: 'assistant', message: { id: 'msg_1', content: [{ type: 'text', text: 'I look.' }] } },
    { type: 'assistant', message: { id: 'msg_1', content: [toolUse] } },
    { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 't1', content: 'a\0b' }] } },
  )
  assert.deepEqual(events, [
    { kind: 'agent.text', text: 'I look.' },
    { kind: 'agent.tool', tool: 'Bash', toolUseId: 't1', summary: 'ls -l' },
    { kind: 'agent.tool_result', toolUseId: 't1', isError: false, text: 'a\u2400b' },
  ])
})

test('an answer that was not streamed is heard whole', () => {
  const { events } = hearAll({
    type: 'assistant',
    message: { id: 'x', content: [{ type: 'text', text: 'Hi' }] },
  })
  assert.deepEqual(events, [{ kind: 'agent.text', text: 'Hi' }])
})

test('a long speech is passed on in pieces of at most 8 KiB', () => {
  const { events } = hearAll(start, piece('x'.repeat(20_000)))
  assert.deepEqual(
    events.map((event) => (event.kind === 'agent.text' ? event.text.length : 0)),
    [8192, 8192, 3616],
  )
})

test('what is unknown, malformed or of another shape is ignored', () => {
  const { events, facts } = hearAll(
    'not json',
    '{"type":"result"',
    'null',
    '[]',
    { type: 'something_new', text: 'x' },
    { type: 'system', subtype: 'something_new' },
    { type: 'assistant', message: 7 },
    { type: 'stream_event', event: { type: 'content_block_delta', delta: { type: 'new_delta' } } },
  )
  assert.deepEqual(events, [])
  assert.equal(facts.result, undefined)
})

test('only what people said is repeated as heard, not the task', () => {
  const said = (uuid: string) => ({ type: 'user', isReplay: true, uuid, message: { content: 'Hurry' } })
  assert.deepEqual(hearAll(said('task'), said('steering')).events, [{ kind: 'agent.heard', text: 'Hurry' }])
})

test('a tool call is open until its result', () => {
  const call = { type: 'assistant', message: { content: [toolUse] } }
  const result = {
    type: 'user',
    message: { content: [{ type: 'tool_result', tool_use_id: 't1', content: [] }] },
  }
  assert.equal(hearAll(call).facts.openTools.size, 1)
  assert.equal(hearAll(call, result).facts.openTools.size, 0)
})

test('a tool is summed up by its command, file or pattern', () => {
  assert.equal(summaryOf({ file_path: '/workspace/a', content: 'long' }), '/workspace/a')
  assert.equal(summaryOf({ x: 1 }), '{"x":1}')
  assert.equal(summaryOf(undefined), '')
})

const result = { type: 'result', subtype: 'success', result: 'ok', num_turns: 2, total_cost_usd: 0.5 }
const failed = { ...result, is_error: true, result: 'API Error' }
const retry = (error_status: number) => ({
  type: 'system',
  subtype: 'api_retry',
  attempt: 1,
  retry_delay_ms: 10.4,
  error_status,
})
const writesLost = {
  type: 'system',
  subtype: 'session_writes_lost',
  error_code: 'ENOSPC',
  lost: ['transcript'],
}

function endedAs(messages: readonly object[], rest: Partial<Ended> = {}) {
  const { facts } = hearAll(...messages)
  return outcomeOf({ facts, exit: { exitCode: 0 }, stopped: undefined, stderr: '', ...rest })
}

const usage = {
  inputTokens: 1,
  outputTokens: 2,
  cacheReadInputTokens: 3,
  cacheCreationInputTokens: 4,
  costUSD: 1,
}
test('usage is told by model, as the last result counts it', () => {
  const outcome = endedAs([
    { ...result, num_turns: 1 },
    { ...result, modelUsage: { m: usage } },
  ])
  assert.deepEqual(outcome, {
    kind: 'done',
    summary: 'ok',
    usage: {
      turns: 2,
      estimatedNanoDollars: 500_000_000,
      models: { m: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4 } },
    },
  })
})

type Row = readonly [what: string, messages: readonly object[], rest: Partial<Ended>, expected: string]
const rows: readonly Row[] = [
  ['a result of success that says error', [failed], {}, 'failed exit'],
  ['429 at the first try', [{ ...failed, api_error_status: 429 }], {}, 'over-budget'],
  ['429 after retries', [retry(429), { ...failed, api_error_status: 429 }], {}, 'interrupted gateway'],
  ['402', [{ ...failed, api_error_status: 402 }], {}, 'over-budget'],
  ['529', [{ ...failed, api_error_status: 529 }], {}, 'interrupted gateway'],
  ['403', [{ ...failed, api_error_status: 403 }], {}, 'failed not-permitted'],
  ['400', [{ ...failed, api_error_status: 400 }], {}, 'failed api-error'],
  ['a connection that was cut', [{ ...failed, terminal_reason: 'api_error' }], {}, 'interrupted gateway'],
  ['too many turns', [{ ...failed, subtype: 'error_max_turns' }], {}, 'failed max-turns'],
  ['started as root', [{ ...failed, startup_failure_reason: 'bypass_root' }], {}, 'failed not-permitted'],
  ['a bad folder', [{ ...failed, startup_failure_reason: 'cwd_unavailable' }], {}, 'failed exit'],
  ['disk full, then an error', [writesLost, failed], {}, 'failed disk-full'],
  ['disk full, then success', [writesLost, result], {}, 'done'],
  ['disk full and no result', [writesLost], { exit: { exitCode: 1 } }, 'failed disk-full'],
  ['disk full on stderr', [], { exit: { exitCode: 1 }, stderr: 'ENOSPC: write' }, 'failed disk-full'],
  ['no result, code 1', [], { exit: { exitCode: 1 } }, 'failed exit'],
  ['no result, code 0', [], {}, 'failed exit'],
  ['ended by SIGTERM', [], { exit: { exitCode: 143 } }, 'interrupted sandbox'],
  ['ended by SIGKILL', [], { exit: { exitCode: 137 } }, 'interrupted sandbox'],
  ['out of memory', [], { exit: { exitCode: 137, ended: 'out-of-memory' } }, 'interrupted out-of-memory'],
  ['killed for silence', [], { exit: { exitCode: 137, ended: 'killed' }, stopped: 'silent' }, 'hung'],
  [
    'interrupted for silence',
    [{ ...failed, subtype: 'error_during_execution' }],
    { stopped: 'silent' },
    'hung',
  ],
  [
    'killed after its result',
    [result],
    { exit: { exitCode: 137, ended: 'killed' }, stopped: 'after-result' },
    'done',
  ],
  ['cancelled', [result], { stopped: 'cancelled' }, 'cancelled'],
]
for (const [what, messages, rest, expected] of rows)
  test(`${what} is ${expected}`, () => {
    const outcome = endedAs(messages, rest)
    assert.equal(
      ['kind' in outcome && outcome.kind, 'cause' in outcome && outcome.cause].filter(Boolean).join(' '),
      expected,
    )
  })
