/**
 * The worker's end of the job's model socket. What comes out of the sandbox is passed to the gateway with the job's
 * own token and without any credential the sandbox sent; what comes back passes unchanged, as it comes.
 *
 * A gateway that is being restarted does not fail the job: as long as no byte of an answer came, the gate waits for it.
 */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { sleep } from '#lib/clock.ts'
import { endToEndHeaders } from '#lib/http-headers.ts'
import type { Secret } from '#lib/secret.ts'
import type { Log } from '#telemetry'

export type ModelGateOptions = {
  readonly gatewayUrl: string
  readonly token: Secret
  readonly log: Log
  /** How long a gateway that is away is waited for. */
  readonly patienceMs?: number
}

const PATIENCE_MS = 60_000
const BODY_LIMIT_BYTES = 40 * 1024 * 1024
/** What is still taken, and thrown away, so that the refusal is heard before the connection closes. */
const DRAIN_LIMIT_BYTES = 128 * 1024 * 1024
/** What all requests of one sandbox may hold in the worker's memory at once. */
const HELD_LIMIT_BYTES = 3 * BODY_LIMIT_BYTES
const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
])

export function createModelGate(options: ModelGateOptions): RequestListener {
  const gateway = new URL(options.gatewayUrl)
  const isTls = gateway.protocol === 'https:'
  const agent = isTls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const held = { bytes: 0 }

  const send = (request: IncomingMessage, body: Buffer): ClientRequest => {
    const headers = endToEndHeaders(request.rawHeaders, isDropped)
    headers.push('host', gateway.host, 'authorization', `Bearer ${options.token.reveal()}`)
    if (body.length > 0 || request.method === 'POST') headers.push('content-length', String(body.length))
    const target = { host: gateway.hostname.replace(/^\[|\]$/g, ''), port: gateway.port, agent }
    const path = `${gateway.pathname.replace(/\/$/, '')}${request.url ?? '/'}`
    const outgoing = (isTls ? httpsRequest : httpRequest)({
      ...target,
      path,
      method: request.method,
      headers,
    })
    outgoing.end(body)
    return outgoing
  }

  const forward = async (request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> => {
    const client = new AbortController()
    response.once('close', () => client.abort())
    const until = Date.now() + (options.patienceMs ?? PATIENCE_MS)
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1000)) {
      const outgoing = send(request, body)
      const abort = (): void => void outgoing.destroy()
      client.signal.addEventListener('abort', abort, { once: true })
      const answer = await answerOf(outgoing)
      if (client.signal.aborted) return abort()
      if (answer.kind === 'answered') return passOn(answer.message, response)
      client.signal.removeEventListener('abort', abort)
      if (!AWAY.has(answer.code) || Date.now() >= until) {
        options.log.warn({ code: answer.code }, 'agent.gateway_away')
        return sendError(response, 503, 'api_error', 'The model gateway cannot be reached.')
      }
      await sleep(waitMs, client.signal)
    }
  }

  return (request, response) => {
    // The absolute form would let the sandbox name another server.
    if (request.url?.startsWith('/') !== true)
      return sendError(response, 400, 'invalid_request_error', 'The request target must be a path.')
    void read(request, response, held)
      .then(async (body) => {
        if (body === 'too-large')
          return sendError(response, 413, 'request_too_large', 'The request is larger than 40 MB.')
        await forward(request, response, body)
      })
      .catch(() => response.destroy())
  }
}

function isDropped(name: string): boolean {
  return (
    ['authorization', 'x-api-key', 'cookie', 'host', 'content-length', 'expect', 'forwarded', 'via'].includes(
      name,
    ) ||
    name.startsWith('proxy-') ||
    name.startsWith('x-forwarded-') ||
    name.startsWith('x-flowforge-')
  )
}

type GatewayAnswer =
  | { readonly kind: 'answered'; readonly message: IncomingMessage }
  | { readonly kind: 'away'; readonly code: string }

function answerOf(outgoing: ClientRequest): Promise<GatewayAnswer> {
  return new Promise((resolve) => {
    outgoing.once('response', (message) => resolve({ kind: 'answered', message }))
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ kind: 'away', code: error.code ?? 'unknown' })
    })
  })
}

/** Each piece is written as it comes; a slow reader slows the gateway; a cut answer is cut here too. */
function passOn(message: IncomingMessage, response: ServerResponse): void {
  response.writeHead(
    message.statusCode ?? 502,
    endToEndHeaders(message.rawHeaders, () => false),
  )
  response.flushHeaders()
  message.on('error', () => response.destroy())
  response.once('close', () => message.destroy())
  message.pipe(response)
}

async function read(
  request: IncomingMessage,
  response: ServerResponse,
  held: { bytes: number },
): Promise<Buffer | 'too-large'> {
  const chunks: Buffer[] = []
  let bytes = 0
  let received = 0
  let isTooLarge = false
  response.once('close', () => void (held.bytes -= bytes))
  // Leaving the loop must not cut the connection: the refusal still has to be said.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    received += chunk.length
    if (received > BODY_LIMIT_BYTES || held.bytes + chunk.length > HELD_LIMIT_BYTES) isTooLarge = true
    if (received > DRAIN_LIMIT_BYTES) break
    if (isTooLarge) continue
    bytes += chunk.length
    held.bytes += chunk.length
    chunks.push(chunk)
  }
  return isTooLarge ? 'too-large' : Buffer.concat(chunks)
}

function sendError(response: ServerResponse, status: number, type: string, message: string): void {
  // The gate has waited already: Claude Code need not begin to wait in its turn.
  const headers = { 'content-type': 'application/json', 'x-should-retry': 'false', connection: 'close' }
  response.writeHead(status, headers).end(JSON.stringify({ type: 'error', error: { type, message } }))
}
