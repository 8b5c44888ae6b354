import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claudeCommand } from './claude-command.ts'

const task = { text: 'x', sessionId: 'the-session', variables: {} }

test('the variables of a job cannot replace what keeps the agent inside its lines', () => {
  const variables = {
    ANTHROPIC_BASE_URL: 'http://evil.example',
    CLAUDE_CONFIG_DIR: '/workspace',
    MINE: 'kept',
  }
  const { env } = claudeCommand({ ...task, variables })
  assert.equal(env?.['ANTHROPIC_BASE_URL'], 'http://gateway.invalid')
  assert.equal(env?.['CLAUDE_CONFIG_DIR'], '/state/claude')
  assert.equal(env?.['MINE'], 'kept')
})

test('only trusted configuration counts', () => {
  const { argv } = claudeCommand(task)
  const after = (flag: string) => argv[argv.indexOf(flag) + 1]
  assert.equal(after('--setting-sources'), 'user')
  assert.ok(argv.includes('--strict-mcp-config'))
  assert.equal((JSON.parse(after('--settings') ?? '') as Record<string, unknown>)['disableAllHooks'], true)
  assert.equal(after('--session-id'), 'the-session')
  assert.ok(
    !argv.some((word) => word.startsWith('--model')) &&
      !argv.includes('--max-turns') &&
      !argv.includes('--resume'),
  )
})

test('a job with a model uses it for everything it calls', () => {
  const { argv, env } = claudeCommand({ ...task, model: 'claude-sonnet-5-5', maxTurns: 7, resume: true })
  assert.deepEqual(argv.slice(argv.indexOf('--max-turns')), ['--max-turns', '7', '--model=claude-sonnet-5-5'])
  assert.ok(argv.includes('--resume'))
  assert.equal(env?.['ANTHROPIC_DEFAULT_HAIKU_MODEL'], 'claude-sonnet-5-5')
  assert.equal(claudeCommand({ ...task, model: 'opus' }).env?.['ANTHROPIC_DEFAULT_HAIKU_MODEL'], undefined)
})
