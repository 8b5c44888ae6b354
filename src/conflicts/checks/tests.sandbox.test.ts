import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createLocalSandboxes, DEFAULT_LIMITS } from '#sandbox'
import type { Sandboxes } from '#sandbox'
import type { Check } from '../conflict.ts'
import { givenCheck } from './detect-tests.ts'
import type { ProjectCommand } from './detect-tests.ts'
import { runTests } from './tests.ts'

let home = ''
let sandboxes: Sandboxes
let number = 0

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'ff-checks-'))
  sandboxes = await createLocalSandboxes({
    home,
    allowWeaker: ['diskLimit', 'memoryLimit', 'processLimit', 'cpuLimit', 'inodeLimit', 'ownUserPerSandbox'],
  })
})
after(async () => {
  await sandboxes[Symbol.asyncDispose]()
  await rm(home, { recursive: true, force: true })
})

/** Trees are folders with one file `answer`, packed as tar. */
async function run(
  answers: Readonly<Record<'merged' | 'ours' | 'theirs', string>>,
  commands: readonly ProjectCommand[],
  timeLimitMs = 30_000,
): Promise<Check> {
  return runTests({
    sandboxes,
    commands,
    merged: answers.merged,
    parents: [answers.ours, answers.theirs],
    pack: async (tree) => {
      const folder = join(home, `tree-${number++}`)
      await mkdir(folder)
      await writeFile(join(folder, 'answer'), tree)
      execFileSync('tar', ['-cf', `${folder}.tar`, '-C', folder, '.'])
      return `${folder}.tar`
    },
    spec: { limits: DEFAULT_LIMITS, egress: { allow: [] }, toolchains: [], seccomp: 'default' },
    name: () => `checks-${process.pid}-${number++}`,
    timeLimitMs,
    signal: AbortSignal.timeout(120_000),
  })
}

const good = givenCheck('test "$(cat answer)" = good || { echo the answer is bad >&2; exit 3; }')

test('a merged tree whose tests succeed passes', async () => {
  const check = await run({ merged: 'good', ours: 'good', theirs: 'good' }, good)
  assert.equal(check.outcome, 'passed', check.reason)
})

test('a failure that neither side has is the merge’s', async () => {
  const check = await run({ merged: 'bad', ours: 'good', theirs: 'good' }, good)
  assert.equal(check.outcome, 'failed', check.reason)
  assert.match(check.reason, /failed \(3\): the answer is bad, and not on ours or theirs/)
})

test('a failure that a side has too proves nothing', async () => {
  const check = await run({ merged: 'bad', ours: 'good', theirs: 'bad' }, good)
  assert.equal(check.outcome, 'skipped')
  assert.match(check.reason, /on theirs as well/)
})

test('tests that never end run out of time', async () => {
  const check = await run(
    { merged: 'bad', ours: 'good', theirs: 'good' },
    givenCheck('test "$(cat answer)" = good || sleep 600'),
    2000,
  )
  assert.equal(check.outcome, 'failed')
  assert.match(check.reason, /ran out of time/)
})

test('a program that is not in the sandbox skips the layer', async () => {
  const check = await run({ merged: 'good', ours: 'good', theirs: 'good' }, [
    { kind: 'tests', argv: ['/no/such/program'] },
  ])
  assert.equal(check.outcome, 'skipped', check.reason)
})
