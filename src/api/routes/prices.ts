import { z } from 'zod'
import { readPrices, type Price, type Rates } from '#costs'
import { requireScope } from '#tenants'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'

const rates = {
  input: z.number(),
  output: z.number(),
  cacheWrite5m: z.number(),
  cacheWrite1h: z.number(),
  cacheRead: z.number(),
}
const priceList = z
  .object({
    unit: z.literal('USD per million tokens'),
    models: z.array(
      z.object({
        model: z.string(),
        ...rates,
        from: z.iso.date().nullable().describe('Null: since always.'),
        until: z.iso.date().nullable().describe('Up to but without this day (UTC). Null: for now.'),
        fast: z.object(rates).nullable().describe('In fast mode. Null: it has none.'),
        bands: z
          .array(z.object({ promptTokensOver: z.int(), ...rates }))
          .describe('For the whole call when its prompt is longer.'),
      }),
    ),
  })
  .meta({ id: 'PriceList' })

/** The list that calls are priced by: the built-in one and what the operator set. */
export function priceRoutes(app: App, { config }: ApiTools): void {
  const models = readPrices({ FLOWFORGE_PRICES: config.FLOWFORGE_PRICES }).map(toAnswer)
  app.get(
    '/prices',
    {
      schema: {
        operationId: 'readPrices',
        summary: 'Read the prices of models',
        tags: ['costs'],
        response: { 200: priceList, ...problemResponses },
      },
    },
    async ({ principal }) => {
      requireScope(principal, 'costs:read')
      return { unit: 'USD per million tokens' as const, models }
    },
  )
}

function toAnswer({ model, from, until, fast, bands, ...price }: Price) {
  return {
    model,
    ...toUsd(price),
    from: from ?? null,
    until: until ?? null,
    fast: fast === undefined ? null : toUsd(fast),
    bands: bands.map(({ promptTokensOver, ...band }) => ({ promptTokensOver, ...toUsd(band) })),
  }
}

/** From nano-dollars a token. */
function toUsd({ input, output, cacheWrite5m, cacheWrite1h, cacheRead }: Rates) {
  const usd = (nano: number): number => nano / 1000
  return {
    ...{ input: usd(input), output: usd(output), cacheRead: usd(cacheRead) },
    ...{ cacheWrite5m: usd(cacheWrite5m), cacheWrite1h: usd(cacheWrite1h) },
  }
}
