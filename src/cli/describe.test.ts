import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '#api'
import { describeEnd, describeJob, nextSteps, SCRIPTED } from './describe.ts'
import { exitCodeOf } from './exit-codes.ts'
import { duration } from './output.ts'

const job: Job = {
  id: '01a20d5f-d79f-7846-ac92-bc0435b69ffb',
  number: 12,
  state: 'succeeded',
  repository: 'shop',
  title: 'Fix it',
  task: 'Fix it\nand test it',
  agent: 'claude',
  command: null,
  model: null,
  base: 'main',
  into: 'main',
  landing: 'merge',
  setup: null,
  checks: ['npm test'],
  priority: 0,
  timeLimitSeconds: 3600,
  budgetUsd: '2.50',
  costTags: {},
  attempts: 1,
  maxAttempts: 1,
  costUsd: '0.12',
  simulated: false,
  cause: null,
  message: null,
  reviewReasons: [],
  baseCommit: 'a'.repeat(40),
  resultCommit: 'b'.repeat(40),
  resultBranch: null,
  landedCommit: 'c'.repeat(40),
  approvedBy: null,
  retryOf: null,
  createdBy: 'operator',
  createdAt: '2026-11-24T11:00:00.000Z',
  startedAt: '2026-11-24T11:00:01.000Z',
  finishedAt: '2026-11-24T11:02:01.000Z',
}

test('a job that a script answered says so wherever its result is shown', () => {
  const simulated = { ...job, simulated: true }
  assert.ok(describeJob(simulated, []).includes(SCRIPTED))
  assert.ok(describeEnd(simulated).includes(SCRIPTED))
  assert.ok(!describeJob(job, []).includes(SCRIPTED))
})

test('the commit to look at and the next command are shown', () => {
  const waiting: Job = {
    ...job,
    state: 'needs_review',
    landedCommit: null,
    message: 'CI files changed',
    reviewReasons: ['ci.yml'],
  }
  const text = describeJob(waiting, [])
  assert.ok(text.includes('b'.repeat(40)))
  assert.match(text, /flowforge approve 12 --commit bbbbbbbbbbbb/)
  assert.match(describeEnd(job), /succeeded on main as cccccccccccc/)
})

test('nothing that a job wrote reaches the terminal as control', () => {
  const hostile = {
    ...job,
    title: '\u001b[2Jx\u0007',
    message: 'a\u001b]52;c;eA==\u0007b',
    state: 'failed' as const,
    cause: 'exit',
  }
  // oxlint-disable-next-line no-control-regex -- looked for on purpose
  assert.doesNotMatch(describeJob(hostile, []) + describeEnd(hostile), /[\u0000-\u0009\u000b-\u001f]/)
})

test('every state has a next step and an exit code', () => {
  const expected = {
    queued: 1,
    running: 1,
    merging: 1,
    paused: 2,
    needs_review: 2,
    succeeded: 0,
    failed: 1,
    cancelled: 1,
  } as const
  for (const [state, code] of Object.entries(expected)) {
    assert.ok(nextSteps({ ...job, state: state as Job['state'] }).length > 0, state)
    assert.equal(exitCodeOf({ state: state as Job['state'] }), code, state)
  }
})

test('times are words', () => {
  assert.equal(duration(900), '1 s')
  assert.equal(duration(125_000), '2 min 5 s')
  assert.equal(duration(3_600_000 * 5), '5 h 0 min')
  assert.equal(duration(86_400_000 * 3), '3 days')
})
