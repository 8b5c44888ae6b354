/** The checks of a job, run in a sandbox on the merged tree: what lands is what was tested. */
import { stopReasonOf } from './stop.ts'
import type { Work } from './work.ts'
import { openWorkspace } from './workspace.ts'

export type Checked =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly cause: string; readonly message: string }
  | { readonly kind: 'interrupted'; readonly message: string }
  | { readonly kind: 'stopped' }

const CHECK_LIMIT_MS = 30 * 60_000

export async function runChecks(work: Work, commit: string): Promise<Checked> {
  const { claim, events, signal } = work
  const { checks, variables } = claim.job
  if (checks.length === 0) return { kind: 'passed' }
  const opened = await openWorkspace(work, { commit })
  if (opened.kind === 'ended') {
    const { end } = opened
    if (end.kind === 'failed') return { kind: 'failed', cause: end.cause, message: end.message }
    return {
      kind: 'interrupted',
      message: 'message' in end ? end.message : 'The sandbox could not be opened.',
    }
  }
  const { workspace } = opened
  for (const check of checks) {
    events.write('check.started', { check })
    const result = await workspace.sandbox.run(
      { argv: ['/bin/sh', '-c', check], env: variables as Record<string, string> },
      { signal, timeoutMs: CHECK_LIMIT_MS, keepBytes: 16_384 },
    )
    if (stopReasonOf(signal)) return { kind: 'stopped' }
    const output = Buffer.concat([result.stdout, result.stderr]).toString().slice(-8_000)
    events.write('check.ended', { check, exitCode: result.exitCode, output })
    if (result.exitCode !== 0) {
      const how =
        result.ended === 'timed-out'
          ? `was not done after ${CHECK_LIMIT_MS / 60_000} minutes`
          : `failed (exit ${result.exitCode})`
      return {
        kind: 'failed',
        cause: 'checks_failed',
        message: `On the merged tree the check ${how}: ${check}\n${output.slice(-2_000)}`,
      }
    }
  }
  return { kind: 'passed' }
}
