import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { asSystem, createListener, inOrganization } from '#db'
import { newId, type ExecutionId, type JobId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import { createAuthenticator, ensureFirstOrganization, mintApiKey, mintJobToken } from '#tenants'
import { createTestDatabase } from '#test/database.ts'
import { startGateway } from './index.ts'

const db = await createTestDatabase()
const { databases } = db
const { organizationId } = await ensureFirstOrganization(databases, {
  read: async () => undefined,
  write: async () => undefined,
})
const listener = await createListener(db.urls.system, db.log)
const authenticator = await createAuthenticator(databases, listener)

/** A server in the model's place that keeps what it was asked and answers what the test says. */
const asked: { method: string; url: string; headers: IncomingMessage['headers']; body: Buffer }[] = []
let reply: (response: ServerResponse, body: Buffer) => unknown = (response) => response.end()
const upstream = createServer((incoming, response) => {
  void Array.fromAsync(incoming as AsyncIterable<Buffer>).then((chunks) => {
    const body = Buffer.concat(chunks)
    asked.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body })
    return reply(response, body)
  })
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
const base = { FLOWFORGE_HOST: '127.0.0.1', FLOWFORGE_GATEWAY_PORT: 0 }
const options = { databases, listener, authenticator, log: db.log, absorbMs: 0 }
const gateway = await startGateway({
  ...options,
  config: { ...base, FLOWFORGE_UPSTREAM_URL: upstreamUrl, ANTHROPIC_API_KEY: new Secret('sk-ant-real') },
})
after(async () => {
  await gateway.close()
  upstream.closeAllConnections()
  upstream.close()
  await listener[Symbol.asyncDispose]()
})

async function makeJob(models: readonly string[] = []) {
  const id = newId<'job'>()
  const executionId = newId<'execution'>()
  const repository = newId()
  await inOrganization(databases, organizationId, async (trx) => {
    const address = `https://example.com/${repository}`
    await trx
      .insertInto('repositories')
      .values({ id: repository, organization_id: organizationId, name: repository, address })
      .execute()
    await trx
      .insertInto('jobs')
      .values({
        ...{ id, organization_id: organizationId, number: Number(BigInt(`0x${id.slice(-8)}`)) },
        ...{ repository_id: repository, state: 'running', title: 'x', task: 'x', agent: 'claude' },
        ...{ time_limit_seconds: 60, base_ref: 'main', target_branch: 'main', landing: 'merge' },
        ...{ created_by: 'x', current_execution: executionId },
      })
      .execute()
  })
  const expiresAt = new Date(Date.now() + 60_000)
  const token = await inOrganization(databases, organizationId, (trx) =>
    mintJobToken(trx, { organizationId, jobId: id, executionId, models, expiresAt }),
  )
  return { id, executionId, token: token.reveal() }
}

type Sent = { readonly path?: string; readonly method?: string; readonly headers?: Record<string, string> }
async function send(
  credential: string,
  body: Buffer | string | undefined,
  more: Sent = {},
  to = gateway.url,
) {
  const { hostname, port } = new URL(to)
  const outgoing = request({
    ...{ hostname, port, path: more.path ?? '/v1/messages?beta=true', method: more.method ?? 'POST' },
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json', ...more.headers },
  })
  outgoing.end(body)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { outgoing, answer, status: answer.statusCode }
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>))
}

async function errorOf(answer: IncomingMessage): Promise<string> {
  const { error } = JSON.parse((await bodyOf(answer)).toString()) as {
    error: { type: string; message: string }
  }
  return `${error.type}: ${error.message}`
}

async function callsOf(job: JobId) {
  return databases.system.selectFrom('claude_api_usage').selectAll().where('job_id', '=', job).execute()
}

const hello = '{"model":"claude-opus-5-5","messages":[]}'
const usage = { input_tokens: 1000, output_tokens: 100, cache_read_input_tokens: 10 }
const message = JSON.stringify({ type: 'message', model: 'claude-opus-5-5', usage })
const json = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(message)

