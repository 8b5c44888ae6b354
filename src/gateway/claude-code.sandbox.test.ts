/** The real Claude Code in a real sandbox, through the gate and the gateway, with the ledger in a real database. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { createModelGate, runTask, type AgentEvent } from '#agent'
import { costOfJob } from '#costs'
import { createListener, inOrganization } from '#db'
import { scriptedTask, startScriptedModel, type ScriptInput } from '#demo'
import { newId } from '#lib/ids.ts'
import { createLocalSandboxes, DEFAULT_LIMITS, findClaude } from '#sandbox'
import { createAuthenticator, ensureFirstOrganization, mintJobToken } from '#tenants'
import { createTestDatabase } from '#test/database.ts'
import { startGateway, type Gateway } from './index.ts'

const claudeBinary = findClaude()
const skip = claudeBinary === undefined ? 'the Claude Code binary is not installed' : false
const { databases, urls, log } = await createTestDatabase()
const { organizationId } = await ensureFirstOrganization(databases, {
  read: async () => undefined,
  write: async () => undefined,
})
const listener = await createListener(urls.system, log)
const authenticator = await createAuthenticator(databases, listener)
const model = await startScriptedModel()
const home = mkdtempSync('/tmp/ff-gateway-')
chmodSync(home, 0o755)
const allowWeaker = [
  'memoryLimit',
  'processLimit',
  'cpuLimit',
  'diskLimit',
  'inodeLimit',
  'ownUserPerSandbox',
]
const sandboxes = await createLocalSandboxes({ home, allowWeaker, ...(claudeBinary ? { claudeBinary } : {}) })
after(async () => {
  await sandboxes[Symbol.asyncDispose]()
  await model.close()
  await listener[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

function start(port: number): Promise<Gateway> {
  const config = {
    FLOWFORGE_HOST: '127.0.0.1',
    FLOWFORGE_GATEWAY_PORT: port,
    FLOWFORGE_UPSTREAM_URL: model.url,
    ANTHROPIC_API_KEY: undefined,
  }
  return startGateway({ config, databases, listener, authenticator, log })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function makeJob(models: readonly string[]) {
  const [id, executionId, repository] = [newId<'job'>(), newId<'execution'>(), newId()]
  const token = await inOrganization(databases, organizationId, async (trx) => {
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
    const expiresAt = new Date(Date.now() + 60_000)
    return mintJobToken(trx, { organizationId, jobId: id, executionId, models, expiresAt })
  })
  return { id, executionId, token }
}

type Options = { readonly models?: readonly string[]; readonly onEvent?: (event: AgentEvent) => void }

async function runThrough(gatewayUrl: string, script: ScriptInput, { models = [], onEvent }: Options = {}) {
  const job = await makeJob(models)
  const spec = {
    id: newId(),
    limits: { ...DEFAULT_LIMITS, diskBytes: 256 * 1024 ** 2, inodes: 20_000 },
    egress: { allow: [] },
    toolchains: [],
    seccomp: 'default',
  } as const
  const gate = createModelGate({ gatewayUrl, token: job.token, log })
  await using sandbox = await sandboxes.open(spec, { model: gate }, new AbortController().signal)
  const sessionId = crypto.randomUUID()
  const outcome = await runTask(
    { text: scriptedTask('Do it.', script), sessionId, variables: {} },
    { sandbox, onEvent: (event) => onEvent?.(event), messages: nobody() },
    new AbortController().signal,
  )
  const cost = await inOrganization(databases, organizationId, (trx) => costOfJob(trx, job.id))
  const calls = await databases.system
    .selectFrom('claude_api_usage')
    .selectAll()
    .where('job_id', '=', job.id)
    .execute()
  return { outcome, cost, calls, sessionId, job }
}

async function* nobody(): AsyncGenerator<string> {
  yield* await new Promise<string[]>(() => undefined)
}

const bash = (command: string) => ({ name: 'Bash', input: { command } })

test(
  'every call of a run is in the ledger when the run ends, and agrees with what Claude Code counts',
  { skip },
  async (t) => {
    const gateway = await start(0)
    t.after(() => gateway.close())
    const { outcome, cost, calls, sessionId, job } = await runThrough(gateway.url, {
      turns: [{ thinking: 'Hm.', tools: [bash('true')] }, { tools: [bash('true')] }, { text: 'Done.' }],
    })
    assert.equal(outcome.kind, 'done')
    assert.equal(calls.length, 3)
    for (const call of calls) {
      assert.equal(call.session_id, sessionId)
      assert.equal(call.execution_id, job.executionId)
      assert.deepEqual([call.simulated, call.estimated, call.price_known], [true, false, true])
    }
    assert.ok('usage' in outcome && outcome.usage)
    assert.equal(cost.nanoDollars, outcome.usage.estimatedNanoDollars)
    assert.equal(cost.simulated, true)
  },
)

test('a gateway that is restarted in the middle of a run does not break it', { skip }, async (t) => {
  const port = await freePort()
  let gateway = await start(port)
  t.after(() => gateway.close())
  let restarted: Promise<void> | undefined
  const { outcome, calls } = await runThrough(
    gateway.url,
    { turns: [{ tools: [bash('sleep 1')] }, { tools: [bash('true')] }, { text: 'Done.' }] },
    {
      onEvent: (event) => {
        if (event.kind === 'agent.tool') restarted ??= restart()
      },
    },
  )
  async function restart(): Promise<void> {
    await gateway.close()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    gateway = await start(port)
  }
  await restarted
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome))
  assert.equal(calls.length, 3)
})

test('a job that asks for a model it may not use ends with that reason', { skip }, async (t) => {
  const gateway = await start(0)
  t.after(() => gateway.close())
  const { outcome } = await runThrough(
    gateway.url,
    { turns: [{ text: 'x' }] },
    { models: ['claude-haiku-4-5'] },
  )
  assert.equal(outcome.kind, 'failed')
  assert.ok(outcome.kind === 'failed' && outcome.cause === 'not-permitted')
  assert.match(outcome.message, /not permitted for this job/)
})
