import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { createListener, inOrganization, openDatabases } from '#db'
import { newId, type OrganizationId } from '#lib/ids.ts'
import { ensureFirstOrganization, type KeyPrincipal } from '#tenants'
import { createTestDatabase, quietLog } from '#test/database.ts'
import {
  createAccounts,
  fromUsd,
  listBudgets,
  NO_USAGE,
  removeBudget,
  setBudget,
  toUsd,
  type Accounts,
  type BudgetRequest,
  type ModelCall,
  type Owner,
} from './index.ts'

const { databases, urls } = await createTestDatabase()
const { organizationId } = await ensureFirstOrganization(databases, {
  read: async () => undefined,
  write: async () => undefined,
})
const principal: KeyPrincipal = {
  kind: 'key',
  organizationId,
  keyId: newId(),
  scopes: ['costs:read', 'costs:write'],
  name: 'test',
}

/** A gateway as far as money goes: pools and memory of its own. */
async function open(t: TestContext, more: { leaseMs?: number; patienceMs?: number } = {}): Promise<Accounts> {
  const own = openDatabases(urls, { log: quietLog, name: 'replica', connections: 3 })
  const listener = await createListener(urls.system, quietLog)
  const accounts = await createAccounts({ databases: own, listener, log: quietLog, ...more })
  t.after(async () => {
    await accounts[Symbol.asyncDispose]()
    await listener[Symbol.asyncDispose]()
    await own[Symbol.asyncDispose]()
  })
  return accounts
}

async function budget(more: Partial<BudgetRequest> & { readonly usd: string }) {
  const { usd, ...rest } = more
  return setBudget(databases, principal, {
    ...{ scope: 'organization', period: 'total', hard: true, limitNano: fromUsd(usd) },
    ...rest,
  })
}

const CENTS_5 = fromUsd('0.05')
type Sent = { readonly kind: string; readonly nano: number; readonly id: string; readonly occurredAt: Date }

async function reserve(
  accounts: Accounts,
  owner: Owner,
  more: { wanted?: number; comfortable?: number; least?: number; sent?: boolean; signal?: AbortSignal } = {},
): Promise<Sent> {
  const id = newId<'usage'>()
  const occurredAt = new Date()
  const wanted = more.wanted ?? CENTS_5
  const reply = await accounts.reservations.reserve({
    ...{ id, occurredAt, owner, standings: await accounts.book.above(owner) },
    ...{ wantedNano: wanted, comfortableNano: more.comfortable ?? wanted, leastNano: more.least ?? wanted },
    ...{ isSentAtOnce: more.sent ?? true, facts: { model: 'claude-opus-5-5', ...owner } },
    signal: more.signal ?? new AbortController().signal,
  })
  return { kind: reply.kind, nano: reply.kind === 'granted' ? reply.nano : 0, id, occurredAt }
}

function settle(accounts: Accounts, owner: Owner, sent: Sent, nanoDollars: number): Promise<void> {
  return accounts.ledger.record({
    ...owner,
    id: sent.id as ModelCall['id'],
    occurredAt: sent.occurredAt,
    ...{ operation: 'messages', model: 'claude-opus-5-5', usage: NO_USAGE, nanoDollars, priceKnown: true },
    ...{ latencyMs: 1, status: 200, aborted: false, estimated: false, simulated: false },
  })
}

async function standing(id: string) {
  const found = (await listBudgets(databases, principal)).find((one) => one.id === id)
  assert.ok(found)
  return { spent: toUsd(found.spentNano), reserved: toUsd(found.reservedNano) }
}

/** The counters against what they are derived from. */
async function assertCountersEqualLedger() {
  const { rows } = await sql<{ id: string }>`
    select c.id from budget_counters c join budgets b on b.id = c.budget_id
    where c.spent_nano_dollars <> (select coalesce(sum(u.cost_nano_dollars), 0) from claude_api_usage u
        where u.organization_id = c.organization_id and u.occurred_at >= c.period_start
          and (c.period_end is null or u.occurred_at < c.period_end)
          and b.scope_id in (u.organization_id::text, u.api_key_id::text, u.repository_id::text, u.job_id::text, u.user_id::text))
      or c.reserved_nano_dollars <> (select coalesce(sum(r.nano_dollars), 0) from reservations r where c.id = any (r.counter_ids))
  `.execute(databases.system)
  assert.deepEqual(rows, [])
}

