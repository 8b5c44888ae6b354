/** A sandbox with the work tree in it, its dependencies set up, and every tool that the job names there. */
import type { RequestListener } from 'node:http'
import { ignoreLeftOversCommand, unpackCommand } from '#git'
import { Refusal, refuse } from '#lib/errors.ts'
import type { EgressDecision, Sandbox } from '#sandbox'
import { restoreSession } from './checkpoints.ts'
import { findLayer, keepLayer, type Layer } from './layers.ts'
import { infrastructureFailed } from './retry.ts'
import { openScratch } from './scratch.ts'
import type { End, Why } from './settle.ts'
import type { Checkpoint } from './start.ts'
import { throwIfStopped } from './stop.ts'
import type { Work } from './work.ts'

export type Workspace = { readonly sandbox: Sandbox }

export type WorkspaceOptions = {
  readonly commit: string
  readonly checkpoint?: Checkpoint | undefined
  readonly gate?: RequestListener
}

export async function openWorkspace(
  work: Work,
  options: WorkspaceOptions,
): Promise<
  { readonly kind: 'open'; readonly workspace: Workspace } | { readonly kind: 'ended'; readonly end: End }
> {
  const { claim, tools, events, signal } = work
  const layer = await findLayer(work, options.commit)
  let sandbox: Sandbox
  try {
    sandbox = await tools.sandboxes.open(
      {
        id: claim.executionId,
        limits: tools.settings.limits,
        egress: tools.settings.egress,
        toolchains: tools.settings.toolchains,
        seccomp: 'default',
        ...(layer.path === undefined ? {} : { layer: layer.path }),
      },
      {
        ...(options.gate ? { model: options.gate } : {}),
        onEgress: tellEgress(events),
      },
      signal,
    )
  } catch (error) {
    throwIfStopped(signal)
    const problem = error instanceof Error ? error.message : String(error)
    tools.log.error({ err: error, job: claim.key.id }, 'sandbox.failed')
    // What the host cannot do it cannot do at the next try either.
    if (error instanceof Refusal)
      return { kind: 'ended', end: { kind: 'failed', cause: error.code, message: error.message } }
    return {
      kind: 'ended',
      end: infrastructureFailed(claim.job, {
        cause: 'sandbox',
        message: `The sandbox could not be opened: ${problem}`,
      }),
    }
  }
  // However this goes on, it is taken down when the job is settled.
  work.atEnd.use(sandbox)
  const failed = await fill(work, sandbox, options, layer)
  throwIfStopped(signal)
  return failed
    ? { kind: 'ended', end: { kind: 'failed', ...failed } }
    : { kind: 'open', workspace: { sandbox } }
}

const EGRESS_EVENTS = 2_000
const TARGET_CHARACTERS = 500

/** Evidence for people. An agent that asks in a loop, with kilobytes for a path, must not fill the database with it. */
function tellEgress(events: Work['events']): (decision: EgressDecision) => void {
  let told = 0
  return (decision) => {
    told += 1
    if (told > EGRESS_EVENTS) return
    events.write('sandbox.egress', {
      ...decision,
      target: decision.target.slice(0, TARGET_CHARACTERS),
      ...(told === EGRESS_EVENTS ? { last: 'what came after this one is not told' } : {}),
    })
  }
}

async function fill(
  work: Work,
  sandbox: Sandbox,
  options: WorkspaceOptions,
  layer: Layer,
): Promise<Why | undefined> {
  await bringIn(work, sandbox, options)
  const { job } = work.claim
  if (job.setup_command !== null && layer.key !== undefined) {
    if (layer.path !== undefined) work.events.write('setup.reused', { key: layer.key.slice(0, 12) })
    else {
      const failed = await setUp(work, sandbox, job.setup_command)
      if (failed) return failed
    }
    await sandbox.run(ignoreLeftOversCommand(), { timeoutMs: 60_000 })
    if (layer.path === undefined && !options.checkpoint) await keepLayer(work, sandbox, layer.key)
  }
  if (options.checkpoint) await restoreSession(work, sandbox, options.checkpoint)
  return findMissingTool(work, sandbox)
}

/** The work tree comes in as a bundle: the sandbox never sees the mirror, the remote or a credential. */
async function bringIn(
  work: Work,
  sandbox: Sandbox,
  { commit, checkpoint }: WorkspaceOptions,
): Promise<void> {
  await using scratch = await openScratch(work)
  const base = scratch.path('base.bundle')
  await work.mirror.writeInputBundle(commit, base, work.signal)
  await sandbox.put(base, 'base.bundle')
  if (checkpoint?.bundleBlob !== undefined) {
    const saved = scratch.path('checkpoint.bundle')
    await work.tools.blobs.getFile(checkpoint.bundleBlob, saved)
    await sandbox.put(saved, 'checkpoint.bundle')
  }
  const unpacked = await sandbox.run(
    unpackCommand({ commit, checkpoint: checkpoint?.bundleBlob !== undefined }),
    { timeoutMs: 10 * 60_000, signal: work.signal },
  )
  throwIfStopped(work.signal)
  if (unpacked.exitCode !== 0) {
    throw new Error(
      `the work tree could not be unpacked (exit ${unpacked.exitCode}): ${unpacked.stderr.toString().slice(-2_000)}`,
    )
  }
}

const SETUP_LIMIT_MS = 20 * 60_000

async function setUp(work: Work, sandbox: Sandbox, command: string): Promise<Why | undefined> {
  work.events.write('setup.started', { command })
  const result = await sandbox.run(
    { argv: ['/bin/sh', '-c', command], env: work.claim.job.variables as Record<string, string> },
    { timeoutMs: SETUP_LIMIT_MS, signal: work.signal, keepBytes: 8_192 },
  )
  throwIfStopped(work.signal)
  const output = Buffer.concat([result.stdout, result.stderr]).toString().slice(-4_000)
  work.events.write('setup.ended', { command, exitCode: result.exitCode, output })
  if (result.exitCode === 0) return undefined
  const how =
    result.ended === 'timed-out'
      ? `was not done after ${SETUP_LIMIT_MS / 60_000} minutes`
      : `ended with exit code ${result.exitCode}`
  return { cause: 'setup_failed', message: `The setup command ${how}: ${command}\n${output}` }
}

/** Names the first program of the job that is not in the sandbox: before a model is paid, not after. */
async function findMissingTool(work: Work, sandbox: Sandbox): Promise<Why | undefined> {
  const { job } = work.claim
  const programs = [
    ...(job.command ?? []).slice(0, 1),
    ...job.checks.map((check) => check.trim().split(/\s/, 1)[0] ?? ''),
  ]
  const names = [...new Set(programs)].filter((name) => /^[A-Za-z0-9._+-]+$/.test(name))
  if (names.length === 0) return undefined
  const result = await sandbox.run({
    argv: [
      '/bin/sh',
      '-c',
      'for name; do command -v "$name" >/dev/null || { echo "$name"; exit 3; }; done',
      'sh',
      ...names,
    ],
    network: false,
  })
  if (result.exitCode === 0) return undefined
  const tool = result.stdout.toString().trim().slice(0, 100)
  const { message } = refuse('tool_missing', {
    tool,
    remedy:
      'Install it on the host under /usr, name its folder in FLOWFORGE_TOOLCHAINS, or bring it with --setup.',
  })
  return { cause: 'tool_missing', message }
}
