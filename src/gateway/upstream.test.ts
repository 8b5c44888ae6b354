import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secret } from '#lib/secret.ts'
import { createLane } from './lane.ts'
import { createUpstream, type Answer, type OutgoingCall, type Target } from './upstream.ts'

async function server(
  t: TestContext,
  reply: (response: ServerResponse, key: string, body: string) => void,
): Promise<URL> {
  const made = createServer((request, response) => {
    void Array.fromAsync(request as AsyncIterable<Buffer>).then((chunks) =>
      reply(response, String(request.headers['x-api-key']), Buffer.concat(chunks).toString()),
    )
  })
  await once(made.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    made.closeAllConnections()
    made.close()
  })
  return new URL(`http://127.0.0.1:${(made.address() as AddressInfo).port}`)
}
const target = (url: URL, key = 'k'): Target => ({ url, key: new Secret(key) })
const call = (more: Partial<OutgoingCall> = {}): OutgoingCall => ({
  ...{ method: 'POST', target: '/v1/messages', rawHeaders: [], body: Buffer.from('{}') },
  signal: new AbortController().signal,
  ...more,
})
function open(t: TestContext, targets: readonly Target[], absorbMs?: number) {
  const upstream = createUpstream(targets, absorbMs === undefined ? {} : { absorbMs })
  t.after(() => upstream.close())
  return upstream
}
async function textOf(answer: Answer): Promise<string> {
  if (answer.kind === 'overloaded') return `${answer.answer.status} ${answer.answer.body.toString()}`
  if (answer.kind !== 'answered') return answer.kind
  const message: IncomingMessage = answer.message
  return `${message.statusCode} ${Buffer.concat(await Array.fromAsync(message as AsyncIterable<Buffer>)).toString()}`
}

test('an overload is absorbed: the call is answered when the upstream takes calls again', async (t) => {
  const until = Date.now() + 2500
  let tries = 0
  const url = await server(t, (response) => {
    tries++
    response.writeHead(Date.now() < until ? 529 : 200).end('done')
  })
  const upstream = open(t, [target(url)])
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => textOf(await upstream.send(call()))),
  )
  assert.deepEqual(new Set(answers), new Set(['200 done']))
  assert.ok(tries < 100, `${tries} tries`)
})

test('what the upstream asks to wait is waited', async (t) => {
  const times: number[] = []
  const url = await server(t, (response) => {
    times.push(Date.now())
    if (times.length === 1) response.writeHead(429, { 'retry-after': '1' }).end()
    else response.end('done')
  })
  assert.equal(await textOf(await open(t, [target(url)]).send(call())), '200 done')
  assert.ok(times[1]! - times[0]! >= 990)
})

test('when the patience ends, the last answer passes as it was', async (t) => {
  const url = await server(t, (response) => response.writeHead(529, { 'retry-after': '1' }).end('busy'))
  assert.equal(await textOf(await open(t, [target(url)], 300).send(call())), '529 busy')
  assert.equal(await textOf(await open(t, [target(url)], 0).send(call())), '529 busy')
})

test('a 429 that says it must not be repeated passes at once', async (t) => {
  const url = await server(t, (response) =>
    response.writeHead(429, { 'x-should-retry': 'false' }).end('spent'),
  )
  const answer = await open(t, [target(url)]).send(call())
  assert.equal(await textOf(answer), '429 spent')
})

test('the next key or address is taken in order: overloaded, wrong key, failing, not there', async (t) => {
  const used: string[] = []
  const url = await server(t, (response, key) => {
    used.push(key)
    response.writeHead({ one: 529, two: 401, three: 500 }[key] ?? 200).end(key)
  })
  const gone = target(new URL('http://127.0.0.1:9'))
  const upstream = open(t, [gone, ...['one', 'two', 'three', 'four'].map((key) => target(url, key))])
  assert.equal(await textOf(await upstream.send(call())), '200 four')
  assert.deepEqual(used, ['one', 'two', 'three', 'four'])
  const single = open(t, [target(url, 'two')])
  assert.equal(await textOf(await single.send(call())), '401 two')
})

test('of those that wait the highest priority goes first', async (t) => {
  const order: string[] = []
  let isBusy = true
  const url = await server(t, (response, _, body) => {
    if (isBusy) return void response.writeHead(529, { 'retry-after': '0.4' }).end()
    order.push(body)
    setTimeout(() => response.end(), 30)
  })
  const upstream = open(t, [target(url)])
  // Overloads until one at a time is left.
  const first = upstream.send(call({ body: Buffer.from('first') })).then(textOf)
  await sleep(100)
  isBusy = false
  const rest = [0, 5, 1].map((priority) =>
    upstream.send(call({ priority, body: Buffer.from(String(priority)) })).then(textOf),
  )
  await Promise.all([first, ...rest])
  assert.equal(order[0], '5')
})

test('a call that waits is not sent when its client goes or its reservation is gone', async (t) => {
  let tries = 0
  const url = await server(t, (response) => {
    tries++
    response.writeHead(529, { 'retry-after': '60' }).end()
  })
  const upstream = open(t, [target(url)])
  void upstream.send(call())
  await sleep(100)
  const client = new AbortController()
  const waiting = upstream.send(call({ signal: client.signal, beforeSending: async () => true }))
  client.abort()
  assert.equal((await waiting).kind, 'not-sent')
  assert.equal(upstream.waiting, 1)
  assert.equal(tries, 1)
  const other = open(t, [target(url)])
  assert.equal((await other.send(call({ beforeSending: async () => false }))).kind, 'not-sent')
  assert.equal(tries, 1)
})

test('a lane learns how much its upstream takes', () => {
  const clock = { time: 1000, now: () => clock.time }
  const lane = createLane(clock, () => 0.5)
  for (let at = 0; at < 100; at++) lane.enter()
  for (let at = 0; at < 10; at++) lane.leave('overloaded')
  assert.equal(lane.limit, 50, 'ten that fail together are one lesson')
  assert.ok((lane.opensInMs() ?? 0) > 0)
  clock.time += 10_000
  assert.equal(lane.opensInMs(), undefined, '90 are still inside')
  for (let at = 0; at < 90; at++) lane.leave('well')
  assert.equal(lane.opensInMs(), 0)
  assert.ok(lane.limit > 51)
})
