import { dearestPrice, findPrice, MODIFIERS, PRICES, type Price, type Rates } from './prices.ts'
import type { Tokens, Usage } from './usage.ts'

export type Cost = {
  /** Whole nano-dollars, rounded up. */
  readonly nanoDollars: number
  /** False: a model of this call is not in the table and was priced as the dearest. */
  readonly priceKnown: boolean
}

/** What a call costs by the list: every kind of token, the model's bands, fast mode, batch, region, web searches. */
export function priceUsage(model: string, usage: Usage, at: Date, prices: readonly Price[] = PRICES): Cost {
  let priceKnown = true
  const rated = (name: string, tokens: Tokens): number => {
    const price = findPrice(name, at, prices)
    if (price === undefined) priceKnown = false
    return tokenCost(ratesFor(price ?? dearestPrice(prices), tokens, usage.isFast), tokens)
  }
  let tokens = rated(model, usage)
  for (const call of usage.inner) tokens += rated(call.model ?? model, call)
  // Percent by percent, so that only the last step rounds. A searched page costs the same everywhere.
  const percents = [
    ...(usage.isBatch ? [MODIFIERS.batchPercent] : []),
    ...(usage.isUsOnly ? [MODIFIERS.inferenceGeoUsPercent] : []),
  ]
  const scaled = percents.reduce((sum, percent) => sum * BigInt(percent), BigInt(tokens))
  const divisor = 100n ** BigInt(percents.length)
  const nanoDollars = Number((scaled + divisor - 1n) / divisor)
  return { nanoDollars: nanoDollars + usage.webSearches * MODIFIERS.webSearchNanoDollars, priceKnown }
}

/** The band is chosen by the whole prompt, and then holds for every token, output too. */
function ratesFor(price: Price, tokens: Tokens, isFast: boolean): Rates {
  const prompt =
    tokens.inputTokens + tokens.cacheReadTokens + tokens.cacheWrite5mTokens + tokens.cacheWrite1hTokens
  const band = price.bands
    .filter(({ promptTokensOver }) => prompt > promptTokensOver)
    .toSorted((one, other) => other.promptTokensOver - one.promptTokensOver)[0]
  if (band !== undefined) return band
  return isFast && price.fast !== undefined ? price.fast : price
}

function tokenCost(rates: Rates, tokens: Tokens): number {
  return (
    tokens.inputTokens * rates.input +
    tokens.outputTokens * rates.output +
    tokens.cacheReadTokens * rates.cacheRead +
    tokens.cacheWrite5mTokens * rates.cacheWrite5m +
    tokens.cacheWrite1hTokens * rates.cacheWrite1h
  )
}
