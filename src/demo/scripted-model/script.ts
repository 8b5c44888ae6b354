/**
 * What the scripted model says: a list of turns, written into the task itself as a fenced block.
 *
 *   ```flowforge-script
 *   {"turns": [{"text": "I write the file.", "tools": [{"name": "Write", "input": {…}}]}, {"text": "Done."}]}
 *   ```
 *
 * Which turn comes next is read from the conversation, never remembered: a retried request, a resumed session and a
 * restarted model all go on at the right place.
 */
import { z } from 'zod'

const turnSchema = z.strictObject({
  text: z.string().optional(),
  thinking: z.string().optional(),
  /** `{{result}}` in a text of the input becomes what the last tools said, `{{heard}}` the last words of the user. */
  tools: z.array(z.strictObject({ name: z.string(), input: z.record(z.string(), z.unknown()) })).default([]),
  /** Wait before the answer begins. */
  delayMs: z.number().int().nonnegative().optional(),
  /** Begin the answer, then say nothing for so long. */
  hangMs: z.number().int().nonnegative().optional(),
  /** Answer this HTTP status once, and rightly at the next try. */
  status: z.number().int().min(400).max(599).optional(),
  /** Answer `status` each time, not only once. */
  always: z.boolean().optional(),
  errorType: z.string().optional(),
  errorMessage: z.string().optional(),
  errorHeaders: z.record(z.string(), z.string()).optional(),
  /** Cut the connection in the middle of the answer, once. */
  cut: z.boolean().optional(),
  stopReason: z.string().optional(),
})
const scriptSchema = z.strictObject({ turns: z.array(turnSchema) })

export type Turn = z.output<typeof turnSchema>
export type Script = z.output<typeof scriptSchema>
export type ScriptInput = z.input<typeof scriptSchema>

const blockSchema = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  id: z.string().optional(),
  content: z.unknown().optional(),
})
const messageSchema = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(blockSchema)]),
})
export const requestSchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().optional(),
  tools: z.array(z.unknown()).optional(),
  messages: z.array(messageSchema).min(1),
})
export type MessagesRequest = z.output<typeof requestSchema>
type Block = z.output<typeof blockSchema>

const FENCE = /^```flowforge-script[ \t]*\n([\s\S]*?)\n```[ \t]*$/m

/** Writes a script into a task: what a demo or a test hands to Claude Code. */
export function scriptedTask(words: string, script: ScriptInput): string {
  return `${words}\n\n\`\`\`flowforge-script\n${JSON.stringify(script)}\n\`\`\`\n`
}

/** The script of this conversation, or none. A script that cannot be read is an error that names the place. */
export function findScript(request: MessagesRequest): Script | undefined {
  for (const message of request.messages) {
    if (message.role !== 'user') continue
    const fenced = FENCE.exec(textOf(message.content))?.[1]
    if (fenced !== undefined) return scriptSchema.parse(JSON.parse(fenced))
  }
  return undefined
}

/**
 * The turn that comes next: one after the last tool call that carries a turn's number in its id (see toolUseId), plus
 * one for each answer since then. Claude Code's own notes for an interrupted turn do not count as answers.
 */
export function nextTurn(request: MessagesRequest): number {
  let position = 0
  let lastRole = ''
  for (const message of request.messages) {
    if (message.role === 'assistant' && !isNote(message.content)) {
      const numbered = blocksOf(message.content)
        .map((block) => TOOL_USE_ID.exec(block.id ?? '')?.[1])
        .filter((number) => number !== undefined)
      if (numbered.length > 0) position = Number(numbered.at(-1)) + 1
      else if (lastRole !== 'assistant') position += 1
    }
    lastRole = message.role
  }
  return position
}

const TOOL_USE_ID = /^toolu_ff_(\d+)_/

export function toolUseId(turn: number, index: number, salt: string): string {
  return `toolu_ff_${turn}_${index}_${salt}`
}

/** Puts what was said into the texts of a tool's input. */
export function fillIn(value: unknown, request: MessagesRequest): unknown {
  if (typeof value === 'string')
    return value
      .replaceAll('{{result}}', () => lastResult(request))
      .replaceAll('{{heard}}', () => lastWords(request))
  if (Array.isArray(value)) return value.map((part) => fillIn(part, request))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fillIn(part, request)]))
  return value
}

function lastResult(request: MessagesRequest): string {
  const message = request.messages.findLast(({ content }) =>
    blocksOf(content).some((block) => block.type === 'tool_result'),
  )
  return blocksOf(message?.content ?? [])
    .filter((block) => block.type === 'tool_result')
    .map((block) => plain(block.content))
    .join('\n')
}

/** What is said while Claude Code works comes in a message of its own, in this frame. */
const STEERED = /^The user sent a new message while you were working:\n([\s\S]*?)\n\nThis is how Claude Code/

function lastWords(request: MessagesRequest): string {
  for (const message of request.messages.toReversed()) {
    const steered = STEERED.exec(textOf(message.content))?.[1]
    if (steered !== undefined) return steered
    if (message.role !== 'user') continue
    const words = blocksOf(message.content)
      .filter((block) => block.type === 'text' && !block.text?.startsWith('<system-reminder>'))
      .map((block) => block.text ?? '')
    if (words.length > 0) return words.join('\n')
  }
  return ''
}

function isNote(content: string | readonly Block[]): boolean {
  return ['No response requested.', '[Request interrupted by user]'].includes(textOf(content).trim())
}

function textOf(content: string | readonly Block[]): string {
  return blocksOf(content)
    .map((block) => block.text ?? '')
    .join('\n')
}

function blocksOf(content: string | readonly Block[]): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

function plain(content: unknown): string {
  if (typeof content === 'string') return content
  const parts = z.array(blockSchema).safeParse(content)
  return parts.success ? textOf(parts.data) : ''
}
