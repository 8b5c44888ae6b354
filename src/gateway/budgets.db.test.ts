import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fromUsd, listBudgets, setBudget, toUsd, type BudgetRequest } from '#costs'
import { createListener, inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import { createAuthenticator, ensureFirstOrganization, mintApiKey, type KeyPrincipal } from '#tenants'
import { createTestDatabase } from '#test/database.ts'
import type { ReplicaStart } from '#test/gateway-replica.ts'
import { startGateway } from './index.ts'

const db = await createTestDatabase()
const { databases } = db
const { organizationId } = await ensureFirstOrganization(databases, {
  read: async () => undefined,
  write: async () => undefined,
})
const listener = await createListener(db.urls.system, db.log)
const authenticator = await createAuthenticator(databases, listener)
const boss: KeyPrincipal = {
  kind: 'key',
  organizationId,
  keyId: newId(),
  scopes: ['costs:read', 'costs:write'],
  name: 'boss',
}

/** Answers after a while, and counts what it did: that is what really was spent. */
let served = 0
let delayMs = 20
const bodies: string[] = []
let spentNano = 0
/** 1,000 tokens in and 2,300 out on Opus 5.5: five cents; less when it may not say as much. */
let reply = (response: ServerResponse, maxTokens: number): void => {
  const usage = { input_tokens: 1000, output_tokens: Math.min(2300, maxTokens) }
  spentNano += 1000 * 4000 + usage.output_tokens * 20_000
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ type: 'message', model: 'claude-opus-5-5', usage }))
}
const upstream = createServer((incoming, response) => {
  void Array.fromAsync(incoming as AsyncIterable<Buffer>).then(async (chunks) => {
    const body = Buffer.concat(chunks).toString()
    bodies.push(body)
    served++
    await sleep(delayMs)
    reply(response, (JSON.parse(body) as { max_tokens?: number }).max_tokens ?? 0)
  })
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
const gateway = await startGateway({
  ...{ databases, listener, authenticator, log: db.log, patienceMs: 20_000, absorbMs: 0 },
  config: {
    FLOWFORGE_HOST: '127.0.0.1',
    FLOWFORGE_GATEWAY_PORT: 0,
    FLOWFORGE_UPSTREAM_URL: upstreamUrl,
    ANTHROPIC_API_KEY: new Secret('sk-ant-real'),
  },
})
after(async () => {
  await gateway.close()
  upstream.closeAllConnections()
  upstream.close()
  await listener[Symbol.asyncDispose]()
})

const call = (more: object = {}): string =>
  JSON.stringify({
    model: 'claude-opus-5-5',
    max_tokens: 2300,
    messages: [{ role: 'user', content: 'hi' }],
    ...more,
  })

async function send(key: string, body: string = call(), to = gateway.url, path = '/v1/messages') {
  const response = await fetch(`${to}${path}`, {
    ...{ method: 'POST', body },
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
  })
  const json = (await response.json()) as { error?: { type: string; message: string } }
  return { status: response.status, headers: response.headers, error: json.error }
}

async function keyWith(usd: string, more: Partial<BudgetRequest> = {}) {
  const { id, secret } = await inOrganization(databases, organizationId, (trx) =>
    mintApiKey(trx, { organizationId, name: 'k', scopes: ['gateway:use'] }),
  )
  const budget = await setBudget(databases, boss, {
    ...{ scope: 'api_key', scopeId: id, period: 'total', hard: true, limitNano: fromUsd(usd) },
    ...more,
  })
  const stands = async () => {
    const now = (await listBudgets(databases, boss)).find((one) => one.id === budget.id)
    return { spent: toUsd(now?.spentNano ?? -1), reserved: toUsd(now?.reservedNano ?? -1) }
  }
  return { key: secret.reveal(), keyId: id, budget, stands }
}

async function startReplica(
  t: TestContext,
  leaseMs = 1000,
): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const child = fork(join(import.meta.dirname, '../../test/support/gateway-replica.ts'))
  t.after(() => void child.kill('SIGKILL'))
  child.send({ urls: db.urls, upstreamUrl, leaseMs } satisfies ReplicaStart)
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  return { url, child }
}

for (const [calls, replicas] of [
  [200, 1],
  [200, 3],
  [1000, 3],
] as const)
  test(`${calls} calls of five cents at once, ${replicas} gateways, one dollar: at most a dollar is spent, at least 19 are served`, async (t) => {
    const { key, stands } = await keyWith('1.00')
    const urls =
      replicas === 1
        ? [gateway.url]
        : (await Promise.all([1, 2, 3].map(() => startReplica(t)))).map(({ url }) => url)
    const before = served
    const spentBefore = spentNano
    const answers = await Promise.all(
      Array.from({ length: calls }, (_, at) => send(key, call(), urls[at % urls.length])),
    )
    const good = answers.filter(({ status }) => status === 200).length
    assert.equal(served - before, good)
    assert.ok(good >= 19 && good <= 20, `${good} were served`)
    await eventually(async () => ((await stands()).reserved === '0.00' ? true : undefined))
    assert.equal((await stands()).spent, toUsd(spentNano - spentBefore))
    assert.ok(spentNano - spentBefore <= fromUsd('1.00') && spentNano - spentBefore >= fromUsd('0.95'))
    const bad = answers.filter(({ status }) => status !== 200)
    assert.deepEqual(new Set(bad.map(({ error }) => error?.type)), new Set(['billing_error']))
  })

test('kill -9 of gateways in the middle: the budget holds, nothing stays reserved, nothing that was served is forgotten', async (t) => {
  const { key, keyId, stands } = await keyWith('1.00')
  const replicas = await Promise.all([1, 2, 3].map(() => startReplica(t)))
  const before = served
  delayMs = 150
  const answers = Array.from({ length: 150 }, (_, at) =>
    send(key, call(), replicas[at % 3]!.url).catch(() => ({ status: 0 })),
  )
  await eventually(async () => (served - before >= 6 ? true : undefined))
  replicas[0]!.child.kill('SIGKILL')
  await sleep(100)
  replicas[1]!.child.kill('SIGKILL')
  await Promise.all(answers)
  delayMs = 20
  const really = served - before
  assert.ok(really <= 20, `${really} were served`)
  // After the lease the one that lives has ended what the dead ones held.
  await eventually(async () => ((await stands()).reserved === '0.00' ? true : undefined))
  const calls = await databases.system
    .selectFrom('claude_api_usage')
    .select(['id', 'estimated', 'cost_nano_dollars'])
    .where('api_key_id', '=', keyId)
    .execute()
  assert.ok(calls.length >= really, `${calls.length} are in the ledger, ${really} were served`)
  assert.ok(calls.some(({ estimated }) => estimated))
  const sum = calls.reduce((all, one) => all + one.cost_nano_dollars, 0)
  assert.ok(sum <= fromUsd('1.00'))
  assert.equal((await stands()).spent, toUsd(sum))
  // What is left can be spent.
  const left = fromUsd('1.00') - sum
  const last = await send(key, call(), replicas[2]!.url)
  // The least it can be cut to: its input's bound and 1,024 tokens of answer.
  assert.equal(last.status, left >= fromUsd('0.032') ? 200 : 429)
})

test('a refusal is one that Claude Code stops at: billing_error, not to be tried again, with scope, limit and reset', async () => {
  const { key, keyId } = await keyWith('0.04', { period: 'daily' })
  await send(key)
  await eventually(async () => ((await send(key)).status === 429 ? true : undefined))
  const { status, headers, error } = await send(key)
  assert.equal(status, 429)
  assert.equal(error?.type, 'billing_error')
  assert.match(
    error.message,
    new RegExp(
      `^The daily budget of the API key ${keyId} has no room for this call: \\$0.032 of \\$0.04 are spent. It resets at 20`,
    ),
  )
  assert.equal(headers.get('x-should-retry'), 'false')
  assert.ok(Number(headers.get('retry-after')) > 0 && Number(headers.get('retry-after')) <= 86_400)
  assert.equal(headers.get('anthropic-ratelimit-unified-status'), 'rejected')
  assert.equal(headers.get('anthropic-ratelimit-unified-overage-period'), 'daily')
  const counted = await send(key, call(), gateway.url, '/v1/messages/count_tokens')
  assert.equal(counted.status, 200, 'counting tokens is never refused for money')
})

test('max_tokens is lowered to what is left, in that number alone, and the answer says so', async () => {
  const { key } = await keyWith('0.50')
  const body = ` {"metadata":{"max_tokens":7},"max_tokens" : 128000 , "model":"claude-opus-5-5","messages":[{"role":"user","content":"\\"max_tokens\\":1"}]}`
  const { status, headers } = await send(key, body)
  assert.equal(status, 200)
  const tokens = Number(headers.get('x-flowforge-max-tokens'))
  assert.ok(tokens > 16_000 && tokens < 25_000, String(tokens))
  assert.equal(bodies.at(-1), body.replace('128000', String(tokens)))
})

test('it is never lowered below the budget for thinking', async () => {
  const { key } = await keyWith('0.50')
  const thinking = { max_tokens: 64_000, thinking: { type: 'enabled', budget_tokens: 32_000 } }
  assert.equal((await send(key, call(thinking))).error?.type, 'billing_error')
  const less = { max_tokens: 64_000, thinking: { type: 'enabled', budget_tokens: 8_000 } }
  const { status, headers } = await send(key, call(less))
  assert.equal(status, 200)
  assert.ok(Number(headers.get('x-flowforge-max-tokens')) > 8_000)
})

test('while there is room requests are untouched', async () => {
  const { key } = await keyWith('100')
  const body = call({ max_tokens: 128_000 })
  const { headers } = await send(key, body)
  assert.equal(headers.get('x-flowforge-max-tokens'), null)
  assert.equal(bodies.at(-1), body)
})

test('what has no bound is refused under a hard budget, and passes under a soft one', async () => {
  const search = call({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] })
  const hard = await send((await keyWith('100')).key, search)
  assert.equal(hard.status, 400)
  assert.match(hard.error?.message ?? '', /no "max_uses"/)
  assert.equal((await send((await keyWith('100', { hard: false })).key, search)).status, 200)
  const bounded = call({ tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }] })
  assert.equal((await send((await keyWith('100')).key, bounded)).status, 200)
})

