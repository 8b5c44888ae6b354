/** What is looked at without running anything: types, lint, format, and files that are made from others. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export type CheckResult = {
  readonly name: string
  readonly passed: boolean
  readonly output: string
  readonly seconds: number
}

const root = join(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)

const CHECKS: readonly (readonly [name: string, program: string, ...args: string[]])[] = [
  ['types', bin('tsc'), '--pretty', 'false'],
  ['lint', bin('oxlint'), '--quiet'],
  ['format', bin('oxfmt'), '--check', 'src', 'test', 'scripts', 'bench'],
  ['generated reference', process.execPath, join(root, 'scripts/generate-reference.ts'), '--check'],
]

/** One after the other where there are two cores: each uses all of them. */
export async function runChecks(report: (result: CheckResult) => void): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = []
  for (const [name, program, ...args] of CHECKS) {
    const result = await runCheck(name, program, args)
    report(result)
    results.push(result)
  }
  return results
}

async function runCheck(name: string, program: string, args: readonly string[]): Promise<CheckResult> {
  const start = performance.now()
  if (!existsSync(program))
    return { name, passed: false, output: `${program} is not there: run npm ci`, seconds: 0 }
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  const code = await promise
  return { name, passed: code === 0, output, seconds: (performance.now() - start) / 1000 }
}
