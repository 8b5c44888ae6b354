/** What a call used, as the Messages API counts it. */
import { z } from 'zod'

export type Usage = Tokens & {
  readonly webSearches: number
  readonly isBatch: boolean
  readonly isUsOnly: boolean
  readonly isFast: boolean
  /** Model calls inside this call that the sums above do not contain: compaction (same model) and advisors (their own). */
  readonly inner: readonly (Tokens & { readonly model?: string })[]
}

export type Tokens = {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWrite5mTokens: number
  readonly cacheWrite1hTokens: number
}

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
  webSearches: 0,
  isBatch: false,
  isUsOnly: false,
  isFast: false,
  inner: [],
}

// A number that is absent, null or nonsense counts as nothing: the meter must not fail a call that has been served.
const count = z.number().int().nonnegative().max(1e12).catch(0)
const word = z.string().catch('')
const tokensSchema = z.looseObject({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  cache_creation: z
    .looseObject({ ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count })
    .nullish()
    .catch(null),
})
const usageSchema = tokensSchema.extend({
  server_tool_use: z.looseObject({ web_search_requests: count }).nullish().catch(null),
  service_tier: word,
  inference_geo: word,
  speed: word,
  iterations: z
    .array(tokensSchema.extend({ type: word, model: z.string().nullish().catch(null) }))
    .nullish()
    .catch(null),
})

/** Reads the `usage` object of a response. Anything else counts as no usage at all. */
export function readUsage(value: unknown): Usage {
  const usage = usageSchema.safeParse(value).data
  if (usage === undefined) return NO_USAGE
  return {
    ...tokensOf(usage),
    webSearches: usage.server_tool_use?.web_search_requests ?? 0,
    isBatch: usage.service_tier === 'batch',
    isUsOnly: usage.inference_geo.toLowerCase() === 'us',
    isFast: usage.speed === 'fast',
    inner: (usage.iterations ?? [])
      .filter(({ type }) => type === 'compaction' || type === 'advisor_message')
      .map((one) => ({ ...tokensOf(one), ...(one.model ? { model: one.model } : {}) })),
  }
}

/** Cache writes that name no lifetime live for five minutes. */
function tokensOf(value: z.output<typeof tokensSchema>): Tokens {
  const cacheWrite1hTokens = value.cache_creation?.ephemeral_1h_input_tokens ?? 0
  const split5m = value.cache_creation?.ephemeral_5m_input_tokens ?? 0
  const rest = value.cache_creation_input_tokens - cacheWrite1hTokens
  return {
    inputTokens: value.input_tokens,
    outputTokens: value.output_tokens,
    cacheReadTokens: value.cache_read_input_tokens,
    cacheWrite5mTokens: Math.max(split5m, rest, 0),
    cacheWrite1hTokens,
  }
}
