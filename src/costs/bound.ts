/** The most a call can cost: what a hard budget rests on. */
import { dearestPrice, findPrice, MODIFIERS, PRICES, type Price, type Rates } from './prices.ts'

/** What a request says of its size. */
export type CallSize = {
  /** Every model that may answer: the one that was asked for, fallbacks. */
  readonly models: readonly string[]
  /** At least as many as the tokenizer can make of it. */
  readonly inputTokens: number
  /** What the prompt may be written to: each kind has its price. */
  readonly cacheWrites: 'none' | '5m' | '1h'
  readonly isFast: boolean
  /** It says itself that it runs anywhere; otherwise the account may be bound to a dearer region. */
  readonly isGlobal: boolean
  /** How often the whole prompt can be read in this call: server tools and compaction sample again. */
  readonly passes: number
  readonly webSearches: number
}

export type CallBound = {
  /** Of everything but the output. */
  readonly fixedNano: number
  readonly nanoPerOutputToken: number
}

export function boundOf(size: CallSize, at: Date, prices: readonly Price[] = PRICES): CallBound {
  const rates = size.models.flatMap((model) =>
    ratesFor(findPrice(model, at, prices) ?? dearestPrice(prices), size),
  )
  const percent = size.isGlobal ? 100 : Math.max(100, MODIFIERS.inferenceGeoUsPercent)
  const dearest = (of: (rate: Rates) => number): number =>
    Math.ceil((Math.max(...rates.map(of)) * percent) / 100)
  const perInputToken = dearest((rate) => {
    const writes = { none: 0, '5m': rate.cacheWrite5m, '1h': Math.max(rate.cacheWrite5m, rate.cacheWrite1h) }
    return Math.max(rate.input, rate.cacheRead, writes[size.cacheWrites])
  })
  return {
    fixedNano:
      size.inputTokens * perInputToken * size.passes + size.webSearches * MODIFIERS.webSearchNanoDollars,
    nanoPerOutputToken: dearest((rate) => rate.output) * size.passes,
  }
}

/** Of a model with bands all that this prompt can reach; fast rates beside the plain ones, as both may be charged. */
function ratesFor(price: Price, size: CallSize): readonly Rates[] {
  const bands = price.bands.filter(({ promptTokensOver }) => size.inputTokens > promptTokensOver)
  return [price, ...bands, ...(size.isFast && price.fast !== undefined ? [price.fast] : [])]
}
