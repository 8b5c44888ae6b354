import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { fromUsd, setBudget } from '#costs'
import { createListener, inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import { createAuthenticator, ensureFirstOrganization, mintApiKey } from '#tenants'
import { createTestDatabase, testServer, withDatabase } from '#test/database.ts'
import { startGateway } from './index.ts'

const db = await createTestDatabase()
const { databases } = db

test('while PostgreSQL is away calls under soft budgets go on and are not lost, and those under hard ones are refused', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ff-outage-'))
  const { organizationId } = await ensureFirstOrganization(databases, {
    read: async () => undefined,
    write: async () => undefined,
  })
  const keyWith = async (hard: boolean) => {
    const { id, secret } = await inOrganization(databases, organizationId, (trx) =>
      mintApiKey(trx, { organizationId, name: 'k', scopes: ['gateway:use'] }),
    )
    await setBudget(
      databases,
      { kind: 'key', organizationId, keyId: newId(), scopes: ['costs:write'], name: 'boss' },
      { scope: 'api_key', scopeId: id, period: 'total', hard, limitNano: fromUsd('100') },
    )
    return { id, secret: secret.reveal() }
  }
  const [soft, hard] = [await keyWith(false), await keyWith(true)]
  const listener = await createListener(db.urls.system, db.log)
  const upstream = createServer((request, response) => {
    request
      .resume()
      .on('end', () =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"type":"message","model":"claude-opus-5-5","usage":{"input_tokens":10,"output_tokens":5}}'),
      )
  })
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  const gateway = await startGateway({
    ...{ databases, listener, log: db.log, spoolFolder: folder },
    authenticator: await createAuthenticator(databases, listener),
    config: {
      ...{
        FLOWFORGE_HOST: '127.0.0.1',
        FLOWFORGE_GATEWAY_PORT: 0,
        ANTHROPIC_API_KEY: new Secret('sk-ant-x'),
      },
      FLOWFORGE_UPSTREAM_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    },
  })
  t.after(async () => {
    await gateway.close()
    rmSync(folder, { recursive: true })
    upstream.closeAllConnections()
    upstream.close()
    await listener[Symbol.asyncDispose]()
  })
  const send = async ({ secret }: { readonly secret: string }): Promise<number> => {
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: '{"model":"claude-opus-5-5","max_tokens":10,"messages":[]}',
    })
    await response.arrayBuffer()
    return response.status
  }
  let served = 0
  const answers = { soft: new Set<number>(), hard: new Set<number>() }
  assert.deepEqual([await send(soft), await send(hard)], [200, 200])
  served++

  const name = new URL(db.urls.app).pathname.slice(1)
  const admin = new pg.Client({ connectionString: withDatabase(await testServer(), 'postgres') })
  await admin.connect()
  await admin.query(`alter database ${name} with connection limit 0`)
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  const until = Date.now() + 4000
  await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      while (Date.now() < until) {
        const isSoft = at % 2 === 0
        const status = await send(isSoft ? soft : hard)
        answers[isSoft ? 'soft' : 'hard'].add(status)
        if (isSoft && status === 200) served++
        await sleep(5)
      }
    }),
  )
  await admin.query(`alter database ${name} with connection limit -1`)
  await admin.end()

  assert.deepEqual([...answers.soft], [200])
  assert.deepEqual([...answers.hard], [503])
  assert.ok(served > 100, `${served} were served`)
  for (let tries = 0; tries < 100 && (await send(hard).catch(() => 0)) !== 200; tries++) await sleep(100)
  assert.equal(await send(hard), 200)
  const count = async () => {
    const calls = databases.system.selectFrom('claude_api_usage').where('api_key_id', '=', soft.id)
    return Number((await calls.select((eb) => eb.fn.countAll().as('calls')).executeTakeFirstOrThrow()).calls)
  }
  for (let tries = 0; tries < 100 && (await count()) < served; tries++) await sleep(100)
  assert.equal(await count(), served)
})
