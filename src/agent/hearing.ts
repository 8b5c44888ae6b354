/** Turns what Claude Code writes into job events, and keeps the facts from which the outcome is told at the end. */
import { createSpoken, printable, shortened } from './spoken.ts'
import { blocksOf, readMessage, textOf, type Block, type Result, type StreamMessage } from './stream-json.ts'
import type { AgentEvent } from './task.ts'

export type Facts = {
  started: boolean
  /** The last result counts: usage in it is cumulative. */
  result: Result | undefined
  /** The kind of the last error of the API, in Claude Code's words (`billing_error`, `rate_limit`, …). */
  apiError: string | undefined
  /** The status of the error that the present request was tried again for. */
  retriedStatus: number | null
  diskFull: boolean
  readonly openTools: Set<string>
}

export type Hearing = {
  readonly facts: Facts
  /** Takes one line; answers what it was, for whoever answers the agent. */
  hear(line: string): StreamMessage | undefined
  flush(): void
}

export function createHearing(
  onEvent: (event: AgentEvent) => void,
  isSteering: (uuid: string) => boolean,
): Hearing {
  const facts: Facts = {
    started: false,
    result: undefined,
    apiError: undefined,
    retriedStatus: null,
    diskFull: false,
    openTools: new Set(),
  }
  const spoken = createSpoken(onEvent)
  /** Messages whose words came piece by piece already: the whole message after them says the same again. */
  const streamed = new Set<string>()

  const tell = (event: AgentEvent): void => {
    spoken.flush()
    onEvent(event)
  }

  const hearBlock = (block: Block, isStreamed: boolean, isOfSubagent: boolean): void => {
    if (block.type === 'tool_use') {
      const tool = block.name ?? 'unknown'
      const toolUseId = block.id ?? ''
      if (toolUseId !== '') facts.openTools.add(toolUseId)
      tell({ kind: 'agent.tool', tool, toolUseId, summary: summaryOf(block.input) })
    } else if (block.type === 'text' && !isStreamed && !isOfSubagent)
      spoken.say('agent.text', block.text ?? '')
  }

  const hearMessage = (message: StreamMessage): void => {
    switch (message.type) {
      case 'stream_event':
        return hearPiece(message)
      case 'assistant': {
        const { error, message: said, parent_tool_use_id } = message
        if (error !== undefined) facts.apiError = error
        for (const block of blocksOf(said.content))
          hearBlock(block, streamed.has(said.id ?? ''), parent_tool_use_id !== null)
        return
      }
      case 'user':
        return hearUser(message)
      case 'result':
        spoken.flush()
        facts.result = message
        return
      case 'system':
        return hearSystem(message)
      case 'control_request':
        return
    }
  }

  const hearPiece = ({ event, parent_tool_use_id }: Of<'stream_event'>): void => {
    if (parent_tool_use_id !== null) return
    // A new answer of the API: an earlier error was overcome.
    if (event.type === 'message_start') {
      facts.apiError = undefined
      facts.retriedStatus = null
    }
    if (event.message !== undefined) {
      streamed.clear()
      streamed.add(event.message.id)
    }
    if (event.delta?.type === 'text_delta') spoken.say('agent.text', event.delta.text ?? '')
    if (event.delta?.type === 'thinking_delta') spoken.say('agent.thinking', event.delta.thinking ?? '')
  }

  const hearUser = ({ message, isReplay, uuid }: Of<'user'>): void => {
    if (isReplay === true && uuid !== undefined && isSteering(uuid))
      tell({ kind: 'agent.heard', text: shortened(textOf(message.content)) })
    for (const block of blocksOf(message.content)) {
      if (block.type !== 'tool_result') continue
      const toolUseId = block.tool_use_id ?? ''
      facts.openTools.delete(toolUseId)
      const isError = block.is_error ?? false
      tell({ kind: 'agent.tool_result', toolUseId, isError, text: shortened(textOf(block.content)) })
    }
  }

  const hearSystem = (message: Of<'system'>): void => {
    switch (message.subtype) {
      case 'init':
        // Written again for each turn of the conversation.
        if (facts.started) return
        facts.started = true
        return tell({
          kind: 'agent.started',
          sessionId: message.session_id,
          model: message.model,
          version: message.claude_code_version,
        })
      case 'api_retry':
        facts.apiError = message.error
        facts.retriedStatus = message.error_status
        return tell({
          kind: 'agent.retry',
          attempt: message.attempt,
          status: message.error_status,
          delayMs: Math.round(message.retry_delay_ms),
        })
      case 'session_writes_lost':
        facts.diskFull = true
        return tell({ kind: 'agent.notice', text: `The disk is full (${message.error_code}).` })
    }
  }

  return {
    facts,
    flush: () => spoken.flush(),
    hear(line) {
      const message = readMessage(line)
      if (message !== undefined) hearMessage(message)
      return message
    },
  }
}

type Of<T extends StreamMessage['type']> = Extract<StreamMessage, { type: T }>

/** What a person needs to see of a tool's input: the command, the file, the pattern. */
export function summaryOf(input: unknown): string {
  if (typeof input !== 'object' || input === null) return ''
  const facts = input as Record<string, unknown>
  for (const key of ['command', 'file_path', 'notebook_path', 'pattern', 'description', 'skill', 'query'])
    if (typeof facts[key] === 'string') return shortened(facts[key], 500)
  return printable(JSON.stringify(input).slice(0, 200))
}
