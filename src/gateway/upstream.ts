/**
 * The model's side: one or several upstreams (an address and a key) in order of preference, connections that are kept.
 *
 * An upstream that is overloaded (429, 529) is given the time it asks for, and the call waits or goes to the next one:
 * Claude Code would give up after three tries in two seconds. As long as no byte of an answer has reached the client,
 * nobody sees the difference. Any other answer passes as it is.
 */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { systemClock, type Clock } from '#lib/clock.ts'
import { endToEndHeaders } from '#lib/http-headers.ts'
import type { Secret } from '#lib/secret.ts'
import { createLane, type Lane } from './lane.ts'
import { createLine } from './line.ts'

export type Target = { readonly url: URL; readonly key: Secret | undefined }

export type Upstream = {
  /** False: the only address is Anthropic's own and there is no key for it. */
  readonly isConfigured: boolean
  /** True: a call is sent as soon as it comes. */
  readonly isOpen: boolean
  /** How many calls wait for an upstream that takes them. */
  readonly waiting: number
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
  /** The higher goes first when calls wait. */
  readonly priority?: number
  /** Asked once, before anything is sent. False: do not send. */
  readonly beforeSending?: () => Promise<boolean>
  readonly signal: AbortSignal
}

export type Answer =
  | { readonly kind: 'answered'; readonly message: IncomingMessage }
  /** All upstreams refused for as long as is waited: the last one's answer, whole. */
  | { readonly kind: 'overloaded'; readonly answer: WholeAnswer }
  | { readonly kind: 'unreachable'; readonly code: string }
  | { readonly kind: 'not-sent' }