for (const [replicas, calls] of [
  [1, 200],
  [3, 200],
  [3, 1000],
] as const)
  test(`${calls} concurrent calls of $0.05 by ${replicas} gateways on $1.00: 20 go, none too many, none too few`, async (t) => {
    const owner = { organizationId, apiKeyId: newId() }
    const { id } = await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '1.00' })
    const all = await Promise.all(Array.from({ length: replicas }, () => open(t)))
    const kinds = await Promise.all(
      Array.from({ length: calls }, async (_, at) => {
        const accounts = all[at % replicas]!
        const sent = await reserve(accounts, owner)
        if (sent.kind !== 'granted') return sent.kind
        await sleep(20)
        await settle(accounts, owner, sent, CENTS_5)
        return sent.kind
      }),
    )
    assert.equal(kinds.filter((kind) => kind === 'granted').length, 20)
    assert.equal(kinds.filter((kind) => kind === 'refused').length, calls - 20)
    assert.deepEqual(await standing(id), { spent: '1.00', reserved: '0.00' })
    await assertCountersEqualLedger()
  })

test('calls that cost less than was reserved leave the rest to others, to the last cent', async (t) => {
  const owner = { organizationId, jobId: newId() }
  const { id } = await budget({ scope: 'job', scopeId: owner.jobId, usd: '1.00' })
  const all = [await open(t), await open(t)]
  const kinds = await Promise.all(
    Array.from({ length: 120 }, async (_, at) => {
      const accounts = all[at % 2]!
      const sent = await reserve(accounts, owner, { wanted: fromUsd('0.40'), least: fromUsd('0.01') })
      if (sent.kind === 'granted') await settle(accounts, owner, sent, fromUsd('0.01'))
      return sent.kind
    }),
  )
  assert.equal(kinds.filter((kind) => kind === 'granted').length, 100)
  assert.deepEqual(await standing(id), { spent: '1.00', reserved: '0.00' })
})

test('every hard budget above a call must have room: organization, repository and job', async (t) => {
  const other = newId<'organization'>()
  await databases.system.insertInto('organizations').values({ id: other, slug: other, name: 'x' }).execute()
  const boss = { ...principal, organizationId: other }
  const owner = { organizationId: other, repositoryId: newId(), jobId: newId() }
  const set = (scope: BudgetRequest['scope'], scopeId: string, usd: string) =>
    setBudget(databases, boss, { scope, scopeId, period: 'monthly', limitNano: fromUsd(usd), hard: true })
  await set('organization', '', '10')
  const repository = await set('repository', owner.repositoryId, '0.10')
  await set('job', owner.jobId, '5')
  const accounts = await open(t)
  const first = await reserve(accounts, owner)
  const second = await reserve(accounts, owner)
  for (const sent of [first, second]) await settle(accounts, owner, sent, CENTS_5)
  assert.equal((await reserve(accounts, owner)).kind, 'refused')
  const elsewhere = { ...owner, repositoryId: newId() }
  const third = await reserve(accounts, elsewhere)
  assert.equal(third.kind, 'granted')
  await settle(accounts, elsewhere, third, CENTS_5)
  const all = await listBudgets(databases, boss)
  const spent = Object.fromEntries(all.map((one) => [one.scope, toUsd(one.spentNano)]))
  assert.deepEqual(spent, { organization: '0.15', repository: '0.10', job: '0.15' })
  await removeBudget(databases, boss, repository.id)
  await until(async () => (await reserve(accounts, owner)).kind === 'granted')
})

test('a call that does not fit only because of open ones waits, first come first served, and is refused when all is spent', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '0.10' })
  const accounts = await open(t)
  const [one, two] = [await reserve(accounts, owner), await reserve(accounts, owner)]
  const order: string[] = []
  const large = reserve(accounts, owner, { wanted: fromUsd('0.10') }).then(
    (sent) => (order.push('large'), sent),
  )
  await sleep(20)
  const small = reserve(accounts, owner, { wanted: fromUsd('0.01') }).then(
    (sent) => (order.push('small'), sent),
  )
  await sleep(250)
  assert.deepEqual(order, [])
  await settle(accounts, owner, one, 0)
  await sleep(250)
  assert.deepEqual(order, [], 'the small one does not pass the large one')
  await settle(accounts, owner, two, 0)
  const first = await large
  assert.deepEqual([first.kind, order], ['granted', ['large']])
  await settle(accounts, owner, first, fromUsd('0.10'))
  assert.equal((await small).kind, 'refused')
})

