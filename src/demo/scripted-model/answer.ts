/** What the scripted model answers to one request, and how that looks on the wire: Anthropic's event shapes. */
import { createHash } from 'node:crypto'
import { fillIn, findScript, nextTurn, toolUseId, type MessagesRequest, type Turn } from './script.ts'

export type Answer = {
  readonly turn: number
  readonly behaviour: Turn
  readonly message: Message
}

export type Message = {
  readonly id: string
  readonly type: 'message'
  readonly role: 'assistant'
  readonly model: string
  readonly content: readonly ContentBlock[]
  readonly stop_reason: string
  readonly stop_sequence: null
  readonly usage: Usage
}

export type ContentBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: unknown }

type Usage = {
  readonly input_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
  readonly cache_creation: {
    readonly ephemeral_5m_input_tokens: number
    readonly ephemeral_1h_input_tokens: number
  }
  readonly output_tokens: number
  readonly service_tier: 'standard'
}

const NO_SCRIPT =
  'No model is configured: this is the scripted model, and the task carries no script. ' +
  'Set ANTHROPIC_API_KEY for the gateway to have Claude work on it.'

/** Reads the conversation and says what comes next. The same request always gives the same answer. */
export function answerTo(request: MessagesRequest): Answer {
  const salt = createHash('sha256').update(JSON.stringify(request.messages)).digest('hex').slice(0, 16)
  const turn = nextTurn(request)
  const behaviour = turnOf(request, turn)
  const content: ContentBlock[] = []
  if (behaviour.thinking !== undefined)
    content.push({ type: 'thinking', thinking: behaviour.thinking, signature: `scripted${salt}` })
  if (behaviour.text !== undefined)
    content.push({ type: 'text', text: String(fillIn(behaviour.text, request)) })
  for (const [index, { name, input }] of behaviour.tools.entries())
    content.push({
      type: 'tool_use',
      id: toolUseId(turn, index, salt),
      name,
      input: fillIn(input, request),
    })
  if (content.length === 0) content.push({ type: 'text', text: '.' })
  const message: Message = {
    id: `msg_ff_${salt}`,
    type: 'message',
    role: 'assistant',
    model: request.model,
    content,
    stop_reason: behaviour.stopReason ?? (behaviour.tools.length > 0 ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: usageOf(request, content),
  }
  return { turn, behaviour, message }
}

/** About four characters a token, as the real counter: enough for costs that look right. */
export function countTokens(request: unknown): number {
  return Math.ceil(JSON.stringify(request).length / 4)
}

/** The events of a streamed answer, in order. Each is one piece on the wire. */
export function* eventsOf(message: Message): Generator<{ readonly type: string }> {
  const { output_tokens, ...input } = message.usage
  yield {
    type: 'message_start',
    message: { ...message, content: [], stop_reason: null, usage: { ...input, output_tokens: 1 } },
  } as { type: string }
  yield { type: 'ping' }
  for (const [index, block] of message.content.entries()) {
    yield { type: 'content_block_start', index, content_block: emptied(block) } as { type: string }
    for (const delta of deltasOf(block))
      yield { type: 'content_block_delta', index, delta } as { type: string }
    yield { type: 'content_block_stop', index } as { type: string }
  }
  yield {
    type: 'message_delta',
    delta: { stop_reason: message.stop_reason, stop_sequence: null },
    usage: { ...input, output_tokens },
  } as { type: string }
  yield { type: 'message_stop' }
}

/** Claude Code asks small things beside the main loop (a title, a summary): they carry no tools, so no script moves on. */
function turnOf(request: MessagesRequest, turn: number): Turn {
  const isMainLoop = (request.tools ?? []).length > 0
  const script = findScript(request)
  if (script === undefined) return { text: NO_SCRIPT, tools: [] }
  if (!isMainLoop) return sideAnswer(request)
  return script.turns[turn] ?? { text: 'The script has ended.', tools: [] }
}

function sideAnswer(request: MessagesRequest): Turn {
  const asksForJson = JSON.stringify(request['output_config'] ?? {}).includes('json_schema')
  return { text: asksForJson ? '{"title":"Scripted task"}' : 'Scripted task', tools: [] }
}

function usageOf(request: MessagesRequest, content: readonly ContentBlock[]): Usage {
  const all = countTokens(request)
  const fresh = Math.min(all, countTokens(request.messages.at(-1)))
  const isFirst = !request.messages.some(({ role }) => role === 'assistant')
  const written = isFirst ? all - fresh : fresh
  return {
    input_tokens: isFirst ? fresh : 4,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: isFirst ? 0 : all - fresh,
    cache_creation: { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: 0 },
    output_tokens: countTokens(content),
    service_tier: 'standard',
  }
}

function emptied(block: ContentBlock): unknown {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: '' }
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' }
    case 'tool_use':
      return { ...block, input: {} }
  }
}

function deltasOf(block: ContentBlock): readonly unknown[] {
  switch (block.type) {
    case 'text':
      return pieces(block.text).map((text) => ({ type: 'text_delta', text }))
    case 'thinking':
      return [
        ...pieces(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: block.signature },
      ]
    case 'tool_use':
      return pieces(JSON.stringify(block.input)).map((partial_json) => ({
        type: 'input_json_delta',
        partial_json,
      }))
  }
}

/** By characters, not code units, so that no piece ends in half an emoji. */
function pieces(text: string): readonly string[] {
  const characters = Array.from(text)
  const size = Math.max(24, Math.ceil(characters.length / 40))
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join(''),
  )
}
