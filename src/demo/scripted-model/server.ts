/**
 * A local server that speaks the Messages API and plays scripts: what the demo and the tests run on without a key.
 * It answers as Anthropic does (streams, tool calls, usage, errors), so that nothing before it knows the difference,
 * and says in a header of each response that it is not Claude.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sleep } from '#lib/clock.ts'
import { answerTo, countTokens, eventsOf, type Answer } from './answer.ts'
import { requestSchema } from './script.ts'

export const SIMULATED = 'scripted model, no key'
const BODY_LIMIT_BYTES = 40 * 1024 * 1024
const MODELS = ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5']

export type ScriptedModel = AsyncDisposable & {
  readonly url: string
  /** What was asked, newest last; the last 1000. */
  readonly requests: readonly ModelRequest[]
  close(): Promise<void>
}
export type ModelRequest = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Starts the model on a port of the loopback address; port 0 takes any free one. */
export async function startScriptedModel(
  options: { readonly port?: number; readonly host?: string } = {},
): Promise<ScriptedModel> {
  const requests: ModelRequest[] = []
  const misbehaved = new Set<string>()
  const server = createServer((request, response) => {
    answer(request, response, requests, misbehaved).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else sendError(response, 500, 'api_error', String(error))
    })
  })
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  const { address, port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    server.close()
    server.closeAllConnections()
    if (server.listening) await once(server, 'close')
  }
  const host = address.includes(':') ? `[${address}]` : address
  return { url: `http://${host}:${port}`, requests, close, [Symbol.asyncDispose]: close }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  requests: ModelRequest[],
  misbehaved: Set<string>,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://model').pathname
  const body = await read(request)
  requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body })
  if (requests.length > 1000) requests.shift()
  response.setHeader('x-flowforge-simulated', SIMULATED)
  response.setHeader('request-id', `req_ff_${requests.length}`)

  if (path === '/api/hello') return void response.end()
  if (request.method === 'GET' && path === '/v1/models') return sendJson(response, 200, modelList())
  if (request.method !== 'POST' || !['/v1/messages', '/v1/messages/count_tokens'].includes(path))
    return sendError(response, 404, 'not_found_error', `There is no ${request.method} ${path}.`)

  const parsed = requestSchema.safeParse(parseJson(body))
  if (!parsed.success)
    return sendError(response, 400, 'invalid_request_error', parsed.error.issues[0]?.message ?? 'not JSON')
  if (path.endsWith('count_tokens'))
    return sendJson(response, 200, { input_tokens: countTokens(parsed.data) })

  let next: Answer
  try {
    next = answerTo(parsed.data)
  } catch (error) {
    // A script with a mistake must reach the person who wrote it, not be retried for minutes.
    return sendError(response, 400, 'invalid_request_error', `The script cannot be read: ${String(error)}`)
  }
  const { behaviour } = next
  if (behaviour.delayMs !== undefined) await sleep(behaviour.delayMs, gone(response))
  const isFirst = behaviour.always === true || !misbehaved.has(next.message.id)
  misbehaved.add(next.message.id)
  if (behaviour.status !== undefined && isFirst) {
    for (const [name, value] of Object.entries(behaviour.errorHeaders ?? {})) response.setHeader(name, value)
    const type = behaviour.errorType ?? ERROR_TYPES[behaviour.status] ?? 'api_error'
    return sendError(response, behaviour.status, type, behaviour.errorMessage ?? 'As the script says.')
  }
  if (parsed.data.stream === true) return stream(response, next, behaviour.cut === true && isFirst)
  if (behaviour.hangMs !== undefined) await sleep(behaviour.hangMs, gone(response))
  return sendJson(response, 200, next.message)
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
}

async function stream(response: ServerResponse, { message, behaviour }: Answer, cut: boolean): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  for (const event of eventsOf(message)) {
    if (response.destroyed) return
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    if (event.type === 'ping' && behaviour.hangMs !== undefined) await sleep(behaviour.hangMs, gone(response))
    if (event.type === 'content_block_start' && cut) return void response.destroy()
  }
  response.end()
}

/** Aborted when the client has gone, so that a hanging answer does not outlive it. */
function gone(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  return controller.signal
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_LIMIT_BYTES) throw new Error('The request is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function modelList(): unknown {
  const data = MODELS.map((id) => ({
    type: 'model',
    id,
    display_name: id,
    created_at: '2026-01-01T00:00:00Z',
  }))
  return { data, has_more: false, first_id: MODELS[0], last_id: MODELS.at(-1) }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function sendError(response: ServerResponse, status: number, type: string, message: string): void {
  sendJson(response, status, { type: 'error', error: { type, message } })
}
