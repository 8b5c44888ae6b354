import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Job, JobEvent } from '#api'
import { mintApiKey, mintJobToken, revokeApiKey } from '#tenants'
import { refuse } from '#lib/errors.ts'
import { follow } from './follow.ts'
import { createLive } from './live.ts'
import { newId } from '#lib/ids.ts'
import { startTestApi, type TestApi } from '#test/api.ts'

let api: TestApi
let folder: string
let origin: string
const closers: (() => Promise<void>)[] = []

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ff-api-origin-'))
  origin = join(folder, 'origin.git')
  const work = join(folder, 'work')
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder })
  git('init', '-q', '-b', 'main', work)
  git(
    '-C',
    work,
    '-c',
    'user.name=T',
    '-c',
    'user.email=t@localhost',
    'commit',
    '-q',
    '--allow-empty',
    '-m',
    'Begin',
  )
  git('clone', '-q', '--bare', work, origin)
  api = await startTestApi({ after: (work) => void closers.push(work) })
})
after(async () => {
  for (const close of closers.toReversed()) await close()
  rmSync(folder, { recursive: true, force: true })
})

const job = (more: object = {}) => ({
  repository: origin,
  task: 'Do it',
  into: 'main',
  agent: 'command',
  command: ['true'],
  ...more,
})

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return api.request(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
}

async function problemOf(response: Response): Promise<Record<string, string>> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  return (await response.json()) as Record<string, string>
}

