/** bin/flowforge as people start it: a process of its own, with an environment made from nothing. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const ROOT = join(import.meta.dirname, '../..')
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string }
type Environment = Readonly<Record<string, string>>

/** Runs one command to its end. */
export async function flowforge(args: readonly string[], env: Environment, root = ROOT): Promise<Said> {
  return runToEnd(join(root, 'bin/flowforge'), args, env, root)
}

export async function runToEnd(
  program: string,
  args: readonly string[],
  env: Environment,
  cwd = '/',
  timeoutMs = 120_000,
): Promise<Said> {
  const child = spawn(program, args, {
    cwd,
    env: { PATH, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  const code = await promise
  clearTimeout(timer)
  return { code, stdout, stderr }
}

export type Up = {
  readonly child: ChildProcess
  readonly api: string
  readonly apiKey: string
  /** Everything `up --json` said. */
  readonly events: readonly Readonly<Record<string, unknown>>[]
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>
}

/** Starts `flowforge up` and waits until it is ready. */
export async function startUp(env: Environment): Promise<Up> {
  const child = spawn(join(ROOT, 'bin/flowforge'), ['up', '--json', '--print-key'], {
    env: { PATH, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const events: Record<string, unknown>[] = []
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as Record<string, unknown>
    events.push(event)
    if (event['event'] === 'ready') resolve(event)
  })
  void exited.then((code) => reject(new Error(`up ended with ${code}: ${stderr}`)))
  const ready = await promise
  return { child, api: String(ready['api']), apiKey: String(ready['apiKey']), events, exited }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Pids of processes that were started with this home, by their environment or their arguments. */
export function processesOf(home: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return ['environ', 'cmdline'].some((file) =>
          readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(home),
        )
      } catch {
        return false
      }
    })
}
