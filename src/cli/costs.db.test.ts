import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { BudgetAnswer, UsageAnswer } from '#api'
import { NO_USAGE, recordUsage } from '#costs'
import { newId } from '#lib/ids.ts'
import { mintApiKey } from '#tenants'
import { startTestApi, type TestApi } from '#test/api.ts'

const bin = new URL('../../bin/flowforge', import.meta.url).pathname
const closers: (() => Promise<void>)[] = []
let api: TestApi
before(async () => {
  api = await startTestApi({ after: (work) => void closers.push(work) })
})
after(async () => {
  for (const close of closers.toReversed()) await close()
})

async function flowforge(...args: string[]) {
  const env = {
    ...{ PATH: process.env['PATH'] ?? '', FLOWFORGE_HOME: api.home },
    ...{ FLOWFORGE_URL: api.url, FLOWFORGE_API_KEY: api.apiKey },
  }
  const child = spawn(bin, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ])
  return { status, stdout, stderr }
}

async function spend(nanoDollars: number, model: string, more: { jobId?: string; occurredAt?: Date } = {}) {
  await recordUsage(api.databases.system, [
    {
      ...{
        id: newId<'usage'>(),
        occurredAt: new Date(),
        organizationId: api.organizationId,
        operation: 'messages',
      },
      ...{ model, usage: { ...NO_USAGE, inputTokens: 10, outputTokens: 5 }, nanoDollars, priceKnown: true },
      ...{ latencyMs: 1, status: 200, aborted: false, estimated: false, simulated: false, ...more },
    },
  ])
}

test('usage is summed up to the last digit, by what is asked for', async () => {
  const jobId = newId()
  await spend(1_000_000_001, 'claude-opus-5-5', { jobId })
  await spend(2_000_000_000, 'claude-haiku-5-5')
  await spend(5_000_000_000, 'claude-haiku-5-5', { occurredAt: new Date(Date.now() - 40 * 86_400_000) })
  const usage = JSON.parse((await flowforge('usage', '--json')).stdout) as UsageAnswer
  assert.equal(usage.costUsd, '3.000000001')
  assert.deepEqual(
    usage.rows.map(({ key, costUsd, calls, inputTokens }) => [key, costUsd, calls, inputTokens]),
    [
      ['claude-haiku-5-5', '2.00', 1, 10],
      ['claude-opus-5-5', '1.000000001', 1, 10],
    ],
  )
  const byJob = JSON.parse(
    (await flowforge('usage', '--by', 'job', '--since', '60d', '--json')).stdout,
  ) as UsageAnswer
  assert.equal(byJob.costUsd, '8.000000001')
  assert.deepEqual(
    byJob.rows.map(({ key }) => key),
    [null, jobId],
  )
  const shown = await flowforge('usage')
  assert.match(shown.stdout, /claude-opus-5-5 +\$1\.000000001 +1 /)
  assert.match(shown.stdout, /total +\$3\.000000001/)
  assert.match((await flowforge('usage', '--since', 'yesterday')).stderr, /Type a day such as/)
})

test('a budget is set, listed with what is spent, changed, and removed', async () => {
  const set = await flowforge('budget', 'set', 'organization', '50', '--period', 'monthly', '--soft', '90')
  assert.match(set.stdout, /^Set: organization, monthly: \$50\.00, a notice at 90%; \$3\.000000001 spent\.$/m)
  await flowforge(
    'budget',
    'set',
    'organization',
    '60.5',
    '--period',
    'monthly',
    '--hard',
    '--time-zone',
    'Europe/Berlin',
  )
  const { budgets } = JSON.parse((await flowforge('budget', 'list', '--json')).stdout) as {
    budgets: BudgetAnswer[]
  }
  assert.equal(budgets.length, 1)
  const [one] = budgets
  assert.deepEqual(
    [one?.scope, one?.limitUsd, one?.spentUsd, one?.hard, one?.timeZone, one?.softPercent],
    ['organization', '60.50', '3.000000001', true, 'Europe/Berlin', 80],
  )
  assert.ok(Date.parse(one?.resetsAt ?? '') > Date.now())
  assert.match(
    (await flowforge('budget')).stdout,
    /organization +monthly +\$60\.50 +\$3\.000000001 +\$0\.00 +hard/,
  )
  assert.match((await flowforge('budget', 'remove', 'organization')).stdout, /^Removed/)
  assert.match((await flowforge('budget', 'list')).stderr, /No budgets/)
  assert.equal((await flowforge('budget', 'remove', 'organization')).status, 1)
})

test('scopes are named as people name them: a job by its number, a repository by its name', async () => {
  await api.within((trx) =>
    trx
      .insertInto('repositories')
      .values({
        ...{ id: newId(), organization_id: api.organizationId, name: 'shop' },
        address: 'https://example.com/shop.git',
      })
      .execute(),
  )
  const set = await flowforge(
    'budget',
    'set',
    'repository:shop',
    '5',
    '--period',
    'daily',
    '--hard',
    '--json',
  )
  assert.equal((JSON.parse(set.stdout) as BudgetAnswer).scope, 'repository:shop')
  for (const [scope, says] of [
    ['repository:none', /There is no repository none/],
    ['job:77', /There is no job 77/],
    ['planet:1', /not one of organization/],
    ['user:bob', /a user is named by its id/],
  ] as const)
    assert.match((await flowforge('budget', 'set', scope, '5')).stderr, says)
  assert.match((await flowforge('budget', 'set', 'organization', '1e9')).stderr, /Type an amount/)
})

test('costs need their own scope; prices are read with it', async () => {
  const { secret } = await api.within((trx) =>
    mintApiKey(trx, { organizationId: api.organizationId, name: 'poor', scopes: ['jobs:read'] }),
  )
  const headers = { authorization: `Bearer ${secret.reveal()}` }
  for (const path of ['budgets', 'usage', 'prices'])
    assert.equal((await fetch(`${api.url}/api/v1/${path}`, { headers })).status, 403, path)
  const prices = (await (await api.request('/api/v1/prices')).json()) as {
    models: { model: string; output: number }[]
  }
  assert.equal(prices.models.find(({ model }) => model === 'claude-opus-5-5')?.output, 20)
})
