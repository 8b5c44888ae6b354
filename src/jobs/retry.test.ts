import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentFailed, backOff, infrastructureFailed, INFRASTRUCTURE_LIMIT } from './retry.ts'

const why = { cause: 'unreachable', message: 'The remote did not answer.' }

test('an infrastructure failure is tried again, later each time, and ends at the limit', () => {
  assert.equal(infrastructureFailed({ infrastructure_failures: 0 }, why).kind, 'again')
  assert.equal(
    infrastructureFailed({ infrastructure_failures: INFRASTRUCTURE_LIMIT - 1 }, why).kind,
    'failed',
  )
})

test('an agent failure ends the job unless it asked for more attempts', () => {
  assert.equal(agentFailed({ agent_failures: 0, max_attempts: 1 }, why).kind, 'failed')
  assert.equal(agentFailed({ agent_failures: 0, max_attempts: 2 }, why).kind, 'again')
  assert.equal(agentFailed({ agent_failures: 1, max_attempts: 2 }, why).kind, 'failed')
})

test('back-off doubles, with jitter, up to five minutes', () => {
  assert.equal(
    backOff(0, 2_000, () => 0),
    2_000,
  )
  assert.equal(
    backOff(3, 2_000, () => 0),
    16_000,
  )
  assert.equal(
    backOff(30, 2_000, () => 0),
    300_000,
  )
  assert.equal(
    backOff(0, 2_000, () => 1),
    1_600,
  )
})
