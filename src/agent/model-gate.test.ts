import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secret } from '#lib/secret.ts'
import { createLog } from '#telemetry'
import { createModelGate } from './model-gate.ts'

const log = createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'test')

async function gateTo(t: TestContext, gatewayUrl: string, patienceMs = 5000): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ff-gate-'))
  const socket = join(folder, 'model.sock')
  const server = createServer(
    createModelGate({ gatewayUrl, token: new Secret('job-token'), log, patienceMs }),
  )
  server.listen(socket)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return socket
}

async function gateway(
  t: TestContext,
  listener: (...args: Parameters<RequestListener>) => unknown,
  port = 0,
): Promise<Server & { url: string }> {
  const server = createServer((incoming, response) => void listener(incoming, response)).listen(
    port,
    '127.0.0.1',
  )
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

async function ask(
  socketPath: string,
  headers: Record<string, string> = {},
  path = '/v1/messages?beta=true',
) {
  const outgoing = request({ socketPath, path, method: 'POST', headers }).end('{"model":"m"}')
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { outgoing, answer }
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>)).toString()
}

test('the job token goes out, and no credential of the sandbox', async (t) => {
  const seen: { headers: IncomingMessage['headers']; url: string | undefined; body: string }[] = []
  const { url } = await gateway(t, async (incoming, response) => {
    seen.push({ headers: incoming.headers, url: incoming.url, body: await bodyOf(incoming) })
    response.writeHead(200, { 'x-from': 'gateway' }).end('ok')
  })
  const { answer } = await ask(await gateTo(t, url), {
    authorization: 'Bearer stolen',
    'x-api-key': 'stolen',
    cookie: 'stolen',
    'proxy-authorization': 'stolen',
    'x-forwarded-for': 'stolen',
    'x-flowforge-job': 'stolen',
    'anthropic-beta': 'a,b',
    'anthropic-new': 'kept',
    connection: 'x-secret-hop',
    'x-secret-hop': 'stolen',
  })
  assert.equal(await bodyOf(answer), 'ok')
  assert.equal(answer.headers['x-from'], 'gateway')
  const [got] = seen
  assert.equal(got?.headers.authorization, 'Bearer job-token')
  assert.equal(got?.headers['anthropic-beta'], 'a,b')
  assert.equal(got?.headers['anthropic-new'], 'kept')
  assert.equal(got?.url, '/v1/messages?beta=true')
  assert.equal(got?.body, '{"model":"m"}')
  assert.doesNotMatch(JSON.stringify(got), /stolen/)
})

test('each piece of an answer passes as it comes', async (t) => {
  const second = Promise.withResolvers<void>()
  const { url } = await gateway(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: ping\n\n')
    void second.promise.then(() => response.end('event: message_stop\n\n'))
  })
  const { answer } = await ask(await gateTo(t, url))
  const [first] = (await once(answer, 'data')) as [Buffer]
  assert.equal(first.toString(), 'event: ping\n\n')
  second.resolve()
  const [last] = (await once(answer, 'data')) as [Buffer]
  assert.equal(last.toString(), 'event: message_stop\n\n')
})

test('a gateway that is restarted is waited for', async (t) => {
  const first = await gateway(t, (incoming) => incoming.socket.destroy())
  const { port } = first.address() as AddressInfo
  const socket = await gateTo(t, first.url)
  const asked = ask(socket)
  await sleep(150)
  first.closeAllConnections()
  first.close()
  await sleep(300)
  await gateway(t, async (incoming, response) => response.end(`back: ${await bodyOf(incoming)}`), port)
  assert.equal(await bodyOf((await asked).answer), 'back: {"model":"m"}')
})

test('a gateway that stays away is an error in the shape of the API, not to be tried again', async (t) => {
  const { answer } = await ask(await gateTo(t, 'http://127.0.0.1:1', 200))
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.headers['x-should-retry'], 'false')
  assert.deepEqual(JSON.parse(await bodyOf(answer)), {
    type: 'error',
    error: { type: 'api_error', message: 'The model gateway cannot be reached.' },
  })
})

test('an answer that breaks off is cut, not repeated', async (t) => {
  let asked = 0
  const { url } = await gateway(t, (_, response) => {
    asked += 1
    response.writeHead(200).write('half')
    setTimeout(() => response.destroy(), 50)
  })
  const { answer } = await ask(await gateTo(t, url))
  await assert.rejects(bodyOf(answer))
  assert.equal(asked, 1)
})

test('when the agent goes, the call to the gateway ends', async (t) => {
  const gone = Promise.withResolvers<void>()
  const { url } = await gateway(t, (_, response) => {
    response.once('close', () => gone.resolve())
    response.writeHead(200).write('first')
  })
  const { outgoing, answer } = await ask(await gateTo(t, url))
  await once(answer, 'data')
  answer.on('error', () => undefined)
  outgoing.destroy()
  await gone.promise
})

test('another server cannot be named', async (t) => {
  const { url } = await gateway(t, (_, response) => response.end())
  const { answer } = await ask(await gateTo(t, url), {}, 'http://evil.example/v1/messages')
  assert.equal(answer.statusCode, 400)
})