/** Node's own client lets a test name any Host. */
async function rawStatus(headers: Record<string, string>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  httpRequest(`${api.url}/healthz`, { headers }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
    .on('error', reject)
    .end()
  return promise
}

test('a request without a key, with a wrong one, or with a job token is refused', async () => {
  const bare = await fetch(`${api.url}/api/v1/jobs`)
  assert.equal(bare.status, 401)
  assert.match(bare.headers.get('www-authenticate') ?? '', /^Bearer/)
  const problem = await problemOf(bare)
  assert.equal(problem['code'], 'not_authenticated')
  assert.equal(problem['requestId'], bare.headers.get('x-request-id'))
  const wrong = await fetch(`${api.url}/api/v1/jobs`, {
    headers: { authorization: `Bearer ff_${'A'.repeat(43)}` },
  })
  assert.equal(wrong.status, 401)

  const { job: made } = await api.client.submit(job() as never)
  const token = await api.within(async (trx) => {
    const executionId = newId<'execution'>()
    await trx.updateTable('jobs').set({ current_execution: executionId }).where('id', '=', made.id).execute()
    return mintJobToken(trx, {
      organizationId: api.organizationId,
      jobId: made.id as never,
      executionId,
      models: [],
      expiresAt: new Date(Date.now() + 60_000),
    })
  })
  const asJob = await fetch(`${api.url}/api/v1/jobs`, { headers: { 'x-api-key': token.reveal() } })
  assert.equal(asJob.status, 401)
})

test('x-api-key works like Bearer', async () => {
  const response = await fetch(`${api.url}/api/v1/jobs`, { headers: { 'x-api-key': api.apiKey } })
  assert.equal(response.status, 200)
})

test('a key without the scope is told which one it needs', async () => {
  const { secret } = await api.within((trx) =>
    mintApiKey(trx, { organizationId: api.organizationId, name: 'reader', scopes: ['jobs:read'] }),
  )
  const response = await post('/api/v1/jobs', job(), { authorization: `Bearer ${secret.reveal()}` })
  assert.equal(response.status, 403)
  assert.match((await problemOf(response))['detail'] ?? '', /jobs:write/)
})

test('what is wrong with a request is named by its field', async () => {
  const cases: readonly (readonly [body: unknown, expected: RegExp])[] = [
    [{ ...job(), colour: 'red' }, /colour/],
    [{ ...job(), into: undefined }, /into: /],
    [{ ...job(), variables: { 'A-B': '1' } }, /variables\.A-B|A-B/],
    [{ ...job(), budgetUsd: '2,50' }, /budgetUsd: it must be a decimal number/],
    [{ ...job(), maxTurns: 0 }, /maxTurns: /],
  ]
  for (const [body, expected] of cases) {
    const response = await post('/api/v1/jobs', body)
    assert.equal(response.status, 400)
    const problem = await problemOf(response)
    assert.equal(problem['code'], 'invalid_request')
    assert.match(problem['detail'] ?? '', expected)
  }
})

test('bodies that are no JSON, of another type, or too large get their own answer', async () => {
  const headers = { 'content-type': 'application/json' }
  const broken = await api.request('/api/v1/jobs', { method: 'POST', body: '{"task":', headers })
  assert.equal((await problemOf(broken))['code'], 'invalid_request')
  const xml = await api.request('/api/v1/jobs', {
    method: 'POST',
    body: '<task/>',
    headers: { 'content-type': 'text/xml' },
  })
  assert.equal(xml.status, 415)
  assert.equal((await problemOf(xml))['code'], 'media_type')
  const huge = await post('/api/v1/jobs', { ...job(), task: 'x'.repeat(2_000_000) })
  assert.equal(huge.status, 413)
  assert.equal((await problemOf(huge))['code'], 'body_too_large')
  const long = await post('/api/v1/jobs', { ...job(), task: 'x'.repeat(1_000_000) })
  assert.equal(long.status, 413)
  const problem = await problemOf(long)
  assert.equal(problem['code'], 'task_too_large')
  assert.match(problem['detail'] ?? '', /1000000 bytes/)
})

test('prototype pollution in a body is refused', async () => {
  const text = JSON.stringify(job()).replace('{', '{"__proto__":{"polluted":1},')
  const response = await api.request('/api/v1/jobs', {
    method: 'POST',
    body: text,
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(response.status, 400)
})

test('unknown routes and jobs are told apart', async () => {
  const route = await api.request('/api/v1/nothing')
  assert.equal(route.status, 404)
  assert.equal((await problemOf(route))['code'], 'not_found')
  const unknown = await api.request('/api/v1/jobs/99999')
  assert.equal((await problemOf(unknown))['code'], 'job_not_found')
  const malformed = await api.request('/api/v1/jobs/..%2f..%2fetc')
  assert.equal(malformed.status, 400)
})

test('the same idempotency key makes one job, and another request with it is refused', async () => {
  const key = { 'idempotency-key': 'once' }
  const first = await post('/api/v1/jobs', job(), key)
  assert.equal(first.status, 201)
  const { job: made } = (await first.json()) as { job: Job }
  assert.equal(first.headers.get('location'), `/api/v1/jobs/${made.id}`)
  const second = await post('/api/v1/jobs', job(), key)
  assert.equal(second.status, 200)
  assert.equal(((await second.json()) as { job: Job }).job.id, made.id)
  const other = await post('/api/v1/jobs', job({ task: 'Another' }), key)
  assert.equal(other.status, 409)
  assert.equal((await problemOf(other))['code'], 'idempotency_conflict')
})

test('jobs are listed newest first, page by page', async () => {
  const made = []
  for (let i = 0; i < 3; i++)
    made.push((await api.client.submit(job({ title: `page ${i}` }) as never)).job.number)
  const first = await api.client.listJobs({ limit: 2 })
  assert.deepEqual(
    first.jobs.map(({ number }) => number),
    made.slice(1).toReversed(),
  )
  const next = await api.client.listJobs({ limit: 1, before: first.nextBefore ?? 0 })
  assert.equal(next.jobs[0]?.number, made[0])
})

test('a waiting job is cancelled at once and then nothing more can be done to it', async () => {
  const { job: made } = await api.client.submit(job() as never)
  assert.equal((await api.client.cancel(String(made.number))).state, 'cancelled')
  const tell = await post(`/api/v1/jobs/${made.id}/tell`, { text: 'hello' })
  assert.equal((await problemOf(tell))['code'], 'not_running')
  const approve = await api.request(`/api/v1/jobs/${made.id}/approve`, { method: 'POST' })
  assert.equal((await problemOf(approve))['code'], 'not_in_review')
  const again = await api.client.retry(made.id)
  assert.equal(again.retryOf, made.id)
})

test('a follower gets every event once and in order while they are written, and then the job', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const seen: JobEvent[] = []
  const reading = (async () => {
    const events = api.client.followEvents(made.id)
    for (;;) {
      const step = await events.next()
      if (step.done) return step.value
      seen.push(step.value)
    }
  })()
  for (let batch = 0; batch < 40; batch++) {
    await api.happen(
      made.id,
      Array.from({ length: 25 }, (_, i) => ({
        kind: 'agent.text',
        facts: { text: `${batch}.${i} \u2028 line\nbreak` },
      })),
    )
  }
  await api.client.cancel(made.id)
  const ended = await reading
  assert.equal(ended.state, 'cancelled')
  const numbers = seen.map(({ number }) => number)
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 1),
  )
  const texts = seen.filter(({ kind }) => kind === 'agent.text')
  assert.equal(texts.length, 1000)
  assert.equal(texts[26]?.facts['text'], '1.1 \u2028 line\nbreak')
})

