import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toRequest } from './commands/submit.ts'

test('what is not typed is not sent', () => {
  assert.deepEqual(toRequest('/r', 'Do it', { into: 'main' }), {
    repository: '/r',
    task: 'Do it',
    into: 'main',
    agent: 'claude',
  })
})

test('a command makes the agent a command, run by a shell', () => {
  const request = toRequest('/r', 'Format', { into: 'main', command: 'npx prettier -w .' })
  assert.equal(request.agent, 'command')
  assert.deepEqual(request.command, ['sh', '-c', 'npx prettier -w .'])
})

test('an agent and a command that do not fit are refused', () => {
  assert.throws(() => toRequest('/r', 'x', { into: 'main', agent: 'command' }), /--command/)
  assert.throws(
    () => toRequest('/r', 'x', { into: 'main', agent: 'claude', command: 'ls' }),
    /--agent command/,
  )
})

test('every option finds its field', () => {
  const request = toRequest('/r', 'x', {
    into: 'main',
    base: 'v1',
    title: 't',
    check: ['a', 'b'],
    setup: 's',
    model: 'm',
    maxTurns: 3,
    maxAttempts: 2,
    timeLimit: 60,
    budget: '1.5',
    priority: 7,
    var: { A: '1' },
    landing: 'branch',
    tag: { team: 'x' },
    idempotencyKey: 'k',
  })
  assert.deepEqual(request, {
    repository: '/r',
    task: 'x',
    into: 'main',
    base: 'v1',
    title: 't',
    agent: 'claude',
    model: 'm',
    maxTurns: 3,
    maxAttempts: 2,
    timeLimitSeconds: 60,
    budgetUsd: '1.5',
    setup: 's',
    checks: ['a', 'b'],
    variables: { A: '1' },
    landing: 'branch',
    priority: 7,
    costTags: { team: 'x' },
    idempotencyKey: 'k',
  })
})
