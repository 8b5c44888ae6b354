/**
 * List prices by model and date, read from prices.json (USD per million tokens) into nano-dollars per token:
 * one dollar a million tokens is 1000 nano-dollars a token, so every price is a whole number.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Config } from '#config'
import { refuse } from '#lib/errors.ts'
import table from './prices.json' with { type: 'json' }

export type Rates = {
  readonly input: number
  readonly output: number
  readonly cacheWrite5m: number
  readonly cacheWrite1h: number
  readonly cacheRead: number
}

export type Price = Rates & {
  readonly model: string
  /** Days, UTC: valid from the first, up to but without the second. */
  readonly from?: string
  readonly until?: string
  readonly fast?: Rates
  readonly bands: readonly (Rates & { readonly promptTokensOver: number })[]
}

const NANO_PER_TOKEN = 1000

const rate = z
  .number()
  .nonnegative()
  .transform((usd) => {
    const nano = Math.round(usd * NANO_PER_TOKEN)
    if (Math.abs(nano - usd * NANO_PER_TOKEN) > 1e-6)
      throw new Error(`the price ${usd} is finer than a nano-dollar a token`)
    return nano
  })
const rates = {
  input: rate,
  output: rate,
  cacheWrite5m: rate,
  cacheWrite1h: rate,
  cacheRead: rate,
}
const day = z.iso.date().optional()
const tableSchema = z.object({
  models: z.array(
    z.object({
      model: z.string(),
      ...rates,
      from: day,
      until: day,
      fast: z.object({ input: rate, output: rate.optional() }).optional(),
      bands: z.array(z.object({ promptTokensOver: z.number().int(), ...rates })).default([]),
    }),
  ),
  modifiers: z.object({
    batch: z.number(),
    inferenceGeoUs: z.number(),
    webSearchPerRequestUsd: z.number(),
  }),
})
const parsed = tableSchema.parse(table)

type Table = z.output<typeof tableSchema>

function toPrices(models: Table['models']): readonly Price[] {
  return models.map(({ fast, from, until, ...price }) => ({
    ...price,
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    ...(fast === undefined ? {} : { fast: fastRates(price, fast) }),
  }))
}

/** The built-in list. */
export const PRICES: readonly Price[] = toPrices(parsed.models)

/** The built-in list with the operator's own in the place of what it has for the same models. */
export function readPrices({ FLOWFORGE_PRICES: file }: Pick<Config, 'FLOWFORGE_PRICES'>): readonly Price[] {
  if (file === undefined) return PRICES
  try {
    const own = toPrices(
      z.object({ models: tableSchema.shape.models }).parse(JSON.parse(readFileSync(file, 'utf8'))).models,
    )
    const named = new Set(own.map(({ model }) => model))
    return [...own, ...PRICES.filter(({ model }) => !named.has(model))]
  } catch (error) {
    throw refuse(
      'config_invalid',
      {
        key: 'FLOWFORGE_PRICES',
        value: file,
        problem:
          error instanceof z.ZodError
            ? `${z.prettifyError(error).replaceAll('\n', ' ')}.`
            : `${String(error)}.`,
        example: 'FLOWFORGE_PRICES=/etc/flowforge/prices.json',
      },
      error,
    )
  }
}

/** Whole hundredths, so that they multiply exactly. */
export const MODIFIERS = {
  batchPercent: Math.round(parsed.modifiers.batch * 100),
  inferenceGeoUsPercent: Math.round(parsed.modifiers.inferenceGeoUs * 100),
  webSearchNanoDollars: Math.round(parsed.modifiers.webSearchPerRequestUsd * 1e9),
} as const

/** The price of a model at a time. Undefined: the model is not in the table, or was not sold then. */
export function findPrice(model: string, at: Date, prices: readonly Price[] = PRICES): Price | undefined {
  const name = canonical(model)
  const date = at.toISOString().slice(0, 10)
  return prices.find(
    (price) =>
      price.model === name &&
      (price.from === undefined || price.from <= date) &&
      (price.until === undefined || date < price.until),
  )
}

/** What an unknown model is taken for: in each kind of token the dearest that is known, never free. */
export function dearestPrice(prices: readonly Price[] = PRICES): Price {
  const known = dearestOf.get(prices)
  if (known) return known
  const plain = dearest(prices.flatMap((price) => [price, ...price.bands]))
  const fast = dearest(prices.flatMap((price) => price.fast ?? price))
  const price = { model: 'unknown', ...plain, fast, bands: [] }
  dearestOf.set(prices, price)
  return price
}

/** Asked for each call; a list never changes. */
const dearestOf = new WeakMap<readonly Price[], Price>()

function dearest(all: readonly Rates[]): Rates {
  const most = (kind: keyof Rates): number => Math.max(...all.map((one) => one[kind]))
  return {
    input: most('input'),
    output: most('output'),
    cacheWrite5m: most('cacheWrite5m'),
    cacheWrite1h: most('cacheWrite1h'),
    cacheRead: most('cacheRead'),
  }
}

/** Without the date of a snapshot and the mark of a longer context: both are priced as the model. */
function canonical(model: string): string {
  return model
    .toLowerCase()
    .replace(/\[1m\]$/, '')
    .replace(/-20\d{6}$/, '')
    .replace(/-latest$/, '')
}

/** Fast mode multiplies the cache rates as it multiplies the input; where its output price is not known, as the input too. */
function fastRates(
  base: Rates,
  fast: { readonly input: number; readonly output?: number | undefined },
): Rates {
  const times = (rateOf: number): number => Math.ceil((rateOf * fast.input) / base.input)
  return {
    input: fast.input,
    output: fast.output ?? times(base.output),
    cacheWrite5m: times(base.cacheWrite5m),
    cacheWrite1h: times(base.cacheWrite1h),
    cacheRead: times(base.cacheRead),
  }
}