test('a reader that was cut off resumes after the last event it saw', async () => {
  const { job: made } = await api.client.submit(job() as never)
  await api.happen(
    made.id,
    [1, 2, 3].map((n) => ({ kind: 'agent.text', facts: { text: String(n) } })),
  )
  const stop = new AbortController()
  const first = await api.request(`/api/v1/jobs/${made.id}/events`, { signal: stop.signal })
  assert.equal(first.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const reader = first.body!.getReader()
  let text = ''
  while (!/^id: 2$/m.test(text)) text += new TextDecoder().decode((await reader.read()).value)
  stop.abort()
  await api.client.cancel(made.id)
  const rest = await (
    await api.request(`/api/v1/jobs/${made.id}/events`, { headers: { 'last-event-id': '2' } })
  ).text()
  const ids = [...rest.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
  assert.deepEqual(ids, [3, 4, 5])
  assert.match(rest, /\nevent: end\ndata: \{.*"state":"cancelled".*\}\n\n$/)
  const over = await api.request(`/api/v1/jobs/${made.id}/events`, { headers: { 'last-event-id': '5' } })
  assert.equal(over.status, 204)
})

test('without following, events come as JSON', async () => {
  const { job: made } = await api.client.submit(job() as never)
  await api.happen(
    made.id,
    [1, 2, 3].map((n) => ({ kind: 'agent.text', facts: { text: String(n) } })),
  )
  const answer = await api.request(`/api/v1/jobs/${made.id}/events?follow=false&after=1&limit=2`)
  const { events } = (await answer.json()) as { events: JobEvent[] }
  assert.deepEqual(
    events.map(({ number }) => number),
    [2, 3],
  )
})

test('a key that was revoked meanwhile ends the stream it opened', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const { secret, id } = await api.within((trx) =>
    mintApiKey(trx, { organizationId: api.organizationId, name: 'short', scopes: ['jobs:read'] }),
  )
  const stop = new AbortController()
  const authenticate = async () => {
    const principal = await api.authenticator.authenticate(secret.reveal())
    if (!principal) throw refuse('not_authenticated', { where: 'nowhere' })
    return principal
  }
  const live = await createLive(api.listener)
  const steps = follow({
    jobs: api.jobs,
    live,
    name: made.id,
    after: 0,
    authenticate,
    quietMs: 50,
    signal: stop.signal,
  })
  assert.equal((await steps.next()).value?.kind, 'event')
  assert.equal((await steps.next()).value?.kind, 'quiet')
  await api.within((trx) => revokeApiKey(trx, id))
  await assert.rejects(async () => {
    for await (const { kind } of steps) assert.equal(kind, 'quiet')
  }, /API key is needed/)
  assert.equal(live.readers, 0)
})

test('a notification that is lost delays events and loses none', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const deaf = await createLive({ listen: async () => () => undefined })
  const principal = (await api.authenticator.authenticate(api.apiKey))!
  const steps = follow({
    jobs: api.jobs,
    live: deaf,
    name: made.id,
    after: 0,
    authenticate: async () => principal,
    quietMs: 50,
    signal: AbortSignal.timeout(10_000),
  })
  await steps.next()
  await api.happen(made.id, [{ kind: 'agent.text', facts: { text: 'late' } }])
  await api.client.cancel(made.id)
  const kinds: string[] = []
  for await (const step of steps)
    if (step.kind !== 'quiet') kinds.push(step.kind === 'event' ? step.event.kind : step.kind)
  assert.deepEqual(kinds, ['agent.text', 'job.cancelled', 'end'])
})

