/** Our side of the conversation: what is written to Claude Code's standard input. */
import { randomUUID } from 'node:crypto'
import type { Writable } from 'node:stream'
import type { Result } from './stream-json.ts'

export type Conversation = {
  /** Says something to the agent. Answers the id under which it is repeated when it is heard. */
  say(text: string): string
  isSteering(uuid: string): boolean
  /** Asks the agent to end its turn. */
  interrupt(): void
  /** The agent asks us something; nobody is there, and an open question would hang it. */
  decline(requestId: string): void
  /** Takes note of a result; answers whether all that was said has been answered. */
  isAnswered(result: Result): boolean
  /** Says that nothing more will be said. */
  end(): void
  isOver(): boolean
}

export function createConversation(stdin: Writable): Conversation {
  const said: string[] = []
  const waiting = new Set<string>()
  // The process may end at any time: what cannot be written any more is not an error, its exit tells the story.
  stdin.on('error', () => undefined)
  const write = (value: unknown): void => {
    if (!stdin.writableEnded && !stdin.destroyed) stdin.write(`${JSON.stringify(value)}\n`)
  }
  return {
    say(text) {
      const uuid = randomUUID()
      said.push(uuid)
      waiting.add(uuid)
      // A text that begins with a slash would be taken as a command of Claude Code; this has it taken as it stands.
      const verbatim = text.trimStart().startsWith('/') ? { client_composed: true } : {}
      const message = { role: 'user', content: [{ type: 'text', text }] }
      write({ type: 'user', uuid, session_id: '', parent_tool_use_id: null, message, ...verbatim })
      return uuid
    },
    isSteering: (uuid) => said.indexOf(uuid) > 0,
    interrupt() {
      write({ type: 'control_request', request_id: randomUUID(), request: { subtype: 'interrupt' } })
    },
    decline(request_id) {
      const error = 'Nobody is there to answer: this is an unattended job.'
      write({ type: 'control_response', response: { subtype: 'error', request_id, error } })
    },
    isAnswered(result) {
      for (const uuid of result.user_message_uuids ?? said.slice(0, 1)) waiting.delete(uuid)
      return waiting.size === 0
    },
    end() {
      if (!stdin.writableEnded) stdin.end()
    },
    isOver: () => stdin.writableEnded || stdin.destroyed,
  }
}