test('a soft budget refuses nothing; its answers warn at 75 and 95 percent', async () => {
  const { key } = await keyWith('0.06', { hard: false, period: 'monthly' })
  const first = await send(key)
  assert.equal(first.headers.get('anthropic-ratelimit-unified-status'), null)
  await sleep(100)
  const warned = await send(key)
  assert.equal(warned.status, 200)
  assert.equal(warned.headers.get('anthropic-ratelimit-unified-status'), 'allowed_warning')
  assert.match(
    warned.headers.get('anthropic-ratelimit-unified-overage-surpassed-threshold') ?? '',
    /^0\.(75|95)$/,
  )
})

test('an error of the upstream costs nothing and gives back what was reserved', async () => {
  const { key, stands } = await keyWith('0.07')
  const good = reply
  reply = (response) =>
    void response.writeHead(529).end('{"type":"error","error":{"type":"overloaded_error","message":"x"}}')
  for (let at = 0; at < 5; at++) assert.equal((await send(key)).status, 529)
  reply = good
  assert.equal((await send(key)).status, 200)
  await eventually(async () => ((await stands()).spent === '0.05' ? true : undefined))
})

test('an upstream that is not there gives back what was reserved', async (t) => {
  const { key, stands } = await keyWith('0.06')
  const lost = await startGateway({
    ...{ databases, listener, authenticator, log: db.log },
    config: {
      ...{
        FLOWFORGE_HOST: '127.0.0.1',
        FLOWFORGE_GATEWAY_PORT: 0,
        FLOWFORGE_UPSTREAM_URL: 'http://127.0.0.1:9',
      },
      ANTHROPIC_API_KEY: new Secret('sk-ant-real'),
    },
  })
  t.after(() => lost.close())
  assert.equal((await send(key, call(), lost.url)).status, 502)
  await eventually(async () => ((await stands()).reserved === '0.00' ? true : undefined))
  assert.equal((await stands()).spent, '0.00')
})

test('raising a budget opens it at once', async () => {
  const { key, budget } = await keyWith('0.01')
  assert.equal((await send(key)).status, 429)
  await setBudget(databases, boss, { ...budget, limitNano: fromUsd('1') })
  await eventually(async () => ((await send(key)).status === 200 ? true : undefined))
})

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error('it did not become true in time')
}
