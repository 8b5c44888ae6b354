/**
 * The story of one request: who asks, what is asked, may they, pass it on unchanged, count what it used.
 * Bodies and streams pass byte by byte; only headers that carry credentials or belong to a connection are changed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { NO_USAGE, priceUsage, type Ledger, type ModelCall } from '#costs'
import { sleep, type Clock } from '#lib/clock.ts'
import { endToEndHeaders } from '#lib/http-headers.ts'
import { newId } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import { hasScope, type Authenticator, type Principal } from '#tenants'
import { apiError, sendError, type ApiError } from './errors.ts'
import { createMeter, type Meter } from './meter.ts'
import { callSchema, checkCall, ENDPOINTS, policyFor, type Call } from './policy.ts'
import { drain, readBody, type Bodies } from './read-body.ts'
import { readStrictJson } from './strict-json.ts'
import type { Upstream } from './upstream.ts'

export type Tools = {
  readonly authenticator: Authenticator
  readonly upstream: Upstream
  readonly ledger: Ledger
  readonly bodies: Bodies
  readonly clock: Clock
  readonly log: Log
}

type Asked = {
  readonly id: string
  readonly principal: Principal
  readonly path: string
  readonly call: Call | undefined
  readonly body: Buffer
  readonly startedAt: number
}

export async function answer(
  tools: Tools,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const id = `req_ff_${newId()}`
  const startedAt = tools.clock.now()
  response.sendDate = false
  const path = pathOf(request)
  // Claude Code's probe, and that of whoever supervises us: they tell nothing.
  if (path === '/api/hello' || path === '/healthz') return void response.writeHead(200).end()
  const asked = await understand(tools, request, response, { id, path, startedAt })
  if ('kind' in asked) {
    if (!(await drain(request))) response.shouldKeepAlive = false
    return sendError(response, asked, id)
  }
  await pass(tools, request, response, asked)
}

/** Everything that can be refused, in order of cost; the body is read only for somebody who is known. */
async function understand(
  tools: Tools,
  request: IncomingMessage,
  response: ServerResponse,
  { id, path, startedAt }: { id: string; path: string | undefined; startedAt: number },
): Promise<Asked | ApiError> {
  const principal = await tools.authenticator.authenticate(credentialOf(request))
  if (principal === undefined)
    return apiError('authentication_error', 'This key or job token is not known, or not valid any more.')
  if (!hasScope(principal, 'gateway:use'))
    return apiError('permission_error', 'This key may not call models. It needs the scope gateway:use.')
  if (path === undefined || ENDPOINTS[path] !== request.method)
    return apiError(
      'permission_error',
      `${request.method} ${path ?? ''} is not open. The gateway passes on messages, count_tokens and models.`,
    )
  if (!tools.upstream.isConfigured)
    return apiError(
      'authentication_error',
      'No model is configured. Set ANTHROPIC_API_KEY for the gateway (a Claude subscription cannot be used), or start with `npm start` for the scripted model.',
    )
  const asked = { id, principal, path, startedAt }
  if (request.method === 'GET') return { ...asked, call: undefined, body: Buffer.alloc(0) }

  if (request.headers['content-encoding'] !== undefined)
    return apiError('invalid_request_error', 'The body must not be compressed.')
  const body = await readBody(request, response, tools.bodies)
  if (!Buffer.isBuffer(body)) return body
  const json = readStrictJson(body)
  if (json.kind === 'invalid')
    return apiError('invalid_request_error', `The body cannot be read: ${json.problem}`)
  const call = callSchema.safeParse(json.value)
  if (!call.success) return apiError('invalid_request_error', 'The body must be an object with a "model".')
  return checkCall(call.data, policyFor(principal)) ?? { ...asked, call: call.data, body }
}