test('a call is given less than it asked for when less is there, but not less than the least', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '1.00' })
  const accounts = await open(t)
  const cut = await reserve(accounts, owner, { wanted: fromUsd('2.56'), least: fromUsd('0.10') })
  assert.equal(toUsd(cut.nano), '1.00')
  await settle(accounts, owner, cut, fromUsd('0.95'))
  assert.equal(
    (await reserve(accounts, owner, { wanted: fromUsd('2.56'), least: fromUsd('0.10') })).kind,
    'refused',
  )
  assert.equal(
    toUsd((await reserve(accounts, owner, { wanted: fromUsd('2.56'), least: fromUsd('0.02') })).nano),
    '0.05',
  )
})

test('whoever waits too long is told so, and a client that goes does not stay in the line', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '0.05' })
  const accounts = await open(t, { patienceMs: 300 })
  const first = await reserve(accounts, owner)
  const client = new AbortController()
  const gone = reserve(accounts, owner, { signal: client.signal })
  const late = reserve(accounts, owner)
  client.abort()
  assert.equal((await gone).kind, 'gone')
  assert.equal((await late).kind, 'crowded')
  assert.equal(accounts.reservations.waiting, 0)
  accounts.reservations.release(first.id)
  await until(async () => (await reserve(accounts, owner)).kind === 'granted')
})

test('of a gateway that died, what was sent is settled as estimated and what was not is given back', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  const { id } = await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '1.00' })
  const dead = await open(t, { leaseMs: 60_000 })
  const sent = await reserve(dead, owner)
  const marked = await reserve(dead, owner, { sent: false })
  const unsent = await reserve(dead, owner, { sent: false })
  assert.equal(await dead.reservations.markSent(marked.id), true)
  assert.deepEqual(await standing(id), { spent: '0.00', reserved: '0.15' })
  await databases.system
    .updateTable('reservation_holders')
    .set({ seen_at: new Date(0) })
    .where('id', '=', dead.holder.id)
    .execute()
  const live = await open(t)
  await until(async () => (await standing(id)).reserved === '0.00')
  assert.deepEqual(await standing(id), { spent: '0.10', reserved: '0.00' })
  assert.equal(await dead.reservations.markSent(unsent.id), false, 'it must not be sent any more')
  const calls = await databases.system
    .selectFrom('claude_api_usage')
    .selectAll()
    .where('api_key_id', '=', owner.apiKeyId)
    .execute()
  assert.deepEqual(
    new Set(calls.map((call) => `${call.id} ${call.estimated} ${call.model}`)),
    new Set([sent.id, marked.id].map((one) => `${one} true claude-opus-5-5`)),
  )
  // It was not dead: what it says now comes too late and counts nothing twice.
  await settle(dead, owner, sent, CENTS_5)
  assert.equal((await standing(id)).spent, '0.10')
  assert.equal(await live.holder.sweep(), 0)
  await assertCountersEqualLedger()
})

test('a budget that is set in the middle of a period counts what was spent before it, and a new period begins at nothing', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  const accounts = await open(t)
  const record = (occurredAt: Date) =>
    settle(accounts, owner, { kind: '', nano: 0, id: newId(), occurredAt }, CENTS_5)
  await record(new Date())
  await record(new Date(Date.now() - 40 * 86_400_000))
  const monthly = await budget({
    scope: 'api_key',
    scopeId: owner.apiKeyId,
    usd: '1',
    period: 'monthly',
    timeZone: 'Asia/Tokyo',
  })
  const total = await budget({ scope: 'api_key', scopeId: owner.apiKeyId, usd: '1' })
  assert.equal((await standing(monthly.id)).spent, '0.05')
  assert.equal((await standing(total.id)).spent, '0.10')
  assert.equal(total.resetsAt, null)
  const inTokyo = monthly.resetsAt?.toLocaleString('sv', { timeZone: 'Asia/Tokyo' })
  assert.match(inTokyo ?? '', /-01 00:00:00$/)
  // And the counters that calls are checked against agree.
  await accounts.book.above(owner)
  await record(new Date())
  assert.equal((await standing(monthly.id)).spent, '0.10')
  await assertCountersEqualLedger()
})

