/**
 * The gateway side by side with what else there is, in one run on one machine, each in a process of its own:
 *
 *   node bench/gateway/run.ts [--seconds 5] [--portkey FOLDER] [--requests 100000] [--markdown FILE]
 *
 * `--portkey`: a folder where @portkey-ai/gateway 1.15.2 is installed with the override @hono/node-server 1.13.5.
 * `--requests`: afterwards so many more through FlowForge, with its memory before and after.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { fromUsd, setBudget } from '#costs'
import { inOrganization } from '#db'
import { newId } from '#lib/ids.ts'
import { ensureFirstOrganization, mintApiKey } from '#tenants'
import { createTestDatabase } from '#test/database.ts'
import { run, type Figures } from './load.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    portkey: { type: 'string' },
    requests: { type: 'string', default: '0' },
    markdown: { type: 'string' },
    only: { type: 'string' },
  },
})
const ms = Number(values.seconds) * 1000
const children: ChildProcess[] = []
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
const endings: (() => Promise<void>)[] = []
const folder = mkdtempSync(join(tmpdir(), 'ff-gateway-bench-'))

const here = import.meta.dirname
const db = await createTestDatabase({ after: (work) => endings.push(work) })
const { organizationId } = await ensureFirstOrganization(db.databases, {
  read: async () => undefined,
  write: async () => undefined,
})
const mint = () =>
  inOrganization(db.databases, organizationId, (trx) =>
    mintApiKey(trx, { organizationId, name: 'bench', scopes: ['gateway:use'] }),
  )
const soft = await mint()
const hard = await mint()
const boss = { kind: 'key', organizationId, keyId: soft.id, scopes: ['costs:write'], name: 'bench' } as const
for (const [key, isHard] of [
  [soft, false],
  [hard, true],
] as const)
  await setBudget(db.databases, boss, {
    scope: 'api_key',
    scopeId: key.id,
    period: 'monthly',
    hard: isHard,
    limitNano: fromUsd('1000000'),
  })

/** About what Claude Code sends first: 49 KB. */
function bodyOf(stream: boolean): Buffer {
  const tools = Array.from({ length: 12 }, (_, at) => ({
    name: `tool_${at}`,
    description: 'Does what it is told, and says what came of it. '.repeat(52),
    input_schema: {
      type: 'object',
      properties: { path: { type: 'string', description: 'An absolute path.' }, limit: { type: 'number' } },
    },
  }))
  const call = {
    ...{ model: 'claude-opus-5-5', max_tokens: 32_000, stream, thinking: { type: 'adaptive' } },
    system: [{ type: 'text', text: 'You are an agent. '.repeat(900), cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'say hi' }] }],
    tools,
    metadata: { user_id: newId() },
  }
  return Buffer.from(JSON.stringify(call))
}

async function startPrinting(file: string, ...args: string[]): Promise<number> {
  const child = spawn(process.execPath, [join(here, file), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return Number(chunk.toString().trim())
}

type Path = {
  readonly name: string
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly pid?: number | undefined
}
const upstreamPort = await startPrinting('upstream.ts')
const upstreamUrl = `http://127.0.0.1:${upstreamPort}`
const barePort = await startPrinting('bare-proxy.ts', upstreamUrl)
const flowforge = fork(join(here, 'flowforge.ts'))
children.push(flowforge)
flowforge.send({ urls: db.urls, upstreamUrl, logFile: join(folder, 'gateway.log') })
const [{ port: flowforgePort }] = (await once(flowforge, 'message')) as [{ port: string }]

const claude = { 'anthropic-version': '2023-06-01', 'user-agent': 'claude-cli/2.1.330' }
const paths: Path[] = [
  { name: 'direct', port: upstreamPort, headers: claude },
  { name: 'bare proxy', port: barePort, headers: claude },
  {
    name: 'FlowForge, soft budget',
    port: Number(flowforgePort),
    headers: { ...claude, 'x-api-key': soft.secret.reveal() },
    pid: flowforge.pid,
  },
  {
    name: 'FlowForge, hard budget',
    port: Number(flowforgePort),
    headers: { ...claude, 'x-api-key': hard.secret.reveal() },
    pid: flowforge.pid,
  },
]
if (values.portkey !== undefined) {
  const port = 18_787
  const child = spawn(
    process.execPath,
    ['node_modules/@portkey-ai/gateway/build/start-server.js', '--headless', `--port=${port}`],
    {
      cwd: values.portkey,
      env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production' },
      stdio: 'ignore',
    },
  )
  children.push(child)
  await sleep(3000)
  const headers = {
    ...claude,
    'x-portkey-provider': 'anthropic',
    'x-portkey-custom-host': `${upstreamUrl}/v1`,
    'x-api-key': 'k',
  }
  paths.push({ name: 'Portkey 1.15.2', port, headers, pid: child.pid })
}

const rows: string[] = []
const say = (row: string): void => {
  rows.push(row)
  console.log(row)
}
say(
  `| path | answer | c=1 p50 ms | c=1 p99 ms | c=16 req/s | c=16 p99 ms | c=64 req/s | c=64 p99 ms | memory MB |`,
)
say(`|---|---|---|---|---|---|---|---|---|`)
for (const kind of ['json', 'sse'] as const)
  for (const path of paths) {
    if (values.only !== undefined && !path.name.includes(values.only)) continue
    const load = {
      port: path.port,
      path: '/v1/messages?beta=true',
      headers: path.headers,
      body: bodyOf(kind === 'sse'),
    }
    const at: Figures[] = []
    await run({ ...load, connections: 16, ms: 1000 })
    for (const connections of [1, 16, 64]) at.push(await run({ ...load, connections, ms }))
    const [one, sixteen, many] = at
    if (!one || !sixteen || !many) continue
    const failed = at.reduce((sum, { failed: count }) => sum + count, 0)
    const number = (value: number): string => value.toFixed(value < 100 ? 2 : 0)
    say(
      `| ${path.name}${failed > 0 ? ` (${failed} failed)` : ''} | ${kind} | ${number(one.p50)} | ${number(one.p99)} | ${number(sixteen.perSecond)} | ${number(sixteen.p99)} | ${number(many.perSecond)} | ${number(many.p99)} | ${memoryOf(path.pid)} |`,
    )
  }

const wanted = Number(values.requests)
if (wanted > 0) {
  const [, , path] = paths
  if (path) {
    const load = {
      port: path.port,
      path: '/v1/messages',
      headers: path.headers,
      body: bodyOf(false),
      connections: 16,
    }
    let done = 0
    const memory: string[] = [memoryOf(path.pid)]
    while (done < wanted) {
      done += (await run({ ...load, ms: 5000 })).requests
      memory.push(memoryOf(path.pid))
    }
    say(`\nMemory of FlowForge's gateway over ${done} more requests, in MB: ${memory.join(', ')}.`)
  }
}
await sleep(1500)
const { calls } = await db.databases.system
  .selectFrom('claude_api_usage')
  .select((eb) => eb.fn.countAll<number>().as('calls'))
  .executeTakeFirstOrThrow()
say(
  `\n${calls} calls are in the ledger. ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} at the end.`,
)
if (values.markdown !== undefined) writeFileSync(values.markdown, `${rows.join('\n')}\n`)

for (const child of children) child.kill('SIGKILL')
for (const end of endings) await end()
rmSync(folder, { recursive: true })

function memoryOf(pid: number | undefined): string {
  if (pid === undefined) return '-'
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return String(Math.round(Number(kb) / 1024))
}
