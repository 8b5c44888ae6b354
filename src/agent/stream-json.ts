/**
 * The parts of Claude Code's stream-json that we read. The set of types is open and grows with each version: what is
 * not named here is ignored, and a known type of another shape is ignored too.
 */
import { z } from 'zod'

const text = z.string()
const blockSchema = z.looseObject({
  type: text,
  text: text.optional(),
  id: text.optional(),
  name: text.optional(),
  input: z.unknown().optional(),
  tool_use_id: text.optional(),
  is_error: z.boolean().optional(),
  content: z.unknown().optional(),
})
export type Block = z.output<typeof blockSchema>
const contentSchema = z.union([text, z.array(blockSchema)])

const initSchema = z.looseObject({
  type: z.literal('system'),
  subtype: z.literal('init'),
  session_id: text,
  model: text.default(''),
  claude_code_version: text.default(''),
})
const retrySchema = z.looseObject({
  type: z.literal('system'),
  subtype: z.literal('api_retry'),
  attempt: z.number(),
  retry_delay_ms: z.number(),
  error_status: z.number().nullable().default(null),
  error: text.optional(),
})
const writesLostSchema = z.looseObject({
  type: z.literal('system'),
  subtype: z.literal('session_writes_lost'),
  error_code: text,
})
const streamEventSchema = z.looseObject({
  type: z.literal('stream_event'),
  parent_tool_use_id: text.nullable().default(null),
  event: z.looseObject({
    type: text,
    message: z.looseObject({ id: text }).optional(),
    delta: z
      .looseObject({ type: text.optional(), text: text.optional(), thinking: text.optional() })
      .optional(),
  }),
})
const assistantSchema = z.looseObject({
  type: z.literal('assistant'),
  parent_tool_use_id: text.nullable().default(null),
  error: text.optional(),
  message: z.looseObject({ id: text.optional(), content: contentSchema }),
})
const userSchema = z.looseObject({
  type: z.literal('user'),
  uuid: text.optional(),
  isReplay: z.boolean().optional(),
  parent_tool_use_id: text.nullable().default(null),
  message: z.looseObject({ content: contentSchema }),
})
const modelUsageSchema = z.looseObject({
  inputTokens: z.number().default(0),
  outputTokens: z.number().default(0),
  cacheReadInputTokens: z.number().default(0),
  cacheCreationInputTokens: z.number().default(0),
})
const resultSchema = z.looseObject({
  type: z.literal('result'),
  subtype: text,
  is_error: z.boolean().default(false),
  result: text.optional(),
  errors: z.array(text).optional(),
  num_turns: z.number().default(0),
  api_error_status: z.number().nullish(),
  terminal_reason: text.optional(),
  startup_failure_reason: text.optional(),
  total_cost_usd: z.number().default(0),
  modelUsage: z.record(text, modelUsageSchema).default({}),
  user_message_uuids: z.array(text).optional(),
  queued_turn_count: z.number().default(0),
})
export type Result = z.output<typeof resultSchema>
const controlRequestSchema = z.looseObject({
  type: z.literal('control_request'),
  request_id: text,
  request: z.looseObject({ subtype: text }),
})

const messageSchema = z.union([
  streamEventSchema,
  assistantSchema,
  userSchema,
  resultSchema,
  initSchema,
  retrySchema,
  writesLostSchema,
  controlRequestSchema,
])
export type StreamMessage = z.output<typeof messageSchema>

/** Reads one line. Answers undefined for what is not JSON, not known or not of the known shape. */
export function readMessage(line: string): StreamMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  const message = messageSchema.safeParse(value)
  return message.success ? message.data : undefined
}

export function blocksOf(content: string | readonly Block[]): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/** The text of a tool's result, which is a text or a list of blocks. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  const blocks = z.array(blockSchema).safeParse(content)
  if (!blocks.success) return ''
  return blocks.data.map((block) => block.text ?? `[${block.type}]`).join('\n')
}
