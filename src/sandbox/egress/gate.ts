/**
 * The egress gate: an HTTP proxy on a unix socket that lets through what the policy names.
 *
 *   GET http://host/…          plain HTTP, also with only a Host header; we speak TLS to the host when the rule says so
 *   CONNECT host:port          we answer what is inside ourselves, TLS or plain, and check each request of it;
 *                              a rule with tunnel: passed on after the name (SNI) and the address have been checked
 *
 * Names are resolved once, here; every address is checked; the connection goes to that address. Redirects are answers
 * like any other: whoever follows one comes back and is checked again.
 */
import { Agent as HttpAgent, createServer, request as requestHttp, type ClientRequest } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { connect, type LookupFunction, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { rootCertificates, TLSSocket } from 'node:tls'
import type { EgressDecision, EgressPolicy, EgressRule } from '../sandbox.ts'
import { resolveBySystem, type AddressGuard, type Resolve } from './addresses.ts'
import type { Authority } from './certificates.ts'
import { endToEnd } from './headers.ts'
import { decideConnect, decideRequest, type Target } from './policy.ts'
import { readServerName } from './server-name.ts'

export type EgressGateOptions = {
  readonly policy: EgressPolicy
  readonly guard: AddressGuard
  readonly authority: Authority
  readonly onEgress?: ((decision: EgressDecision) => void) | undefined
  readonly resolve?: Resolve | undefined
  /** Authorities that hosts may have besides the usual ones, in PEM. */
  readonly trust?: readonly string[] | undefined
}

type Gate = EgressGateOptions & {
  readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent }
  /** Reads the requests inside of TLS that we terminate; each connection is for one target. */
  readonly inner: Server
  readonly targets: WeakMap<object, Target>
}

const KEEP_ALIVE = { keepAlive: true, maxSockets: 32 } as const

const FIRST_BYTES_WITHIN_MS = 10_000
const TLS_HANDSHAKE = 0x16
const SILENT_FOR_MS = 120_000
const LONGEST_HELLO = 20_000

export function createEgressGate(options: EgressGateOptions): Server {
  const targets = new WeakMap<object, Target>()
  const inner = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const target = targets.get(request.socket)
    void answer(gate, request, response, target && innerTarget(target, request))
  })
  inner.on('upgrade', (_request, socket) => socket.destroy())
  const agents = { http: new HttpAgent(KEEP_ALIVE), https: new HttpsAgent(KEEP_ALIVE) }
  const gate: Gate = { ...options, agents, inner, targets }
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    void answer(gate, request, response, plainTarget(request))
  })
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    void answerConnect(gate, request, socket, head)
  })
  server.on('upgrade', (_request, socket) => socket.destroy())
  server.on('close', () => {
    for (const agent of Object.values(agents)) agent.destroy()
  })
  return server
}

/** The target of a plain request; undefined when URL and Host disagree or make no sense. */
function plainTarget(request: IncomingMessage): (Target & { readonly path: string }) | undefined {
  const host = request.headers.host?.toLowerCase()
  const url = request.url ?? ''
  if (host === undefined) return undefined
  const parsed = URL.parse(url.startsWith('/') ? `http://${host}${url}` : url)
  if (parsed === null || parsed.protocol !== 'http:' || parsed.username !== '' || parsed.password !== '')
    return undefined
  const named = URL.parse(`http://${host}/`)
  if (named === null || named.host !== parsed.host) return undefined
  return {
    scheme: 'http',
    host: parsed.hostname,
    port: Number(parsed.port || 80),
    path: parsed.pathname + parsed.search,
  }
}

