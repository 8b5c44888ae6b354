/**
 * The story of one request: who asks, what is asked, may they, is there money, pass it on unchanged, count what it used.
 * Bodies and streams pass byte by byte; only headers that carry credentials or belong to a connection are changed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { NO_USAGE, priceUsage, type Accounts, type ModelCall, type Price } from '#costs'
import { sleep, type Clock } from '#lib/clock.ts'
import { endToEndHeaders } from '#lib/http-headers.ts'
import { newId, type Id } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import { hasScope, type Authenticator, type Principal } from '#tenants'
import { apiError, sendError, type ApiError } from './errors.ts'
import { makeRoom, ownerOf } from './make-room.ts'
import { createMeter, type Meter } from './meter.ts'
import type { Metrics } from './metrics.ts'
import { callSchema, checkCall, ENDPOINTS, policyFor, type Call } from './policy.ts'
import { drain, readBody, type Bodies } from './read-body.ts'
import { readStrictJson } from './strict-json.ts'
import type { Upstream } from './upstream.ts'

export type Tools = {
  readonly authenticator: Authenticator
  readonly upstream: Upstream
  readonly accounts: Accounts
  readonly prices: readonly Price[]
  readonly bodies: Bodies
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Log
}

type Asked = {
  /** The call's name for ever: reservation and ledger know it by this and `startedAt`. */
  readonly callId: Id<'usage'>
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
  const callId = newId<'usage'>()
  const id = `req_ff_${callId}`
  const startedAt = tools.clock.now()
  response.sendDate = false
  const path = pathOf(request)
  // Claude Code's probe, and that of whoever supervises us: they tell nothing.
  if (path === '/api/hello' || path === '/healthz') return void response.writeHead(200).end()
  // Nothing in it tells of a tenant; who supervises this process has no key.
  if (path === '/metrics' && request.method === 'GET') {
    const text = await tools.metrics.read()
    return void response.writeHead(200, { 'content-type': tools.metrics.contentType }).end(text)
  }
  const asked = await understand(tools, request, response, { callId, id, path, startedAt })
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
  { path, ...known }: Pick<Asked, 'callId' | 'id' | 'startedAt'> & { readonly path: string | undefined },
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
  const asked = { ...known, principal, path }
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
  // A reason of our own: making the usual one for each call costs as much as finding its key.
  response.once('close', () => {
    if (!response.writableFinished) client.abort(CLIENT_GONE)
  })
  if (!costsMoney(asked)) {
    await passOn(tools, request, response, { ...asked, headers: [], signal: client.signal })
    return
  }
  const { principal, call, callId, startedAt, body } = asked
  const facts = factsOf(request, asked)
  const owner = ownerOf(principal)
  const isSentAtOnce = tools.upstream.isOpen
  const room = await makeRoom(tools, {
    ...{ id: callId, occurredAt: new Date(startedAt), owner, call, body, facts, signal: client.signal },
    isSentAtOnce,
  })
  if (room.kind === 'closed') return sendError(response, room.error, asked.id)
  if (room.kind === 'gone') return
  const settle = (passed: Passed): Promise<void> =>
    record(tools, asked, facts, passed).catch((error: unknown) => {
      tools.log.error({ err: error, call: callId }, 'gateway.call_not_recorded')
    })
  if (room.reservedNano === undefined) {
    const usage = { ...NO_USAGE, inputTokens: Math.ceil(body.length / 4) }
    const cost = priceUsage(facts.model, usage, new Date(startedAt), tools.prices)
    tools.accounts.ledger.begin({
      ...{ ...facts, id: callId, occurredAt: new Date(startedAt), usage, ...cost, requestId: asked.id },
      ...{ latencyMs: 0, status: 0, aborted: true, estimated: true, simulated: false },
    })
  }
  let end: Ending | undefined
  try {
    const { body: paidBody, headers } = room
    end = await passOn(tools, request, response, {
      ...{ ...asked, body: paidBody, headers, signal: client.signal },
      ...(room.reservedNano === undefined || isSentAtOnce
        ? {}
        : { beforeSending: () => tools.accounts.reservations.markSent(callId) }),
      settle,
    })
  } finally {
    // Not sent, or failed in a way that is not known: the reservation must not stay.
    if (end === 'not-sent' && room.reservedNano !== undefined) tools.accounts.reservations.release(callId)
    else if (end === 'not-sent') tools.accounts.ledger.forget(callId)
    else if (end === undefined) void settle({ status: 500, aborted: true })
  }
}

const CLIENT_GONE = new Error('the client is gone')

/** `not-sent`: nothing of it reached the upstream. */
type Ending = 'settled' | 'not-sent'

type Outgoing = Asked & {
  readonly headers: readonly string[]
  readonly signal: AbortSignal
  readonly beforeSending?: () => Promise<boolean>
  readonly settle?: (passed: Passed) => Promise<void>
}

