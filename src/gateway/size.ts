/** Reads from a request how large it is at most: the input for the bound of its cost. */
import type { CallSize } from '#costs'
import type { Call } from './policy.ts'

export type Sized =
  | {
      readonly kind: 'sized'
      readonly size: CallSize
      readonly maxTokens: number
      readonly leastTokens: number
    }
  /** Nothing in the request limits what it costs. */
  | { readonly kind: 'boundless'; readonly why: string }

/** No model reads more than this at once. */
const CONTEXT_TOKENS = 1_000_000
/** The largest picture, after the model's side has scaled it. */
const IMAGE_TOKENS = 5_000
/** What the model's side adds: the prompt of tool use, and the descriptions of its own tools. */
const ADDED_TOKENS = 2_000
const ADDED_TOKENS_PER_TOOL = 1_000
/** The model's side ends its own loop after ten rounds (`pause_turn`). */
const ROUNDS = 10
/** Fewer tokens make no useful answer. */
const FLOOR_TOKENS = 1_024

const CLIENT_TOOL = /^(custom|(bash|text_editor|memory|computer|browser_toolset)_\d{8})$/
const SEARCHING_TOOL = /^tool_search_tool\w*_\d{8}$/
const COUNTED_TOOL = /^(web_search|web_fetch)_\d{8}$/

export function sizeOf(call: Call, bodyBytes: number): Sized {
  const maxTokens = call['max_tokens']
  if (typeof maxTokens !== 'number' || !Number.isSafeInteger(maxTokens) || maxTokens < 1)
    return boundless('it has no "max_tokens"')
  for (const key of ['mcp_servers', 'container'])
    if (
      call[key] !== undefined &&
      call[key] !== null &&
      !(Array.isArray(call[key]) && call[key].length === 0)
    )
      return boundless(`"${key}" has no limit`)

  const fallbacks = listOf(call['fallbacks'])
  let passes = 1 + fallbacks.length
  let webSearches = 0
  let bringsMore = false
  let tools = 0
  for (const tool of listOf(call['tools'])) {
    tools++
    const type = typeof tool['type'] === 'string' ? tool['type'] : 'custom'
    if (CLIENT_TOOL.test(type)) continue
    if (SEARCHING_TOOL.test(type)) {
      passes += ROUNDS
      continue
    }
    const uses = tool['max_uses']
    if (!COUNTED_TOOL.test(type) || typeof uses !== 'number' || !Number.isSafeInteger(uses) || uses < 0)
      return boundless(`a tool of type ${type.slice(0, 60)} has no "max_uses" that limits it`)
    passes += uses
    if (type.startsWith('web_search')) webSearches += uses
    bringsMore = true
  }
  const edits = isObject(call['context_management']) ? listOf(call['context_management']['edits']) : []
  passes += edits.filter(({ type }) => typeof type === 'string' && type.startsWith('compact')).length

  const found = walk([call['system'], call['messages'], call['tools'], call['cache_control']])
  if (found.unbounded !== undefined) return boundless(found.unbounded)
  // A tokenizer makes at most one token of a byte; what is packed into base64 is counted as what it shows.
  const tokens =
    bodyBytes - found.packedBytes + found.mediaTokens + ADDED_TOKENS + tools * ADDED_TOKENS_PER_TOOL
  const thinking = isObject(call['thinking']) ? call['thinking']['budget_tokens'] : undefined
  const thinkingTokens = typeof thinking === 'number' ? thinking : 0
  return {
    kind: 'sized',
    maxTokens,
    leastTokens: Math.min(maxTokens, Math.max(FLOOR_TOKENS, thinkingTokens + 1)),
    size: {
      models: [call.model, ...fallbacks.map(({ model }) => (typeof model === 'string' ? model : 'unknown'))],
      inputTokens: bringsMore ? CONTEXT_TOKENS : Math.min(tokens, CONTEXT_TOKENS),
      cacheWrites: found.cacheWrites,
      isFast: call['speed'] === 'fast',
      isGlobal: call['inference_geo'] === 'global',
      passes,
      webSearches,
    },
  }
}

type Found = {
  packedBytes: number
  mediaTokens: number
  cacheWrites: CallSize['cacheWrites']
  unbounded: string | undefined
}

function walk(roots: readonly unknown[]): Found {
  const found: Found = { packedBytes: 0, mediaTokens: 0, cacheWrites: 'none', unbounded: undefined }
  const left: unknown[] = [...roots]
  while (left.length > 0) {
    const value = left.pop()
    if (Array.isArray(value)) for (const part of value) left.push(part)
    else if (isObject(value)) {
      // The top-level one stands alone, those of blocks and tools under their key: either way it is an object of this type.
      if (value['type'] === 'ephemeral') {
        if (value['ttl'] === '1h') found.cacheWrites = '1h'
        else if (found.cacheWrites === 'none') found.cacheWrites = '5m'
      }
      if (value['type'] === 'container_upload') found.unbounded = 'a "container_upload" has no limit'
      const source = value['source']
      if ((value['type'] === 'image' || value['type'] === 'document') && isObject(source))
        countMedia(value['type'], source, found)
      for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) left.push(part)
    }
  }
  return found
}

function countMedia(type: string, source: Readonly<Record<string, unknown>>, found: Found): void {
  const { type: kind, data } = source
  // Plain text stands in the body and is counted there.
  if (kind === 'text' || kind === 'content') return
  if (typeof data === 'string') found.packedBytes += data.length
  // Nobody knows the pages of a document without reading it.
  found.mediaTokens += type === 'image' ? IMAGE_TOKENS : CONTEXT_TOKENS
}

function boundless(why: string): Sized {
  return { kind: 'boundless', why }
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map((one: unknown) => (isObject(one) ? one : {})) : []
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
