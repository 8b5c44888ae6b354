/**
 * Layer 4. The project's own compile and tests, in a sandbox, on the merged tree; when they fail, on both parents too:
 * only a failure that is new is the merge's.
 *
 * This is the one check that runs the repository's code, so without a sandbox it is skipped, and a failure that a parent
 * has too proves nothing in either direction: it is skipped as well.
 */
import type { Sandbox, Sandboxes, SandboxSpec } from '#sandbox'
import type { Check } from '../conflict.ts'
import type { ProjectCommand } from './detect-tests.ts'

export type TestRequest = {
  /** Undefined: no sandbox on this host, or none wanted. */
  readonly sandboxes: Sandboxes | undefined
  /** What to run, in order (see detectProject and givenCheck). */
  readonly commands: readonly ProjectCommand[]
  /** Trees by git id. */
  readonly merged: string
  readonly parents: readonly [ours: string, theirs: string]
  /** Writes the tree as a tar file somewhere on the host and answers with its path. */
  pack(tree: string): Promise<string>
  /** Limits, egress and toolchains of the sandboxes. */
  readonly spec: Omit<SandboxSpec, 'id'>
  /** Names of the sandboxes: one for each tree. */
  name(tree: string): string
  /** For each tree, all commands together. */
  readonly timeLimitMs: number
  readonly signal: AbortSignal
}

export async function runTests(request: TestRequest): Promise<Check> {
  const start = performance.now()
  const answer = (outcome: Check['outcome'], reason: string): Check => ({
    layer: 'tests',
    outcome,
    reason,
    ms: performance.now() - start,
  })
  const { sandboxes, commands } = request
  if (commands.length === 0)
    return answer('skipped', 'no tests were found in the project; name some with --check')
  if (!sandboxes) return answer('skipped', 'no sandbox: the project’s code is not run outside of one')
  const merged = await runTree(sandboxes, request, request.merged)
  if (merged.kind === 'passed') return answer('passed', `${said(commands)} succeed on the merged tree`)
  if (merged.kind === 'not-run') return answer('skipped', merged.why)
  for (const [i, tree] of request.parents.entries()) {
    const parent = await runTree(sandboxes, request, tree)
    const side = i === 0 ? 'ours' : 'theirs'
    if (parent.kind === 'not-run') return answer('skipped', `${merged.why}; on ${side}: ${parent.why}`)
    if (parent.kind === 'failed' && parent.command === merged.command)
      return answer('skipped', `${merged.why}, and on ${side} as well: nothing is proven`)
  }
  return answer('failed', `${merged.why}, and not on ours or theirs`)
}

type TreeRun =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly command: string; readonly why: string }
  /** The surroundings did not allow a judgement: no tool, no network, no room. */
  | { readonly kind: 'not-run'; readonly why: string }

async function runTree(sandboxes: Sandboxes, request: TestRequest, tree: string): Promise<TreeRun> {
  const { signal } = request
  const archive = await request.pack(tree)
  await using sandbox = await sandboxes.open({ ...request.spec, id: request.name(tree) }, {}, signal)
  await sandbox.put(archive, 'tree.tar')
  const unpacked = await sandbox.run(
    { argv: ['tar', '-xf', '/exchange/in/tree.tar', '-C', '/workspace'] },
    { signal },
  )
  if (unpacked.exitCode !== 0)
    return { kind: 'not-run', why: `the tree could not be unpacked: ${lastLine(unpacked.stderr)}` }
  const deadline = Date.now() + request.timeLimitMs
  for (const command of request.commands) {
    const outcome = await runCommand(sandbox, command, Math.max(1, deadline - Date.now()), signal)
    if (outcome.kind !== 'passed') return outcome
  }
  return { kind: 'passed' }
}

async function runCommand(
  sandbox: Sandbox,
  { kind, argv }: ProjectCommand,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<TreeRun> {
  const command = argv.join(' ')
  const { exitCode, ended, stdout, stderr } = await sandbox.run(
    { argv, env: { CI: '1' } },
    { signal, timeoutMs },
  )
  if (exitCode === 0 && ended === undefined) return { kind: 'passed' }
  const told = lastLine(stderr) || lastLine(stdout)
  // 126 and 127: the program is not there or may not run, which says nothing about the merge.
  if (exitCode === 127 || exitCode === 126)
    return { kind: 'not-run', why: `${command} is not in the sandbox` }
  if (kind === 'install') return { kind: 'not-run', why: `${command} did not succeed: ${told}` }
  const how =
    ended === 'timed-out'
      ? 'ran out of time'
      : ended === undefined
        ? `failed (${exitCode})`
        : `ended (${ended})`
  return { kind: 'failed', command, why: `${command} ${how}${told ? `: ${told}` : ''}` }
}

function said(commands: readonly ProjectCommand[]): string {
  return commands
    .filter(({ kind }) => kind !== 'install')
    .map(({ argv }) => argv.join(' '))
    .join(' and ')
}

/** The last thing it said, short and printable. */
function lastLine(output: Buffer): string {
  const lines = output
    .toString('utf8')
    .split('\n')
    .map((line) => line.replaceAll(/\p{C}+/gu, ' ').trim())
  return (lines.findLast(Boolean) ?? '').slice(0, 300)
}
