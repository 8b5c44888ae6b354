import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundOf, priceUsage, readUsage } from '#costs'
import { sizeOf } from './size.ts'

const base = { model: 'claude-opus-5-5', max_tokens: 1000, messages: [{ role: 'user', content: 'hello' }] }
const at = new Date('2026-11-24')

function sized(more: object) {
  const call = { ...base, ...more }
  const found = sizeOf(call, Buffer.byteLength(JSON.stringify(call)))
  assert.ok(found.kind === 'sized', JSON.stringify(found))
  return found
}
function bound(more: object = {}): number {
  const { size, maxTokens } = sized(more)
  const { fixedNano, nanoPerOutputToken } = boundOf(size, at)
  return fixedNano + nanoPerOutputToken * maxTokens
}

test('the bound is above what the call can cost, whatever the kind of token, the region and the speed', () => {
  const cached = {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'x'.repeat(50_000), cache_control: { type: 'ephemeral', ttl: '1h' } },
        ],
      },
    ],
  }
  const usages: readonly (readonly [object, object])[] = [
    [{}, { input_tokens: 100, output_tokens: 1000, inference_geo: 'us' }],
    [
      cached,
      { cache_creation: { ephemeral_1h_input_tokens: 50_000 }, output_tokens: 1000, inference_geo: 'us' },
    ],
    [
      { ...cached, speed: 'fast' },
      { input_tokens: 50_000, output_tokens: 1000, speed: 'fast' },
    ],
    [
      { context_management: { edits: [{ type: 'compact_20260112' }] } },
      {
        input_tokens: 50,
        output_tokens: 500,
        iterations: [
          { type: 'compaction', input_tokens: 1500, output_tokens: 1000 },
          { type: 'message', input_tokens: 50, output_tokens: 500 },
        ],
      },
    ],
  ]
  for (const [request, usage] of usages) {
    const { nanoDollars } = priceUsage('claude-opus-5-5', readUsage(usage), at)
    assert.ok(nanoDollars > 0 && bound(request) >= nanoDollars, `${bound(request)} < ${nanoDollars}`)
  }
})

test('a long prompt of Haiku 5.5 is bounded by the dear band, a model nobody knows by the dearest', () => {
  const long = { model: 'claude-haiku-5-5', messages: [{ role: 'user', content: 'x'.repeat(120_000) }] }
  assert.ok(bound(long) >= 120_000 * 500)
  assert.ok(bound({ model: 'claude-next' }) > bound())
})

test('a picture counts as a picture and not as its bytes; a document as a full context', () => {
  const media = (type: string) => ({
    messages: [
      { role: 'user', content: [{ type, source: { type: 'base64', data: 'A'.repeat(2_000_000) } }] },
    ],
  })
  assert.ok(sized(media('image')).size.inputTokens < 10_000)
  assert.equal(sized(media('document')).size.inputTokens, 1_000_000)
})

test('what has no limit has no bound', () => {
  for (const more of [
    { max_tokens: undefined },
    { max_tokens: 1.5 },
    { mcp_servers: [{ url: 'x' }] },
    { container: 'c' },
    { tools: [{ type: 'web_search_20250305' }] },
    { tools: [{ type: 'code_execution_20250825', max_uses: 1 }] },
    { tools: [{ type: 'advisor_20260301', max_uses: 1 }] },
    { tools: [{ type: 'something_new' }] },
    { messages: [{ role: 'user', content: [{ type: 'container_upload', file_id: 'f' }] }] },
  ])
    assert.equal(sizeOf({ ...base, ...more }, 100).kind, 'boundless', JSON.stringify(more))
  for (const tools of [[{ name: 'x' }], [{ type: 'custom' }], [{ type: 'bash_20250124' }]])
    assert.equal(sized({ tools }).size.passes, 1)
})

test('the least leaves room to think and an answer', () => {
  assert.equal(sized({ max_tokens: 128_000 }).leastTokens, 1024)
  assert.equal(sized({ max_tokens: 100 }).leastTokens, 100)
  assert.equal(
    sized({ max_tokens: 64_000, thinking: { type: 'enabled', budget_tokens: 32_000 } }).leastTokens,
    32_001,
  )
})
