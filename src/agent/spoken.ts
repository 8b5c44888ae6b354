import type { AgentEvent } from './task.ts'

export const EVENT_TEXT_LIMIT = 8 * 1024
const PIECE_CHARACTERS = 2048
const PIECE_MS = 250

type Kind = 'agent.text' | 'agent.thinking'

/** Takes the words of the agent as they come, token by token, and passes them on in pieces that are worth a row. */
export type Spoken = {
  say(kind: Kind, text: string): void
  /** Passes on what was said so far: called before any other event, so that the order stays true. */
  flush(): void
}

export function createSpoken(onEvent: (event: AgentEvent) => void): Spoken {
  let kind: Kind = 'agent.text'
  let text = ''
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (text === '') return
    const said = text
    text = ''
    for (let at = 0; at < said.length; at += EVENT_TEXT_LIMIT)
      onEvent({ kind, text: printable(said.slice(at, at + EVENT_TEXT_LIMIT)) })
  }
  return {
    flush,
    say(nextKind, more) {
      if (nextKind !== kind) flush()
      kind = nextKind
      text += more
      if (text.length >= PIECE_CHARACTERS) flush()
      else timer ??= setTimeout(flush, PIECE_MS)
    },
  }
}

/** Text that the database and any JSON reader take: no NUL, no half characters. */
export function printable(text: string): string {
  return text.replaceAll('\0', '\u2400').toWellFormed()
}

/** At most `limit` characters: the beginning and the end, with the number of characters left out between. */
export function shortened(text: string, limit: number = EVENT_TEXT_LIMIT): string {
  if (text.length <= limit) return printable(text)
  const half = Math.floor(limit / 2)
  const left = text.length - 2 * half
  return printable(`${text.slice(0, half)}\n… ${left} characters left out …\n${text.slice(-half)}`)
}