async function answer(
  gate: Gate,
  request: IncomingMessage,
  response: ServerResponse,
  target: (Target & { readonly path: string }) | undefined,
): Promise<void> {
  const method = request.method ?? ''
  const shown = target
    ? `${target.scheme}://${target.host}:${target.port}${target.path}`
    : String(request.url)
  const deny = (status: number, reason: string): void => {
    gate.onEgress?.({ verdict: 'denied', target: shown, method, reason })
    response.writeHead(status, { 'x-flowforge-egress': reason, connection: 'close' })
    response.end(`FlowForge's egress policy: ${reason}\n`)
  }
  if (target === undefined) return deny(400, 'URL and Host do not agree')
  const verdict = decideRequest(gate.policy, target, method, target.path)
  if (!verdict.allowed) return deny(403, verdict.reason)
  if (hasBody(request) && (method === 'GET' || method === 'HEAD')) return deny(400, 'a body with this method')
  const addresses = await allowedAddresses(gate, target.host)
  if (addresses.length === 0) return deny(403, 'the name has no allowed address')
  gate.onEgress?.({ verdict: 'allowed', target: shown, method })
  const upstream = openRequest(gate, verdict.rule, target, method, request, addresses)
  upstream.on('response', (answered) => {
    response.writeHead(answered.statusCode ?? 502, endToEnd(answered.headers))
    answered.pipe(response)
    answered.on('error', () => response.destroy())
  })
  upstream.on('error', (error) => {
    if (response.headersSent) response.destroy()
    else
      response
        .writeHead(502, { connection: 'close' })
        .end(`FlowForge could not reach ${target.host}: ${error.message}\n`)
  })
  upstream.setTimeout(SILENT_FOR_MS, () => upstream.destroy(new Error('no answer')))
  response.on('close', () => upstream.destroy())
  request.pipe(upstream)
}

function openRequest(
  gate: Gate,
  rule: EgressRule,
  target: Target & { readonly path: string },
  method: string,
  request: IncomingMessage,
  addresses: readonly string[],
): ClientRequest {
  const usualPort = rule.port === (rule.tls ? 443 : 80)
  const options = {
    host: target.host,
    port: rule.port,
    method,
    path: target.path,
    headers: { ...endToEnd(request.headers), host: usualPort ? target.host : `${target.host}:${rule.port}` },
    lookup: pinned(addresses),
  }
  if (!rule.tls) return requestHttp({ ...options, agent: gate.agents.http })
  const ca = gate.trust?.length ? [...rootCertificates, ...gate.trust] : undefined
  return requestHttps({
    ...options,
    agent: gate.agents.https,
    servername: target.host,
    ...(ca ? { ca } : {}),
  })
}

async function answerConnect(
  gate: Gate,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  const shown = request.url ?? ''
  const deny = (reason: string): void => {
    gate.onEgress?.({ verdict: 'denied', target: shown, method: 'CONNECT', reason })
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nx-flowforge-egress: ${reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
    )
  }
  const [, host, port] = /^([^:[\]/@]{1,253}):(\d{1,5})$/.exec(shown.toLowerCase()) ?? []
  if (host === undefined || port === undefined) return deny('not a host name and port')
  const verdict = decideConnect(gate.policy, host, Number(port))
  if (!verdict.allowed) return deny(verdict.reason)
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
  if (head.length > 0) socket.unshift(head)
  if (verdict.rule.tunnel) await tunnel(gate, host, Number(port), socket)
  else await readInside(gate, host, Number(port), socket)
}

/** We are the host to the sandbox: every request inside is read, checked and made anew. */
async function readInside(gate: Gate, host: string, port: number, socket: Socket): Promise<void> {
  const first = await firstBytes(socket)
  if (first === undefined) return void socket.destroy()
  socket.unshift(first)
  if (first[0] !== TLS_HANDSHAKE) {
    // The parser reads a socket's handle itself and would miss the bytes that were put back, so it gets a stream.
    const [outer, inner] = duplexPair()
    socket.pipe(outer).pipe(socket)
    socket.on('close', () => inner.destroy())
    gate.targets.set(inner, { scheme: 'http', host, port })
    gate.inner.emit('connection', inner)
    return
  }
  const tls = new TLSSocket(socket, {
    isServer: true,
    secureContext: gate.authority.contextFor(host),
    ALPNProtocols: ['http/1.1'],
  })
  tls.on('error', () => socket.destroy())
  gate.targets.set(tls, { scheme: 'https', host, port })
  gate.inner.emit('connection', tls)
}