test('passing a threshold is noticed once for each threshold and period', async (t) => {
  const owner = { organizationId, apiKeyId: newId() }
  const { id } = await budget({
    scope: 'api_key',
    scopeId: owner.apiKeyId,
    usd: '0.20',
    hard: false,
    softPercent: 50,
  })
  const accounts = await open(t)
  const heard: (string | undefined)[] = []
  const listener = await createListener(urls.system, quietLog)
  t.after(() => listener[Symbol.asyncDispose]())
  await listener.listen('flowforge_budget_notices', (budgetId) => heard.push(budgetId))
  await accounts.book.above(owner)
  for (let at = 0; at < 6; at++)
    await settle(accounts, owner, { kind: '', nano: 0, id: newId(), occurredAt: new Date() }, CENTS_5)
  const notices = await databases.system
    .selectFrom('budget_notices')
    .selectAll()
    .where('budget_id', '=', id)
    .orderBy('threshold_percent')
    .execute()
  assert.deepEqual(
    notices.map((one) => [one.threshold_percent, one.spent_nano_dollars]),
    [
      [50, fromUsd('0.10')],
      [100, fromUsd('0.20')],
    ],
  )
  await until(async () => heard.length === 2)
  assert.deepEqual(new Set(heard), new Set([id]))
})

test('a job brings its budget; raising it reaches the job, and admission is told', async (t) => {
  const [repository, job] = [newId(), newId<'job'>()]
  const raised: (string | undefined)[] = []
  const listener = await createListener(urls.system, quietLog)
  t.after(() => listener[Symbol.asyncDispose]())
  await inOrganization(databases, organizationId, async (trx) => {
    await trx
      .insertInto('repositories')
      .values({
        id: repository,
        organization_id: organizationId,
        name: 'r',
        address: 'https://example.com/r',
      })
      .execute()
    await trx
      .insertInto('jobs')
      .values({
        ...{
          id: job,
          organization_id: organizationId,
          number: 1,
          repository_id: repository,
          state: 'running',
          title: 'x',
          task: 'x',
        },
        ...{
          agent: 'claude',
          time_limit_seconds: 60,
          base_ref: 'main',
          target_branch: 'main',
          landing: 'merge',
          created_by: 'x',
        },
        budget_nano_dollars: fromUsd('2.50'),
      })
      .execute()
  })
  const brought = (await listBudgets(databases, principal)).find(({ scopeId }) => scopeId === job)
  assert.deepEqual([brought?.hard, brought?.period, toUsd(brought?.limitNano ?? 0)], [true, 'total', '2.50'])
  await listener.listen('flowforge_admission', (id) => raised.push(id))
  await budget({ scope: 'job', scopeId: job, usd: '4' })
  await until(async () => raised.length > 0)
  const row = await databases.system
    .selectFrom('jobs')
    .select('budget_nano_dollars')
    .where('id', '=', job)
    .executeTakeFirst()
  assert.equal(toUsd(Number(row?.budget_nano_dollars)), '4.00')
})

test('budgets of one organization are not seen or removed by another', async () => {
  const { id } = await budget({ usd: '100', period: 'daily', hard: false })
  const stranger = { ...principal, organizationId: newId<'organization'>() satisfies OrganizationId }
  assert.deepEqual(await listBudgets(databases, stranger), [])
  await assert.rejects(removeBudget(databases, stranger, id), { code: 'not_found' })
  await assert.rejects(
    setBudget(
      databases,
      { ...principal, scopes: ['costs:read'] },
      { scope: 'organization', period: 'daily', limitNano: 1, hard: true },
    ),
    {
      code: 'not_permitted',
    },
  )
})

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await isTrue()) return
    await sleep(50)
  }
  throw new Error('it did not become true within 5 s')
}
