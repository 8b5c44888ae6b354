import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { priceUsage } from './price-usage.ts'
import { findPrice, PRICES, readPrices } from './prices.ts'
import { NO_USAGE, readUsage } from './usage.ts'

const now = new Date('2026-11-24T00:00:00Z')
const million = 1_000_000

function dollars(model: string, usage: object, at = now): number {
  return priceUsage(model, readUsage(usage), at).nanoDollars / 1e9
}

/** Model; then USD for a million tokens in, out, written for 5 minutes, for 1 hour, read. */
const golden: readonly (readonly [string, number, number, number, number, number])[] = [
  ['claude-fable-5-2', 8, 40, 10, 16, 0.2],
  ['claude-fable-5-1', 10, 50, 12.5, 20, 0.25],
  ['claude-mythos-5-1', 10, 50, 12.5, 20, 0.25],
  ['claude-fable-5', 10, 50, 12.5, 20, 1],
  ['claude-opus-5-5', 4, 20, 5, 8, 0.2],
  ['claude-opus-5', 5, 25, 6.25, 10, 0.5],
  ['claude-opus-4-8', 5, 25, 6.25, 10, 0.5],
  ['claude-opus-4-1-20250805', 15, 75, 18.75, 30, 1.5],
  ['claude-sonnet-5-5', 2, 10, 2.5, 4, 0.1],
  ['claude-sonnet-5-5[1m]', 2, 10, 2.5, 4, 0.1],
  ['claude-sonnet-4-6', 3, 15, 3.75, 6, 0.3],
  // Over 100,000 tokens of prompt: the dearer band.
  ['claude-haiku-5-5', 0.5, 0.5, 0.625, 1, 0.05],
  ['claude-haiku-4-5', 1, 5, 1.25, 2, 0.1],
]
for (const [model, input, output, write5m, write1h, read] of golden)
  test(`${model} costs what the list says`, () => {
    assert.equal(dollars(model, { input_tokens: million }), input)
    assert.equal(dollars(model, { output_tokens: million }), output)
    assert.equal(dollars(model, { cache_creation_input_tokens: million }), write5m)
    const cache_creation = { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: million }
    assert.equal(dollars(model, { cache_creation_input_tokens: million, cache_creation }), write1h)
    assert.equal(dollars(model, { cache_read_input_tokens: million }), read)
  })

test('the band of Haiku 5.5 begins above 100,000 tokens of prompt, and then holds for the output too', () => {
  assert.equal(dollars('claude-haiku-5-5', { input_tokens: 100_000, output_tokens: 1000 }), 0.01 + 0.0005)
  const over = { input_tokens: 1, cache_read_input_tokens: 100_000, output_tokens: 1000 }
  assert.equal(dollars('claude-haiku-5-5', over), (500 + 100_000 * 50 + 1000 * 2500) / 1e9)
})

test('a price holds for its time', () => {
  const read = { cache_read_input_tokens: million }
  assert.equal(dollars('claude-sonnet-5-5', read, new Date('2026-10-06T23:59:59Z')), 0.2)
  assert.equal(dollars('claude-sonnet-5-5', read, new Date('2026-10-07T00:00:00Z')), 0.1)
})

test('batch is half, the US region a tenth more, both together multiply', () => {
  const usage = { input_tokens: million, output_tokens: million }
  assert.equal(dollars('claude-opus-5-5', { ...usage, service_tier: 'batch' }), 12)
  assert.equal(dollars('claude-opus-5-5', { ...usage, inference_geo: 'us' }), 26.4)
  assert.equal(dollars('claude-opus-5-5', { ...usage, inference_geo: 'us', service_tier: 'batch' }), 13.2)
})

test('fast mode has its own prices and multiplies the cache rates', () => {
  assert.equal(
    dollars('claude-opus-5-5', { input_tokens: million, output_tokens: million, speed: 'fast' }),
    48,
  )
  assert.equal(dollars('claude-opus-5-5', { cache_read_input_tokens: million, speed: 'fast' }), 0.4)
  assert.equal(dollars('claude-opus-4-6', { input_tokens: million, speed: 'fast' }), 30)
})

test('a web search costs a cent, whatever the region', () => {
  const usage = { server_tool_use: { web_search_requests: 3 }, inference_geo: 'us' }
  assert.equal(dollars('claude-sonnet-5-5', usage), 0.03)
})

test('a compaction inside the call is paid too, and an advisor at the price of its model', () => {
  const compaction = { type: 'compaction', input_tokens: 50_000, output_tokens: 1000 }
  const message = { type: 'message', input_tokens: 1000, output_tokens: 0 }
  const usage = { input_tokens: 1000, iterations: [compaction, message] }
  assert.equal(dollars('claude-sonnet-5-5', usage), 0.112)
  const advisor = { type: 'advisor_message', model: 'claude-opus-5-5', output_tokens: 1000 }
  assert.equal(dollars('claude-sonnet-5-5', { iterations: [advisor] }), 0.02)
})

test('an unknown model costs as much as the dearest, and is marked', () => {
  const cost = priceUsage('claude-omega-9', readUsage({ input_tokens: million, output_tokens: million }), now)
  assert.equal(cost.priceKnown, false)
  assert.equal(cost.nanoDollars, (15 + 75) * 1e9)
})

test('nonsense counts as nothing', () => {
  assert.equal(dollars('claude-opus-5-5', { input_tokens: -5, output_tokens: 'many', iterations: 7 }), 0)
  assert.equal(priceUsage('claude-opus-5-5', readUsage(null), now).nanoDollars, 0)
})

test('a part of a nano-dollar is rounded up', () => {
  const usage = { cache_read_input_tokens: 1, service_tier: 'batch', inference_geo: 'us' }
  assert.equal(priceUsage('claude-haiku-5-5', readUsage(usage), now).nanoDollars, 6)
})

test('no model has two prices at a time, and no price is missing today', () => {
  for (const day of ['2026-10-06', '2026-10-07', '2026-11-24'])
    for (const { model } of PRICES) {
      const valid = PRICES.filter(
        (price) => price.model === model && (price.from ?? '') <= day && day < (price.until ?? '9'),
      )
      assert.equal(valid.length, 1, `${model} on ${day}`)
    }
  assert.equal(findPrice('claude-sonnet-5-5', now)?.cacheRead, 100)
})

test("the operator's own prices replace and extend the built-in list", () => {
  const folder = mkdtempSync(join(tmpdir(), 'ff-prices-'))
  const file = join(folder, 'prices.json')
  try {
    const own = { input: 1, output: 2, cacheWrite5m: 1, cacheWrite1h: 1, cacheRead: 0.5 }
    writeFileSync(
      file,
      JSON.stringify({
        models: [
          { model: 'claude-opus-5-5', ...own },
          { model: 'house-model', ...own },
        ],
      }),
    )
    const prices = readPrices({ FLOWFORGE_PRICES: file })
    const usage = { ...NO_USAGE, inputTokens: 1000 }
    assert.equal(priceUsage('claude-opus-5-5', usage, new Date(), prices).nanoDollars, 1_000_000)
    assert.deepEqual(priceUsage('house-model', usage, new Date(), prices), {
      nanoDollars: 1_000_000,
      priceKnown: true,
    })
    assert.equal(priceUsage('claude-sonnet-5-5', usage, new Date(), prices).priceKnown, true)
    writeFileSync(file, JSON.stringify({ models: [{ model: 'x', input: -1 }] }))
    assert.throws(() => readPrices({ FLOWFORGE_PRICES: file }), { code: 'config_invalid' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