const sse = (type: string, facts: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...facts })}\n\n`
const start = sse('message_start', {
  message: { model: 'claude-opus-5-5', usage: { input_tokens: 1000, output_tokens: 1 } },
})
const delta = (text: string) => sse('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })
const end = sse('message_delta', { delta: {}, usage: { output_tokens: 50 } }) + sse('message_stop', {})

test('a request passes byte by byte, with the real key in place of every credential', async () => {
  reply = json
  const job = await makeJob()
  const body = Buffer.from(
    ' {"model":"claude-opus-5-5", "new_field":{"x":1.50},\n"messages":[{"role":"user","content":"ä\\u00e4"}]}',
  )
  const { answer, status } = await send(job.token, body, {
    headers: {
      'x-api-key': 'stolen',
      cookie: 'stolen',
      'x-forwarded-for': 'stolen',
      'x-claude-code-session-id': 'session-1',
      'anthropic-beta': 'one-2026,two-2027',
      'anthropic-version': '2023-06-01',
      'anthropic-unheard-of': 'kept',
    },
  })
  assert.equal(status, 200)
  assert.equal((await bodyOf(answer)).toString(), message)
  const got = asked.at(-1)!
  assert.deepEqual(got.body, body)
  assert.equal(got.url, '/v1/messages?beta=true')
  assert.equal(got.headers['x-api-key'], 'sk-ant-real')
  assert.equal(got.headers.authorization, undefined)
  assert.equal(got.headers['anthropic-beta'], 'one-2026,two-2027')
  assert.equal(got.headers['anthropic-unheard-of'], 'kept')
  assert.equal(got.headers['x-claude-code-session-id'], undefined)
  assert.doesNotMatch(JSON.stringify(got.headers), /stolen|ffj_/)
})

test('a call is in the ledger with its price when its answer has ended', async () => {
  reply = json
  const job = await makeJob()
  await bodyOf((await send(job.token, hello, { headers: { 'x-claude-code-agent-id': 'a1' } })).answer)
  const [call] = await callsOf(job.id)
  assert.equal(call?.cost_nano_dollars, 1000 * 4000 + 100 * 20_000 + 10 * 200)
  assert.deepEqual(
    [call?.execution_id, call?.agent_id, call?.estimated, call?.simulated, call?.aborted, call?.status],
    [job.executionId, 'a1', false, false, false, 200],
  )
})

test('a stream passes piece by piece and unchanged; its last counts are what is priced', async () => {
  const pieces = [
    start,
    ': comment\n\n',
    sse('ping', {}),
    delta('Hello '),
    delta('wörld').slice(0, 40),
    delta('wörld').slice(40),
    end,
  ]
  const next: (() => void)[] = []
  reply = async (response) => {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'x-flowforge-simulated': 'yes',
      'x-odd': 'A',
    })
    for (const piece of pieces) {
      response.write(piece)
      await new Promise<void>((resolve) => next.push(resolve))
    }
    response.end()
  }
  const job = await makeJob()
  const { answer } = await send(job.token, hello)
  assert.equal(answer.headers['x-odd'], 'A')
  const seen: string[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    seen.push(chunk.toString())
    next.shift()?.()
  }
  assert.deepEqual(seen, pieces)
  const [call] = await callsOf(job.id)
  assert.deepEqual([call?.input_tokens, call?.output_tokens, call?.simulated], [1000, 50, true])
})

test('a long stream in many quick pieces passes whole', async () => {
  const piece = delta('x'.repeat(3000))
  reply = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    let left = 300
    const next = (): void => {
      if (left-- === 0) return void response.end(end)
      response.write(piece)
      if (left % 50 === 0) setImmediate(next)
      else next()
    }
    next()
  }
  const { token } = await makeJob()
  const { answer } = await send(token, hello)
  assert.equal((await bodyOf(answer)).length, Buffer.byteLength(piece) * 300 + Buffer.byteLength(end))
})

test('what Prometheus reads tells of calls, tokens and cost, and of nobody', async () => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  assert.match(text, /^flowforge_gateway_calls_total\{status="200"\} [1-9]/m)
  assert.match(text, /^flowforge_gateway_tokens_total\{kind="output"\} [1-9]/m)
  assert.match(text, /^flowforge_gateway_cost_dollars_total\{exact="true"\} 0\.\d/m)
  assert.doesNotMatch(text, /ff_|ffj_|[0-9a-f]{8}-[0-9a-f]{4}/)
})

test('a compressed answer passes compressed and is counted all the same', async () => {
  const packed = gzipSync(start + delta('x') + end)
  reply = (response) =>
    response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' }).end(packed)
  const job = await makeJob()
  const { answer } = await send(job.token, hello)
  assert.deepEqual(await bodyOf(answer), packed)
  assert.equal((await callsOf(job.id))[0]?.output_tokens, 50)
})

test('an error of the upstream passes as it is, and costs nothing', async () => {
  const error = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
  reply = (response) => response.writeHead(529, { 'retry-after': '7', 'x-should-retry': 'true' }).end(error)
  const job = await makeJob()
  const { answer, status } = await send(job.token, hello)
  assert.deepEqual([status, answer.headers['retry-after']], [529, '7'])
  assert.equal((await bodyOf(answer)).toString(), error)
  const [call] = await callsOf(job.id)
  assert.deepEqual([call?.status, call?.cost_nano_dollars], [529, 0])
})

test('when the client goes, the upstream is cancelled and the call is estimated', async () => {
  const cancelled = Promise.withResolvers<void>()
  reply = (response) => {
    response.once('close', () => cancelled.resolve())
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(start + delta('x'.repeat(4000)))
  }
  const job = await makeJob()
  const { outgoing, answer } = await send(job.token, hello)
  answer.on('error', () => undefined)
  await once(answer, 'data')
  outgoing.destroy()
  await cancelled.promise
  const call = await eventually(async () => (await callsOf(job.id))[0])
  assert.deepEqual(
    [call.aborted, call.estimated, call.input_tokens, call.output_tokens],
    [true, true, 1000, 1000],
  )
})

test('a stream that the upstream cuts is cut for the client too, and estimated', async () => {
  reply = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(start + delta('1234'))
    setTimeout(() => response.destroy(), 50)
  }
  const job = await makeJob()
  await assert.rejects(bodyOf((await send(job.token, hello)).answer))
  const call = await eventually(async () => (await callsOf(job.id))[0])
  assert.deepEqual([call.aborted, call.estimated, call.output_tokens], [true, true, 1])
})

test('a slow reader slows the upstream down', async () => {
  let written = 0
  const chunk = Buffer.alloc(64 * 1024, 'x')
  reply = async (response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    while (written < 200 * 1024 * 1024 && !response.destroyed) {
      written += chunk.length
      if (!response.write(chunk)) await once(response, 'drain')
    }
  }
  const { outgoing, answer } = await send((await makeJob()).token, hello)
  answer.on('error', () => undefined)
  await sleep(400)
  assert.ok(written < 50 * 1024 * 1024, `${written} bytes were taken from the upstream`)
  outgoing.destroy()
})

test('T2: a job token opens the Messages API and nothing else', async () => {
  reply = json
  const { token } = await makeJob()
  const before = asked.length
  for (const [method, path] of [
    ['GET', '/v1/files'],
    ['POST', '/v1/files'],
    ['POST', '/v1/messages/batches'],
    ['GET', '/v1/organizations/me'],
    ['DELETE', '/v1/messages'],
    ['GET', '/v1/messages'],
    ['POST', '/v1/complete'],
    ['POST', '/v1//messages'],
    ['POST', '/v1/messages/'],
    ['POST', '/v1/messages/../files'],
    ['POST', '/v1/%6dessages'],
    ['POST', '/V1/messages'],
    ['GET', '/'],
  ] as const) {
    const { answer, status } = await send(token, method === 'POST' ? hello : undefined, { method, path })
    assert.equal(status, 403, `${method} ${path}`)
    assert.equal(answer.headers['x-should-retry'], 'false')
    assert.match(await errorOf(answer), /^permission_error: .*is not open/)
  }
  assert.equal(asked.length, before)
  for (const [method, path] of [
    ['POST', '/v1/messages'],
    ['POST', '/v1/messages/count_tokens?beta=true'],
    ['GET', '/v1/models?limit=1000'],
  ] as const) {
    const { answer, status } = await send(token, method === 'GET' ? undefined : hello, { method, path })
    await bodyOf(answer)
    assert.equal(status, 200, `${method} ${path}`)
  }
})

test('T2: a job token is dead as soon as another execution has the job', async () => {
  reply = json
  const job = await makeJob()
  assert.equal((await send(job.token, hello)).status, 200)
  await asSystem(databases, (trx) =>
    trx
      .updateTable('jobs')
      .set({ current_execution: newId<'execution'>() satisfies ExecutionId })
      .where('id', '=', job.id)
      .execute(),
  )
  const answer = await eventually(async () => {
    const tried = await send(job.token, hello)
    return tried.status === 401 ? tried.answer : undefined
  })
  assert.match(await errorOf(answer), /^authentication_error/)
})

test('T3: a key of an attacker, or none, is refused before its body is looked at', async () => {
  const before = asked.length
  for (const credential of ['sk-ant-api03-attacker', '', `ffj_${'A'.repeat(43)}`, `ff_${'A'.repeat(43)}`]) {
    const { answer, status } = await send(credential, 'x'.repeat(3_000_000), {
      headers: { 'x-api-key': 'sk-ant-other' },
    })
    assert.equal(status, 401)
    assert.match(await errorOf(answer), /^authentication_error/)
  }
  assert.equal(asked.length, before)
})

test('a job may call only its models; what reaches out or reads in two ways is refused', async () => {
  reply = json
  const { token } = await makeJob(['claude-opus-5-5'])
  const before = asked.length
  const bodies: readonly (readonly [string, number, RegExp])[] = [
    ['{"model":"claude-fable-5","messages":[]}', 403, /fable-5 is not permitted/],
    ['{"model":"claude-opus-5-5","model":"claude-fable-5"}', 400, /"model" is there twice/],
    ['{"model":"claude-opus-5-5","mcp_servers":[{"url":"x"}]}', 403, /may not use "mcp_servers"/],
    ['{"model":"claude-opus-5-5"', 400, /not valid JSON/],
    ['["claude-opus-5-5"]', 400, /object with a "model"/],
    ['{"model":["claude-opus-5-5"]}', 400, /object with a "model"/],
  ]
  for (const [body, expected, says] of bodies) {
    const { answer, status } = await send(token, body)
    assert.equal(status, expected, body)
    assert.match(await errorOf(answer), says)
  }
  const packed = await send(token, gzipSync(hello), { headers: { 'content-encoding': 'gzip' } })
  assert.match(await errorOf(packed.answer), /must not be compressed/)
  assert.equal(asked.length, before)
})

test('an API key needs gateway:use, as Bearer or as x-api-key', async () => {
  reply = json
  const mint = (scopes: readonly ('gateway:use' | 'jobs:read')[]) =>
    inOrganization(databases, organizationId, (trx) => mintApiKey(trx, { organizationId, name: 'k', scopes }))
  const good = await mint(['gateway:use'])
  assert.equal((await send(good.secret.reveal(), hello)).status, 200)
  const { hostname, port } = new URL(gateway.url)
  const outgoing = request({
    ...{ hostname, port, path: '/v1/messages', method: 'POST' },
    headers: { 'x-api-key': good.secret.reveal() },
  }).end(hello)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  assert.equal(answer.statusCode, 200)
  const poor = await send((await mint(['jobs:read'])).secret.reveal(), hello)
  assert.match(await errorOf(poor.answer), /needs the scope gateway:use/)
})

test('a body over 33 MB is refused in words, not by a cut', async () => {
  const { token } = await makeJob()
  const body = Buffer.alloc(34 * 1024 * 1024, ' ')
  const { answer, status } = await send(token, body)
  assert.equal(status, 413)
  assert.match(await errorOf(answer), /^request_too_large/)
})

test('headers that never end lose their connection', async (t) => {
  const strict = await startGateway({
    ...options,
    config: { ...base, FLOWFORGE_UPSTREAM_URL: upstreamUrl, ANTHROPIC_API_KEY: undefined },
    slowHeadersMs: 300,
  })
  t.after(() => strict.close())
  const { hostname, port } = new URL(strict.url)
  const socket = connect(Number(port), hostname)
  socket.write('POST /v1/messages HTTP/1.1\r\nhost: x\r\n')
  socket.resume()
  const started = Date.now()
  await once(socket, 'close')
  assert.ok(Date.now() - started < 3000)
})

test('without a key there is a sentence, not a call to Anthropic', async (t) => {
  const bare = await startGateway({
    ...options,
    config: { ...base, FLOWFORGE_UPSTREAM_URL: 'https://api.anthropic.com', ANTHROPIC_API_KEY: undefined },
  })
  t.after(() => bare.close())
  const { answer, status } = await send((await makeJob()).token, hello, {}, bare.url)
  assert.equal(status, 401)
  assert.match(await errorOf(answer), /^authentication_error: No model is configured/)
})

test('a token of a subscription is not taken as the key', async () => {
  const config = {
    ...base,
    FLOWFORGE_UPSTREAM_URL: 'https://api.anthropic.com',
    ANTHROPIC_API_KEY: new Secret('sk-ant-oat01-x'),
  }
  await assert.rejects(startGateway({ ...options, config }), /subscription/)
})

test('a taken port is refused by name', async () => {
  const port = Number(new URL(gateway.url).port)
  const config = {
    ...base,
    FLOWFORGE_GATEWAY_PORT: port,
    FLOWFORGE_UPSTREAM_URL: upstreamUrl,
    ANTHROPIC_API_KEY: undefined,
  }
  await assert.rejects(startGateway({ ...options, config }), /FLOWFORGE_GATEWAY_PORT/)
})

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error('it did not become true within 5 s')
}