test('hundreds of readers of one job leave connections for everybody else', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const live = await createLive(api.listener)
  const principal = (await api.authenticator.authenticate(api.apiKey))!
  let looking = 0
  let most = 0
  const counted = async <T>(look: Promise<T>): Promise<T> => {
    most = Math.max(most, (looking += 1))
    return look.finally(() => (looking -= 1))
  }
  const stop = new AbortController()
  const readers = Array.from({ length: 200 }, async () => {
    const kinds: string[] = []
    for await (const step of follow({
      jobs: {
        read: (...args) => counted(api.jobs.read(...args)),
        events: (...args) => counted(api.jobs.events(...args)),
      },
      live,
      name: made.id,
      after: 0,
      authenticate: async () => principal,
      signal: stop.signal,
    }))
      kinds.push(step.kind)
    return kinds
  })
  await api.client.cancel(made.id)
  for (const kinds of await Promise.all(readers)) assert.deepEqual(kinds, ['event', 'event', 'end'])
  assert.equal(most, 4)
})

test('a NUL in a path is refused in words', async () => {
  for (const path of ['jobs?repository=%00', 'repositories/%00']) {
    const response = await fetch(`${api.url}/api/v1/${path}`, { headers: { 'x-api-key': api.apiKey } })
    assert.equal(response.status, 400, path)
  }
})

test('the log is plain text in which nothing moves a cursor', async () => {
  const { job: made } = await api.client.submit(job() as never)
  await api.happen(made.id, [
    {
      kind: 'agent.output',
      facts: { stream: 'stdout', text: '\u001b[2J\u001b]0;gotcha\u0007clean\u0008 <script>' },
    },
    { kind: 'from.the.future', facts: { some: 'thing' } },
  ])
  const response = await api.request(`/api/v1/jobs/${made.id}/log`)
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  const log = await response.text()
  assert.match(log, /agent\.output clean\\u\{8\} <script>/)
  assert.match(log, /from\.the\.future some=thing/)
  // oxlint-disable-next-line no-control-regex -- looked for on purpose
  assert.doesNotMatch(log, /[\u0000-\u0009\u000b-\u001f]/)
})

test('executions and the diff of a job that has none yet are empty', async () => {
  const { job: made } = await api.client.submit(job() as never)
  assert.deepEqual(await api.client.listExecutions(made.id), [])
  assert.equal(await api.client.readDiff(made.id), '')
})

test('repositories are registered, read and changed, and a credential is never answered', async () => {
  const created = await post('/api/v1/repositories', {
    name: 'shop',
    address: 'https://93.184.216.34/shop.git',
    credential: { kind: 'https_token', token: 'very-secret-token' },
    sensitivePaths: ['ci/**'],
  })
  const text = await created.text()
  assert.equal(created.status, 201, text)
  assert.doesNotMatch(text, /very-secret-token/)
  assert.equal((JSON.parse(text) as { credential: string }).credential, 'https_token')
  const changed = await api.client.changeRepository('shop', { credential: null, sensitivePaths: null })
  assert.equal(changed.credential, null)
  assert.equal(changed.sensitivePaths, null)
  assert.equal((await api.client.readRepository('shop')).address, 'https://93.184.216.34/shop.git')
  assert.ok((await api.client.listRepositories()).some(({ name }) => name === 'shop'))
})