async function passOn(
  tools: Tools,
  request: IncomingMessage,
  response: ServerResponse,
  outgoing: Outgoing,
): Promise<Ending> {
  const { signal, body, settle = noSettling } = outgoing
  const answered = await tools.upstream.send({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    rawHeaders: request.rawHeaders,
    body,
    signal,
    ...(outgoing.principal.kind === 'job' && outgoing.principal.priority !== undefined
      ? { priority: outgoing.principal.priority }
      : {}),
    ...(outgoing.beforeSending === undefined ? {} : { beforeSending: outgoing.beforeSending }),
  })
  if (answered.kind === 'not-sent') {
    sendError(response, apiError('unavailable', 'The call waited too long and was not sent.'), outgoing.id)
    return 'not-sent'
  }
  if (answered.kind === 'overloaded') {
    const { status, statusMessage, rawHeaders, body: said } = answered.answer
    response.writeHead(status, statusMessage, endToEndHeaders(rawHeaders, isNotForClients))
    response.end(said)
    await settle({ status, aborted: false, meter: createMeter('', '', 0) })
    return 'settled'
  }
  if (answered.kind === 'unreachable') {
    // The client went before the answer began; whether it was worked on is not known.
    if (signal.aborted) {
      await settle({ status: 499, aborted: true })
      return 'settled'
    }
    tools.log.warn({ code: answered.code }, 'gateway.upstream_unreachable')
    const message = `The model cannot be reached (${answered.code}).`
    sendError(response, apiError('api_error', message), outgoing.id)
    if (NEVER_SENT.has(answered.code)) return 'not-sent'
    await settle({ status: 502, aborted: true })
    return 'settled'
  }
  const { message } = answered
  const status = message.statusCode ?? 502
  const meter = createMeter(
    message.headers['content-type'] ?? '',
    message.headers['content-encoding'] ?? '',
    body.length,
  )
  const passed = endToEndHeaders(message.rawHeaders, isNotForClients)
  response.writeHead(status, message.statusMessage, [...passed, ...outgoing.headers])
  // With the first piece if that is here already: one system call less. If not, they go alone at once.
  setImmediate(() => {
    if (!response.destroyed) response.flushHeaders()
  })
  const isWhole = await copy(message, response, meter)
  const settled = settle({
    ...{ status, aborted: !isWhole, meter },
    simulated: message.headers['x-flowforge-simulated'] !== undefined,
    requestId: message.headers['request-id'],
  })
  if (!isWhole) {
    message.destroy()
    response.destroy()
    await settled
    return 'settled'
  }
  // Who sees the end of a job's call can rely on the ledger. A database that is away does not hold the answer up.
  if (outgoing.principal.kind === 'job') await Promise.race([settled, sleep(LEDGER_PATIENCE_MS)])
  response.end()
  return 'settled'
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
const noSettling = (): Promise<void> => Promise.resolve()

/** Only messages cost anything; counting tokens is free and never refused for money. */
function costsMoney(asked: Asked): asked is Asked & { readonly call: Call } {
  return asked.call !== undefined && asked.path === '/v1/messages'
}

const LEDGER_PATIENCE_MS = 500

/** Cookies of the upstream's front are for its own clients; its limits of money are those of the operator. */
function isNotForClients(name: string): boolean {
  return name === 'set-cookie' || name.startsWith('anthropic-ratelimit-unified-')
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

/** An error of the upstream is a call too, without a cost. */
async function record(tools: Tools, asked: Asked, facts: Facts, passed: Passed): Promise<void> {
  const now = tools.clock.now()
  const meter = passed.meter ?? createMeter('', '', asked.body.length)
  const isServed = passed.status < 400 || passed.status === 499 || passed.meter === undefined
  const metered = isServed ? await meter.finish(!passed.aborted) : undefined
  const model = metered?.model ?? facts.model
  const usage = metered?.usage ?? NO_USAGE
  const recorded: ModelCall = {
    ...facts,
    id: asked.callId,
    occurredAt: new Date(asked.startedAt),
    model: model.slice(0, 200),
    usage,
    ...priceUsage(model, usage, new Date(asked.startedAt), tools.prices),
    latencyMs: Math.round(now - asked.startedAt),
    status: passed.status,
    aborted: passed.aborted,
    estimated: metered?.estimated ?? false,
    simulated: passed.simulated ?? false,
    requestId: typeof passed.requestId === 'string' ? passed.requestId.slice(0, 200) : asked.id,
  }
  tools.metrics.called(recorded)
  await tools.accounts.ledger.record(recorded)
}

type Facts = Pick<
  ModelCall,
  | 'organizationId'
  | 'userId'
  | 'apiKeyId'
  | 'repositoryId'
  | 'jobId'
  | 'executionId'
  | 'sessionId'
  | 'agentId'
  | 'parentAgentId'
  | 'retryCount'
  | 'operation'
  | 'model'
>

/** What is known of a call before it is sent: whose it is, and which session and agent called, as Claude Code says. */
function factsOf({ headers }: IncomingMessage, { principal, call }: Asked): Facts {
  const value = (name: string): string | undefined => {
    const header = headers[name]
    return typeof header === 'string' ? header.slice(0, 200) : undefined
  }
  const sessionId = value('x-claude-code-session-id')
  const agentId = value('x-claude-code-agent-id')
  const parentAgentId = value('x-claude-code-parent-agent-id')
  const retryCount = Number(value('x-stainless-retry-count'))
  return {
    ...ownerOf(principal),
    ...(principal.kind === 'job' ? { executionId: principal.executionId } : {}),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(agentId === undefined ? {} : { agentId }),
    ...(parentAgentId === undefined ? {} : { parentAgentId }),
    ...(Number.isInteger(retryCount) && retryCount > 0 ? { retryCount: Math.min(retryCount, 1000) } : {}),
    operation: 'messages',
    model: (call?.model ?? 'unknown').slice(0, 200),
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
