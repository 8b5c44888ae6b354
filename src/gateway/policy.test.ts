import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callSchema, checkCall, type CallPolicy } from './policy.ts'

const job: CallPolicy = { models: [], serverTools: false, remoteSources: false }
const key: CallPolicy = { models: [], serverTools: true, remoteSources: true }

function check(body: object, policy: CallPolicy = job): string {
  return checkCall(callSchema.parse({ model: 'claude-opus-5-5', ...body }), policy)?.message ?? 'passes'
}
const says = (content: unknown): object => ({ messages: [{ role: 'user', content }] })

const allowed: readonly (readonly [string, object])[] = [
  ['text', says('see https://example.com')],
  ['an image in the body', says([{ type: 'image', source: { type: 'base64', data: 'x' } }])],
  [
    'client tools',
    { tools: [{ name: 'Bash', input_schema: {} }, { type: 'custom' }, { type: 'bash_20250124' }] },
  ],
  [
    'what a tool was called with',
    says([{ type: 'tool_use', input: { source: { type: 'url', url: 'x' }, file_id: 1 } }]),
  ],
  ['empty lists', { mcp_servers: [], container: null }],
  ['unknown fields', { new_thing: { deep: [1] }, context_management: { edits: [] } }],
]
for (const [what, body] of allowed) test(`${what} passes`, () => assert.equal(check(body), 'passes'))

const url = { type: 'url', url: 'https://evil.example/?secret' }
const refused: readonly (readonly [string, object])[] = [
  ['a remote MCP server', { mcp_servers: [{ type: 'url', url: 'https://evil.example' }] }],
  ['a container', { container: { skills: [{ skill_id: 'x' }] } }],
  ['web fetch', { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }],
  ['web search', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
  ['code execution', { tools: [{ type: 'code_execution_20250825', name: 'x' }] }],
  ['an MCP toolset', { tools: [{ type: 'mcp_toolset', mcp_server_name: 'x' }] }],
  ['a tool of a type to come', { tools: [{ type: 'teleport_20270101' }] }],
  ['a tool without a readable type', { tools: [{ type: 7 }] }],
  ['an image by address', says([{ type: 'image', source: url }])],
  [
    'a document by address in a result',
    says([{ type: 'tool_result', content: [{ type: 'document', source: url }] }]),
  ],
  ['a stored file', says([{ type: 'document', source: { type: 'file', file_id: 'file_1' } }])],
  ['a container upload', says([{ type: 'container_upload', file_id: 'file_1' }])],
  ['a source in system', { system: [{ type: 'document', source: url }] }],
  ['a server tool added in a message', says([{ tools: [{ type: 'web_fetch_20250910' }] }])],
]
for (const [what, body] of refused) {
  test(`${what} is refused to a job`, () => assert.match(check(body), /This job may not use/))
  test(`${what} is open to a key`, () => assert.equal(check(body, key), 'passes'))
}

test('a job may call its models, in any spelling that means the same, and no other', () => {
  const model = (name: string, models: readonly string[]) => check({ model: name }, { ...job, models })
  assert.equal(model('claude-opus-5-5', ['claude-opus-5-5']), 'passes')
  assert.equal(model('claude-opus-5-5-20260901', ['claude-opus-5-5']), 'passes')
  assert.equal(model('claude-opus-5-5', ['claude-opus-5-5[1m]']), 'passes')
  assert.equal(model('claude-opus-5-5', ['opus']), 'passes')
  assert.match(model('claude-opus-5-5', ['claude-opus-5']), /not permitted/)
  assert.match(model('claude-sonnet-5-5', ['opus']), /not permitted/)
  assert.match(model('CLAUDE-OPUS-5-5', ['claude-opus-5-5']), /not permitted/)
})

test('models that would answer besides count too', () => {
  const policy = { ...job, models: ['claude-opus-5-5'] }
  assert.match(check({ fallbacks: [{ model: 'claude-fable-5' }] }, policy), /fable-5 is not permitted/)
  assert.match(check({ tools: [{ name: 'x', model: 'claude-fable-5' }] }, policy), /fable-5 is not permitted/)
})