export type WholeAnswer = {
  readonly status: number
  readonly statusMessage: string
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

/** An answer that is not streamed may take ten minutes before its first byte. */
const SILENCE_MS = 15 * 60_000
/** Claude Code waits for the first byte of an answer for five minutes. */
const ABSORB_MS = 240_000
const ERROR_BODY_BYTES = 256 * 1024
/** For a call that waited behind others and was never sent. */
const BUSY: WholeAnswer = {
  status: 529,
  statusMessage: '',
  rawHeaders: ['content-type', 'application/json', 'retry-after', '10'],
  body: Buffer.from(
    '{"type":"error","error":{"type":"overloaded_error","message":"The model is overloaded, and the call waited as long as it could."}}',
  ),
}

type Route = {
  readonly target: Target
  readonly lane: Lane
  readonly start: (call: OutgoingCall) => ClientRequest
  readonly close: () => void
}

export function createUpstream(
  targets: readonly Target[],
  { absorbMs = ABSORB_MS, clock = systemClock }: { readonly absorbMs?: number; readonly clock?: Clock } = {},
): Upstream {
  const routes = targets.map((target) => createRoute(target, clock))
  const line = createLine<Route>((isRefused) => {
    let soonest: number | undefined
    for (const route of routes) {
      if (isRefused(route)) continue
      // Where nothing is absorbed nobody waits: what the upstream says is the client's to hear.
      const ms = absorbMs === 0 ? 0 : route.lane.opensInMs()
      if (ms !== 0) {
        if (ms !== undefined) soonest = Math.min(soonest ?? Infinity, ms)
        continue
      }
      route.lane.enter()
      return { kind: 'open', place: route }
    }
    return { kind: 'closed', opensInMs: soonest }
  })

  async function sendOver(route: Route, call: OutgoingCall): Promise<Answer> {
    for (;;) {
      const request = route.start(call)
      const answer = await answerOf(request, call)
      // A kept connection may have been closed by the other side just then: the request was never looked at.
      const isStale = answer.kind === 'unreachable' && answer.code === 'ECONNRESET' && request.reusedSocket
      if (!isStale || call.signal.aborted) return answer
    }
  }

  return {
    isConfigured: targets.some(({ url, key }) => key !== undefined || url.hostname !== 'api.anthropic.com'),
    get isOpen() {
      return absorbMs === 0 || (line.length === 0 && routes.some(({ lane }) => lane.opensInMs() === 0))
    },
    get waiting() {
      return line.length
    },
    async send(call) {
      const until = clock.now() + absorbMs
      let last: Answer = { kind: 'overloaded', answer: BUSY }
      let isAnnounced = call.beforeSending === undefined
      /** Those that failed for this call in a way that waiting does not mend. */
      const failed = new Set<Route>()
      for (;;) {
        const route = await line.enter({
          priority: call.priority ?? 0,
          ms: until - clock.now(),
          signal: call.signal,
          isRefused: (one) => failed.has(one),
          isPicky: failed.size > 0,
        })
        if (route === undefined && !call.signal.aborted) return last
        if (route === undefined)
          return isAnnounced ? { kind: 'unreachable', code: 'ABORTED' } : { kind: 'not-sent' }
        let how: 'well' | 'overloaded' | 'otherwise' = 'otherwise'
        let retryAfterMs: number | undefined
        let isLeft = false
        const leave = (): void => {
          if (isLeft) return
          isLeft = true
          route.lane.leave(how, retryAfterMs)
          line.look()
        }
        try {
          if (!isAnnounced && call.beforeSending !== undefined) {
            if (!(await call.beforeSending())) return { kind: 'not-sent' }
            isAnnounced = true
          }
          const answer = await sendOver(route, call)
          if (answer.kind !== 'answered') {
            last = answer
            failed.add(route)
            if (call.signal.aborted || failed.size === routes.length) return answer
            how = 'overloaded'
            continue
          }
          const { message } = answer
          const verdict = judge(message, routes.length > failed.size + 1)
          if (verdict === 'pass') {
            how = (message.statusCode ?? 500) < 400 ? 'well' : 'otherwise'
            isLeft = true
            message.once('close', () => {
              route.lane.leave(how)
              line.look()
            })
            return answer
          }
          how = 'overloaded'
          retryAfterMs = retryAfterOf(message, clock.now())
          if (verdict === 'elsewhere') failed.add(route)
          last = { kind: 'overloaded', answer: await wholeOf(message) }
          if (clock.now() >= until) return last
        } finally {
          leave()
        }
      }
    },
    close: () => {
      line.close()
      for (const route of routes) route.close()
    },
  }
}

/** `again`: it will take it later. `elsewhere`: another may take it, and it is not asked again. `pass`: the client's to see. */
function judge(
  { statusCode = 502, headers }: IncomingMessage,
  hasOther: boolean,
): 'pass' | 'again' | 'elsewhere' {
  if (statusCode === 529 || statusCode === 429)
    return headers['x-should-retry'] === 'false' && !hasOther ? 'pass' : 'again'
  if (hasOther && (statusCode >= 500 || statusCode === 401 || statusCode === 402 || statusCode === 403))
    return 'elsewhere'
  return 'pass'
}

function retryAfterOf({ headers }: IncomingMessage, now: number): number | undefined {
  const text = headers['retry-after']
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

async function wholeOf(message: IncomingMessage): Promise<WholeAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > ERROR_BODY_BYTES) break
      chunks.push(chunk)
    }
  } catch {
    // It broke off: what came of it is what there is.
  }
  const { statusCode = 502, statusMessage = '', rawHeaders } = message
  return { status: statusCode, statusMessage, rawHeaders, body: Buffer.concat(chunks) }
}

function createRoute(target: Target, clock: Clock): Route {
  const { url, key } = target
  const isTls = url.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: 1024, scheduling: 'lifo' } as const
  const agent = isTls ? new HttpsAgent(options) : new HttpAgent(options)
  const base = url.pathname.replace(/\/$/, '')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    target,
    lane: createLane(clock),
    close: () => agent.destroy(),
    start: (call) => {
      const headers = endToEndHeaders(call.rawHeaders, isDropped)
      headers.push('host', url.host)
      if (key !== undefined) headers.push('x-api-key', key.reveal())
      if (call.method === 'POST') headers.push('content-length', String(call.body.length))
      return (isTls ? httpsRequest : httpRequest)({
        ...{ host, port: url.port, method: call.method, path: `${base}${call.target}` },
        ...{ headers, agent, timeout: SILENCE_MS },
      })
    },
  }
}

type Heard = Extract<Answer, { readonly kind: 'answered' | 'unreachable' }>

function answerOf(request: ClientRequest, { body, signal }: OutgoingCall): Promise<Heard> {
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
