/** Looks at this machine and says, for each thing that FlowForge needs, whether it is there and how to get it. */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { readConfig, type Config } from '#config'
import { missing, ok, warning, type Finding } from './finding.ts'
import { installCommand } from './packages.ts'
import { examineSandbox } from './sandbox.ts'

const run = promisify(execFile)
const NODE_NEEDED = 24
const GIT_NEEDED = '2.38'
const GIB = 1024 ** 3

export async function examineHost(config: Config = readConfig()): Promise<readonly Finding[]> {
  const findings = await Promise.all([
    examineNode(),
    examineGit(),
    examineSandbox(config),
    examineHome(config.FLOWFORGE_HOME),
    examinePort('API', config.FLOWFORGE_HOST, config.FLOWFORGE_PORT, 'FLOWFORGE_PORT'),
    examinePort('gateway', config.FLOWFORGE_HOST, config.FLOWFORGE_GATEWAY_PORT, 'FLOWFORGE_GATEWAY_PORT'),
    examineDatabase(config),
    examineModel(config),
  ])
  return findings.flat()
}

async function examineNode(): Promise<Finding> {
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= NODE_NEEDED) return ok('Node', node)
  return missing(
    'Node',
    node,
    `FlowForge needs Node ${NODE_NEEDED}: run \`npm ci\`, which brings its own, and start ./bin/flowforge.`,
  )
}

async function examineGit(): Promise<Finding> {
  try {
    const { stdout } = await run('git', ['--version'], { timeout: 10_000 })
    const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? '0'
    if (isAtLeast(version, GIT_NEEDED)) return ok('git', version)
    return missing('git', version, `git ${GIT_NEEDED} or newer is needed: ${installCommand('git')}`)
  } catch {
    return missing('git', 'not found', installCommand('git'))
  }
}

export function isAtLeast(version: string, needed: string): boolean {
  const [a, b] = [version, needed].map((text) => text.split('.').map(Number))
  for (let i = 0; i < b!.length; i++) if ((a![i] ?? 0) !== b![i]) return (a![i] ?? 0) > b![i]!
  return true
}

async function examineHome(home: string): Promise<readonly Finding[]> {
  let folder = home
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch {
    return [missing('home', `${home} cannot be written`, 'Set FLOWFORGE_HOME to a folder of yours.')]
  }
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  const found = `${(free / GIB).toFixed(1)} GiB free`
  const remedy = 'Free some space, or set FLOWFORGE_HOME to a larger disk.'
  const disk =
    free < GIB
      ? missing('disk', found, remedy)
      : free < 10 * GIB
        ? warning('disk', found, remedy)
        : ok('disk', found)
  return [ok('home', home), disk]
}

async function examinePort(what: string, host: string, port: number, variable: string): Promise<Finding> {
  const name = `port of the ${what}`
  if (port === 0) return ok(name, 'any free one')
  if (await isFree(host, port)) return ok(name, `${port} is free`)
  const answer = await fetch(`http://${host}:${port}/healthz`, { signal: AbortSignal.timeout(2_000) }).catch(
    () => undefined,
  )
  if (answer?.ok) return ok(name, `${port}, FlowForge runs there`)
  return missing(
    name,
    `${port} is in use by another program`,
    `Set ${variable} to a free port, or end that program.`,
  )
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  server.once('error', () => resolve(false))
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}

async function examineDatabase({ FLOWFORGE_DATABASE_URL: url }: Config): Promise<Finding> {
  if (url === undefined) return ok('database', 'its own PostgreSQL, started with FlowForge')
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionString: url.reveal(),
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ number: string; shown: string }>(
      "select current_setting('server_version_num') as number, current_setting('server_version') as shown",
    )
    const major = Math.floor(Number(rows[0]?.number) / 10_000)
    const found = `PostgreSQL ${rows[0]?.shown}`
    if (major >= 15) return ok('database', found)
    return missing(
      'database',
      found,
      'FlowForge needs PostgreSQL 15 to 18. Without FLOWFORGE_DATABASE_URL it runs its own.',
    )
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return missing(
      'database',
      problem,
      'Check FLOWFORGE_DATABASE_URL, or unset it: then FlowForge runs its own.',
    )
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function examineModel({
  ANTHROPIC_API_KEY: key,
  FLOWFORGE_UPSTREAM_URL: upstream,
}: Config): Promise<Finding> {
  if (key !== undefined) return ok('model', `Claude, by ${upstream}`)
  return warning(
    'model',
    'no ANTHROPIC_API_KEY: the demo uses a scripted model, and Claude jobs of your own cannot run',
    'export ANTHROPIC_API_KEY=sk-ant-… (a Claude subscription cannot be used)',
  )
}