async function pass(
  tools: Tools,
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked,
): Promise<void> {
  const client = new AbortController()
  response.once('close', () => client.abort())
  const answered = await tools.upstream.send({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    rawHeaders: request.rawHeaders,
    body: asked.body,
    signal: client.signal,
  })
  if (answered.kind === 'unreachable') {
    // The client went before the answer began; whether it was worked on is not known.
    if (client.signal.aborted) return record(tools, request, asked, { status: 499, aborted: true })
    tools.log.warn({ code: answered.code }, 'gateway.upstream_unreachable')
    return sendError(
      response,
      apiError('api_error', `The model cannot be reached (${answered.code}).`),
      asked.id,
    )
  }
  const { message } = answered
  const status = message.statusCode ?? 502
  const meter = createMeter(
    message.headers['content-type'] ?? '',
    message.headers['content-encoding'] ?? '',
    asked.body.length,
  )
  response.writeHead(status, message.statusMessage, endToEndHeaders(message.rawHeaders, isNotForClients))
  response.flushHeaders()
  const isWhole = await copy(message, response, meter)
  const settled = record(tools, request, asked, {
    status,
    aborted: !isWhole,
    meter,
    simulated: message.headers['x-flowforge-simulated'] !== undefined,
    requestId: message.headers['request-id'],
  })
  if (!isWhole) {
    message.destroy()
    response.destroy()
    return settled
  }
  // Who sees the end of an answer can rely on the ledger. A database that is away does not hold the answer up.
  await Promise.race([settled, sleep(LEDGER_PATIENCE_MS)])
  response.end()
}

const LEDGER_PATIENCE_MS = 500

/** Cookies of the upstream's front are for its own clients. */
function isNotForClients(name: string): boolean {
  return name === 'set-cookie'
}

/** Passes each piece as it comes; a slow reader slows the upstream. False: one of the two went before the end. */
function copy(message: IncomingMessage, response: ServerResponse, meter: Meter): Promise<boolean> {
  return new Promise((resolve) => {
    message.on('data', (chunk: Buffer) => {
      meter.take(chunk)
      if (!response.write(chunk)) {
        message.pause()
        response.once('drain', () => message.resume())
      }
    })
    message.once('end', () => resolve(message.complete))
    message.once('error', () => resolve(false))
    message.once('close', () => resolve(message.complete))
    response.once('close', () => resolve(false))
  })
}

type Passed = {
  readonly status: number
  readonly aborted: boolean
  readonly meter?: Meter
  readonly simulated?: boolean
  readonly requestId?: string | string[] | undefined
}

/** Only messages cost anything. An error of the upstream is a call too, without a cost. */
async function record(tools: Tools, request: IncomingMessage, asked: Asked, passed: Passed): Promise<void> {
  if (asked.call === undefined || asked.path !== '/v1/messages') return
  const now = tools.clock.now()
  const meter = passed.meter ?? createMeter('', '', asked.body.length)
  const isServed = passed.status < 400 || passed.status === 499
  const metered = isServed ? await meter.finish(!passed.aborted) : undefined
  const model = metered?.model ?? asked.call.model
  const usage = metered?.usage ?? NO_USAGE
  const { principal } = asked
  const call: ModelCall = {
    id: newId<'usage'>(),
    occurredAt: new Date(now),
    organizationId: principal.organizationId,
    ...(principal.kind === 'job'
      ? { jobId: principal.jobId, executionId: principal.executionId }
      : { apiKeyId: principal.keyId }),
    ...headerFacts(request),
    operation: 'messages',
    model: model.slice(0, 200),
    usage,
    ...priceUsage(model, usage, new Date(now)),
    latencyMs: Math.round(now - asked.startedAt),
    status: passed.status,
    aborted: passed.aborted,
    estimated: metered?.estimated ?? false,
    simulated: passed.simulated ?? false,
    requestId: typeof passed.requestId === 'string' ? passed.requestId.slice(0, 200) : asked.id,
  }
  await tools.ledger.record(call)
}

/** Which session and which of its agents called, as Claude Code says. */
function headerFacts({ headers }: IncomingMessage): Partial<ModelCall> {
  const value = (name: string): string | undefined => {
    const header = headers[`x-claude-code-${name}`]
    return typeof header === 'string' ? header.slice(0, 200) : undefined
  }
  const [sessionId, agentId, parentAgentId] = [
    value('session-id'),
    value('agent-id'),
    value('parent-agent-id'),
  ]
  return {
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(agentId === undefined ? {} : { agentId }),
    ...(parentAgentId === undefined ? {} : { parentAgentId }),
  }
}

function credentialOf({ headers }: IncomingMessage): string {
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key']
  return bearer ?? (typeof key === 'string' ? key.trim() : '')
}

/** The path without its query. Nothing is decoded: a path spelled in another way is another path, and not open. */
function pathOf({ url }: IncomingMessage): string | undefined {
  return url?.startsWith('/') === true ? url.split('?', 1)[0] : undefined
}