test('an organization does not see the jobs of another', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const otherId = newId<'organization'>()
  await api.databases.system
    .insertInto('organizations')
    .values({ id: otherId, slug: 'other', name: 'Other' })
    .execute()
  const { inOrganization } = await import('#db')
  const { secret } = await inOrganization(api.databases, otherId, (trx) =>
    mintApiKey(trx, { organizationId: otherId, name: 'other', scopes: ['jobs:read'] }),
  )
  const headers = { authorization: `Bearer ${secret.reveal()}` }
  for (const path of ['', '/events', '/log', '/executions', '/diff']) {
    const response = await fetch(`${api.url}/api/v1/jobs/${made.id}${path}`, { headers })
    assert.equal(response.status, 404, path)
  }
})

test('web pages are kept out: foreign origins and rebound names', async () => {
  assert.equal(await rawStatus({ host: 'evil.example.com' }), 421)
  assert.equal(await rawStatus({ host: 'localhost:7420' }), 200)
  assert.equal(await rawStatus({ host: '127.0.0.1' }), 200)
  assert.equal(await rawStatus({ host: '127.0.0.1', origin: 'https://evil.example.com' }), 403)
  assert.equal(await rawStatus({ host: '127.0.0.1', origin: 'null' }), 403)
  assert.equal(await rawStatus({ host: '127.0.0.1:1', origin: 'http://127.0.0.1:2' }), 403)
  assert.equal(await rawStatus({ host: '127.0.0.1', 'sec-fetch-site': 'cross-site' }), 403)
})

test('health, readiness and metrics need no key and tell of no tenant', async () => {
  assert.equal((await fetch(`${api.url}/healthz`)).status, 200)
  assert.equal((await fetch(`${api.url}/readyz`)).status, 200)
  const metrics = await (await fetch(`${api.url}/metrics`)).text()
  assert.match(metrics, /^flowforge_jobs\{state="queued"\} [1-9]/m)
  assert.match(
    metrics,
    /^flowforge_http_request_duration_seconds_count\{method="GET",route="\/api\/v1\/jobs",status="200"\} /m,
  )
  assert.match(metrics, /^flowforge_queue_longest_wait_seconds /m)
  assert.doesNotMatch(metrics, /origin\.git|route="[^"]*99999/)
})

test('the API describes itself', async () => {
  const document = (await (await fetch(`${api.url}/api/v1/openapi.json`)).json()) as {
    openapi: string
    paths: object
  }
  assert.equal(document.openapi, '3.1.0')
  assert.ok('/api/v1/jobs/{job}/events' in document.paths)
})

test('a port that is taken is named with the setting to change', async (t) => {
  const { port } = new URL(api.url)
  const endings: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const end of endings.toReversed()) await end()
  })
  await assert.rejects(
    startTestApi({ after: (work) => void endings.push(work) }, Number(port)),
    new RegExp(`Port ${port} is in use.*FLOWFORGE_PORT`),
  )
})

test('while the database is away the answer is 503 and says so; when it is back, all goes on', async () => {
  const path = '/api/v1/jobs?limit=1'
  assert.equal((await api.request(path)).status, 200)
  await api.setReachable(false)
  const away = await api.request(path)
  assert.equal(away.status, 503)
  assert.equal((await problemOf(away))['code'], 'database_unavailable')
  assert.equal((await fetch(`${api.url}/readyz`)).status, 503)
  assert.equal((await fetch(`${api.url}/healthz`)).status, 200)
  await api.setReachable(true)
  assert.equal((await api.request(path)).status, 200)
})

test('closing ends open streams at once', async () => {
  const { job: made } = await api.client.submit(job() as never)
  const response = await api.request(`/api/v1/jobs/${made.id}/events`)
  const reader = response.body!.getReader()
  let text = ''
  while (!/^id: 1$/m.test(text)) text += new TextDecoder().decode((await reader.read()).value)
  const before = Date.now()
  const closed = api.close()
  while (!(await reader.read()).done);
  await closed
  assert.ok(Date.now() - before < 3_000)
})
