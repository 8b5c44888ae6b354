/** Reads the usage from a response that passes by. It sees a copy; what the client gets is not touched. */
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import type { Transform } from 'node:stream'
import { NO_USAGE, readUsage, type Usage } from '#costs'

export type Metered = {
  /** The model that answered, as it names itself. */
  readonly model: string | undefined
  readonly usage: Usage
  /** The usage is not the whole: the answer broke off, or could not be read. */
  readonly estimated: boolean
}

export type Meter = {
  take(chunk: Buffer): void
  finish(isWhole: boolean): Promise<Metered>
}

/** A tool's input in one event may be large; what is longer carries no usage. */
const LINE_LIMIT = 16 * 1024 * 1024
const BODY_LIMIT_BYTES = 64 * 1024 * 1024
/** Four characters of text are about one token: the count for an answer whose own count never came. */
const CHARACTERS_PER_TOKEN = 4

/** `requestBytes` is what an answer is estimated from when it broke off before it began. */
export function createMeter(contentType: string, encoding: string, requestBytes: number): Meter {
  const reader = contentType.startsWith('text/event-stream') ? createStreamReader() : createBodyReader()
  const decoder = decoderFor(encoding)
  const decoded = decoder && drained(decoder, (chunk) => reader.take(chunk))
  return {
    take(chunk) {
      if (decoder) decoder.write(chunk)
      else reader.take(chunk)
    },
    async finish(isWhole) {
      decoder?.end()
      await decoded
      const { model, usage, outputCharacters, isComplete } = reader.read()
      if (isWhole && isComplete && usage !== undefined)
        return { model, usage: readUsage(usage), estimated: false }
      const known =
        usage === undefined
          ? { ...NO_USAGE, inputTokens: Math.ceil(requestBytes / CHARACTERS_PER_TOKEN) }
          : readUsage(usage)
      const outputTokens = Math.max(known.outputTokens, Math.ceil(outputCharacters / CHARACTERS_PER_TOKEN))
      return { model, usage: { ...known, outputTokens }, estimated: true }
    },
  }
}

type Reading = {
  readonly model: string | undefined
  readonly usage: unknown
  readonly outputCharacters: number
  readonly isComplete: boolean
}
type Reader = { take(chunk: Buffer): void; read(): Reading }

/** message_start names the model and the input; each message_delta carries the counts so far and overrides them. */
function createStreamReader(): Reader {
  let rest = ''
  let isSkipping = false
  const decoder = new TextDecoder()
  let model: string | undefined
  let usage: Record<string, unknown> | undefined
  let outputCharacters = 0
  let isComplete = false

  const hear = (line: string): void => {
    if (!line.startsWith('data:')) return
    const event = parse(line.slice(5))
    if (!isRecord(event)) return
    switch (event['type']) {
      case 'message_start': {
        const message = isRecord(event['message']) ? event['message'] : {}
        if (typeof message['model'] === 'string') model = message['model']
        if (isRecord(message['usage'])) usage = message['usage']
        return
      }
      case 'content_block_delta': {
        const delta = isRecord(event['delta']) ? event['delta'] : {}
        for (const key of ['text', 'thinking', 'partial_json'])
          if (typeof delta[key] === 'string') outputCharacters += delta[key].length
        return
      }
      case 'message_delta':
        // Null means "not said again", not "nothing".
        if (isRecord(event['usage']))
          usage = {
            ...usage,
            ...Object.fromEntries(Object.entries(event['usage']).filter(([, value]) => value !== null)),
          }
        return
      case 'message_stop':
        isComplete = true
    }
  }

  return {
    take(chunk) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!isSkipping) hear(line)
        isSkipping = false
      }
      if (rest.length > LINE_LIMIT) {
        rest = ''
        isSkipping = true
      }
    },
    read: () => ({ model, usage, outputCharacters, isComplete }),
  }
}

function createBodyReader(): Reader {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    take(chunk) {
      bytes += chunk.length
      if (bytes <= BODY_LIMIT_BYTES) chunks.push(chunk)
    },
    read() {
      const message = parse(Buffer.concat(chunks).toString())
      if (!isRecord(message))
        return { model: undefined, usage: undefined, outputCharacters: 0, isComplete: false }
      const model = typeof message['model'] === 'string' ? message['model'] : undefined
      return { model, usage: message['usage'], outputCharacters: 0, isComplete: isRecord(message['usage']) }
    },
  }
}

function decoderFor(encoding: string): Transform | undefined {
  switch (encoding.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'deflate':
      return createInflate()
    case 'zstd':
      return createZstdDecompress()
    default:
      return undefined
  }
}

/** Resolves when all that could be decoded was passed on; an answer that broke off ends in the middle of a block. */
function drained(decoder: Transform, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    decoder
      .on('data', take)
      .on('end', resolve)
      .on('close', resolve)
      .on('error', () => resolve())
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
