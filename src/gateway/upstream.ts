/** The model's side: one address, one key, connections that are kept. */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Config } from '#config'
import { refuse } from '#lib/errors.ts'
import { endToEndHeaders } from '#lib/http-headers.ts'

export type Upstream = {
  /** False: the address is Anthropic's own and there is no key for it. */
  readonly isConfigured: boolean
  /** Sends a request with the real key in place of any other credential. */
  send(request: OutgoingCall): Promise<Answer>
  close(): void
}

export type OutgoingCall = {
  readonly method: string
  /** Path and query, as they came. */
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly signal: AbortSignal
}

export type Answer =
  | { readonly kind: 'answered'; readonly message: IncomingMessage }
  | { readonly kind: 'unreachable'; readonly code: string }

/** An answer that is not streamed may take ten minutes before its first byte. */
const SILENCE_MS = 15 * 60_000

export function createUpstream(
  config: Pick<Config, 'FLOWFORGE_UPSTREAM_URL' | 'ANTHROPIC_API_KEY'>,
): Upstream {
  const address = new URL(config.FLOWFORGE_UPSTREAM_URL)
  const key = config.ANTHROPIC_API_KEY
  if (key?.reveal().startsWith('sk-ant-oat') === true)
    throw refuse('config_invalid', {
      key: 'ANTHROPIC_API_KEY',
      value: '[secret]',
      problem: 'it is the token of a Claude subscription, which may not serve others.',
      example: 'ANTHROPIC_API_KEY=sk-ant-api…',
    })
  const isTls = address.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: 1024, scheduling: 'lifo' } as const
  const agent = isTls ? new HttpsAgent(options) : new HttpAgent(options)
  const base = address.pathname.replace(/\/$/, '')

  const start = (call: OutgoingCall): ClientRequest => {
    const headers = endToEndHeaders(call.rawHeaders, isDropped)
    headers.push('host', address.host)
    if (key !== undefined) headers.push('x-api-key', key.reveal())
    if (call.method === 'POST') headers.push('content-length', String(call.body.length))
    return (isTls ? httpsRequest : httpRequest)({
      host: address.hostname.replace(/^\[|\]$/g, ''),
      port: address.port,
      method: call.method,
      path: `${base}${call.target}`,
      headers,
      agent,
      timeout: SILENCE_MS,
    })
  }

  return {
    isConfigured: key !== undefined || address.hostname !== 'api.anthropic.com',
    async send(call) {
      for (;;) {
        const request = start(call)
        const answer = await answerOf(request, call)
        // A kept connection may have been closed by the other side just then: the request was never looked at.
        const isStale = answer.kind === 'unreachable' && answer.code === 'ECONNRESET' && request.reusedSocket
        if (!isStale || call.signal.aborted) return answer
      }
    },
    close: () => agent.destroy(),
  }
}

function answerOf(request: ClientRequest, { body, signal }: OutgoingCall): Promise<Answer> {
  return new Promise((resolve) => {
    const abort = (): void => void request.destroy()
    signal.addEventListener('abort', abort, { once: true })
    request.once('response', (message) => resolve({ kind: 'answered', message }))
    request.once('timeout', abort)
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ kind: 'unreachable', code: error.code ?? 'unknown' }),
    )
    request.once('close', () => signal.removeEventListener('abort', abort))
    if (signal.aborted) abort()
    else request.end(body)
  })
}

const PASSED = new Set(['accept', 'accept-encoding', 'content-type', 'user-agent', 'x-app'])

/** The upstream gets what belongs to the Messages API and its clients, verbatim, and nothing else. */
function isDropped(name: string): boolean {
  return !PASSED.has(name) && !name.startsWith('anthropic-') && !name.startsWith('x-stainless-')
}
