import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { isOutage } from './outage.ts'

async function errorOf(connect: () => ReturnType<typeof createConnection>): Promise<unknown> {
  const [error] = (await once(connect(), 'error').catch((thrown: unknown) => [thrown])) as [unknown]
  return error
}

test('a server that is not there is an outage', async () => {
  assert.ok(isOutage(await errorOf(() => createConnection('/nonexistent/.s.PGSQL.5432'))))
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  assert.ok(isOutage(await errorOf(() => createConnection(port, '127.0.0.1'))))
})

test('what the server says when it goes is an outage', () => {
  for (const code of ['57P01', '57P03', '08006', '53300', '40001']) assert.ok(isOutage({ code }), code)
  assert.ok(isOutage(new Error('Connection terminated unexpectedly')))
})

test('a fault is none', () => {
  for (const code of ['23505', '42601', '22P02']) assert.ok(!isOutage({ code }), code)
  assert.ok(!isOutage(new TypeError('x is not a function')))
  assert.ok(!isOutage(undefined))
  assert.ok(!existsSync('/nonexistent'))
  assert.throws(
    () => readFileSync('/nonexistent'),
    (error) => !isOutage(error),
  )
})
