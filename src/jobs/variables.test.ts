import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkVariables } from './variables.ts'

for (const name of [
  'ANTHROPIC_API_KEY',
  'CLAUDE_CONFIG_DIR',
  'PATH',
  'LD_PRELOAD',
  'NODE_OPTIONS',
  'GIT_SSH_COMMAND',
  'https_proxy',
  'FLOWFORGE_HOME',
]) {
  test(`${name} is reserved`, () => {
    assert.throws(() => checkVariables({ [name]: 'x' }), { code: 'variable_reserved' })
  })
}

test('a value that looks like a secret is warned of, by name or by shape', () => {
  assert.equal(checkVariables({ DB_PASSWORD: 'x', REGION: 'eu', CLOUD: 'AKIAABCDEFGHIJKLMNOP' }).length, 2)
})
