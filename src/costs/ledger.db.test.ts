import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inOrganization, openDatabases } from '#db'
import { newId, type JobId, type OrganizationId } from '#lib/ids.ts'
import { createTestDatabase, quietLog } from '#test/database.ts'
import { costOfJob, costOfJobs, createLedger, NO_USAGE, type ModelCall } from './index.ts'
import { createSpool } from './spool.ts'

const { databases, urls } = await createTestDatabase()

function call(organizationId: OrganizationId, jobId: JobId, more: Partial<ModelCall> = {}): ModelCall {
  return {
    id: newId(),
    occurredAt: new Date(),
    organizationId,
    jobId,
    operation: 'messages',
    model: 'claude-opus-5-5',
    usage: { ...NO_USAGE, inputTokens: 3 },
    nanoDollars: 12_000,
    priceKnown: true,
    latencyMs: 5,
    status: 200,
    aborted: false,
    estimated: false,
    simulated: false,
    ...more,
  }
}

test('what is recorded is summed up by job, for the organization that owns it and no other', async () => {
  const [one, other] = [newId<'organization'>(), newId<'organization'>()]
  const job = newId<'job'>()
  const ledger = createLedger(databases, quietLog)
  await Promise.all(Array.from({ length: 30 }, () => ledger.record(call(one, job))))
  await ledger.record(call(one, job, { simulated: true, priceKnown: false }))
  await ledger.close()
  const cost = await inOrganization(databases, one, (trx) => costOfJob(trx, job))
  assert.deepEqual(cost, { nanoDollars: 31 * 12_000, calls: 31, simulated: true, exact: false })
  const seen = await inOrganization(databases, other, (trx) => costOfJobs(trx, [job]))
  assert.equal(seen.size, 0)
  const none = await inOrganization(databases, one, (trx) => costOfJob(trx, newId()))
  assert.equal(none.nanoDollars, 0)
})

test('the same call recorded twice counts once', async () => {
  const organization = newId<'organization'>()
  const job = newId<'job'>()
  const ledger = createLedger(databases, quietLog)
  const same = call(organization, job)
  await ledger.record(same)
  await ledger.record(same)
  await ledger.close()
  assert.equal((await inOrganization(databases, organization, (trx) => costOfJob(trx, job))).calls, 1)
})

test('calls are kept while the database is away, and written when it is back', async (t) => {
  const organization = newId<'organization'>()
  const job = newId<'job'>()
  const road = await roadTo(new URL(urls.system))
  t.after(() => road.close())
  const away = openDatabases({ ...urls, system: road.url }, { log: quietLog, name: 'away' })
  t.after(() => away[Symbol.asyncDispose]())
  const ledger = createLedger(away, quietLog)
  await ledger.record(call(organization, job))
  road.close()
  // The pool learns of it first: what is proved here is the ledger, not how a query under way is cut off.
  await sleep(100)
  const recorded = Array.from({ length: 20 }, () => ledger.record(call(organization, job)))
  const early = await Promise.race([
    Promise.all(recorded).then(() => 'written'),
    sleep(300).then(() => 'kept'),
  ])
  assert.equal(early, 'kept')
  await road.open()
  await Promise.all(recorded)
  await ledger.close()
  assert.equal((await inOrganization(databases, organization, (trx) => costOfJob(trx, job))).calls, 21)
})

test('while the database is away calls go to the disk, memory stays empty, and a kill loses nothing', async (t) => {
  const [organization, job] = [newId<'organization'>(), newId<'job'>()]
  const folder = mkdtempSync(join(tmpdir(), 'ff-spool-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const road = await roadTo(new URL(urls.system))
  t.after(() => road.close())
  const away = openDatabases({ ...urls, system: road.url }, { log: quietLog, name: 'away' })
  t.after(() => away[Symbol.asyncDispose]())
  const spool = createSpool(folder, quietLog)
  const ledger = createLedger(away, quietLog, { spool })
  await ledger.record(call(organization, job))
  road.close()
  await sleep(100)
  await Promise.all(Array.from({ length: 1500 }, () => ledger.record(call(organization, job))))
  assert.equal(spool.size, 1500)
  // What a gateway that was killed left: whole lines count once, one that was cut does not count.
  const lost = call(organization, job)
  const cut = JSON.stringify(call(organization, job)).slice(0, 60)
  writeFileSync(
    join(folder, 'spool-4194303-1.jsonl'),
    `${JSON.stringify(lost)}\n${JSON.stringify(lost)}\n${cut}`,
  )
  await road.open()
  while (spool.size > 0) await sleep(50)
  await ledger.record(call(organization, job))
  await ledger.close()
  assert.equal((await inOrganization(databases, organization, (trx) => costOfJob(trx, job))).calls, 1503)
  assert.deepEqual(readdirSync(folder), [])
})

test('what a killed gateway had only begun is estimated; what it had ended is not counted again', async (t) => {
  const [organization, job] = [newId<'organization'>(), newId<'job'>()]
  const folder = mkdtempSync(join(tmpdir(), 'ff-journal-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const first = createLedger(databases, quietLog, { spool: createSpool(folder, quietLog) })
  const [ended, killed] = [call(organization, job), call(organization, job)]
  for (const one of [ended, killed]) first.begin({ ...one, nanoDollars: 7, estimated: true, aborted: true })
  await first.record(ended)
  await first.close()
  assert.equal(readdirSync(folder).length, 1, 'one of them is still open')
  // As if in another process: this one has the same number, as in a container that was started again.
  const second = createLedger(databases, quietLog, { spool: createSpool(folder, quietLog) })
  await second.record(call(organization, job))
  while (readdirSync(folder).length > 0) await sleep(20)
  await second.close()
  const rows = await inOrganization(databases, organization, (trx) =>
    trx
      .selectFrom('claude_api_usage')
      .select(['id', 'estimated', 'cost_nano_dollars'])
      .where('job_id', '=', job)
      .execute(),
  )
  const of = (id: string) =>
    rows.filter((row) => row.id === id).map((row) => [row.estimated, row.cost_nano_dollars])
  assert.deepEqual([of(ended.id), of(killed.id), rows.length], [[[false, 12_000]], [[true, 7]], 3])
})

/** A way to the database that can be closed: what the gateway sees when the server restarts. */
async function roadTo(database: URL) {
  const folder = database.searchParams.get('host')
  const target = folder === null ? undefined : `${folder}/.s.PGSQL.${database.port || 5432}`
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = target ? connect(target) : connect(Number(database.port), database.hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => [near, far].forEach((end) => end.destroy()))
    }
    near.pipe(far).pipe(near)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const url = new URL(database)
  url.searchParams.delete('host')
  url.host = `127.0.0.1:${port}`
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: url.href, close, open: () => once(server.listen(port, '127.0.0.1'), 'listening') }
}