function firstBytes(socket: Socket): Promise<Buffer | undefined> {
  return collect(socket, (bytes) => bytes.length > 0)
}

/** Inside, the Host must be the one that was connected to. */
function innerTarget(
  target: Target,
  request: IncomingMessage,
): (Target & { readonly path: string }) | undefined {
  const { scheme, host, port } = target
  const named = URL.parse(`${scheme}://${request.headers.host?.toLowerCase() ?? ''}/`)
  const url = request.url ?? ''
  const usualPort = scheme === 'https' ? 443 : 80
  if (named === null || named.hostname !== host || Number(named.port || usualPort) !== port) return undefined
  const parsed = url.startsWith('/') ? URL.parse(`${scheme}://${named.host}${url}`) : null
  return parsed ? { ...target, path: parsed.pathname + parsed.search } : undefined
}

/** What flows inside is not seen, so the name in the ClientHello must be the one that was asked for. */
async function tunnel(gate: Gate, host: string, port: number, socket: Socket): Promise<void> {
  const target = `${host}:${port}`
  const deny = (reason: string): void => {
    gate.onEgress?.({ verdict: 'denied', target, method: 'CONNECT', reason })
    socket.destroy()
  }
  const hello = await readHello(socket)
  if (hello === undefined) return deny('no TLS handshake')
  const asked = readServerName(hello)
  if (asked.kind !== 'name' || asked.name !== host) return deny('the TLS name is not the one connected to')
  const [address] = await allowedAddresses(gate, host)
  if (address === undefined) return deny('the name has no allowed address')
  gate.onEgress?.({
    verdict: 'allowed',
    target,
    method: 'CONNECT',
    reason: asked.encrypted
      ? 'tunnel with an encrypted ClientHello: the name may be another'
      : 'tunnel: content not seen',
  })
  const upstream = connect({ host: address, port, timeout: SILENT_FOR_MS }, () => {
    upstream.write(hello)
    socket.pipe(upstream)
    upstream.pipe(socket)
  })
  upstream.on('timeout', () => upstream.destroy())
  upstream.on('error', () => socket.destroy())
  socket.on('close', () => upstream.destroy())
}

function readHello(socket: Socket): Promise<Buffer | undefined> {
  return collect(socket, (bytes) => readServerName(bytes).kind !== 'incomplete')
}

/** The first bytes, as soon as they are enough; undefined when they do not come. The socket is paused afterwards. */
function collect(socket: Socket, areEnough: (bytes: Buffer) => boolean): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const finish = (result: Buffer | undefined): void => {
      clearTimeout(timer)
      socket.off('data', read).off('close', fail).pause()
      resolve(result)
    }
    const fail = (): void => finish(undefined)
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      if (areEnough(bytes)) finish(bytes)
      else if (bytes.length > LONGEST_HELLO) fail()
    }
    const timer = setTimeout(fail, FIRST_BYTES_WITHIN_MS)
    socket.on('data', read).on('close', fail)
  })
}

async function allowedAddresses(gate: Gate, host: string): Promise<readonly string[]> {
  try {
    const addresses = await (gate.resolve ?? resolveBySystem)(host)
    return addresses.filter((address) => gate.guard.isAllowed(address))
  } catch {
    return []
  }
}

function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  return (_host, options, done) => {
    const [first] = found
    if (options.all) done(null, found)
    else if (first) done(null, first.address, first.family)
  }
}

function hasBody(request: IncomingMessage): boolean {
  const length = Number(request.headers['content-length'] ?? 0)
  return length > 0 || request.headers['transfer-encoding'] !== undefined
}
