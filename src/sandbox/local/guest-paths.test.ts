import assert from 'node:assert/strict'
import { test } from 'node:test'
import { translateCommand, translateGuestPaths } from './guest-paths.ts'

const translate = translateGuestPaths({
  '/workspace': '/h/disk/workspace',
  '/exchange/in': '/h/in',
  '/tmp': '/h/disk/tmp',
  '/opt/ff': '/h/opt',
  '/opt/ff/node': '/n/node',
  '/etc/ca.pem': '/h/ca.pem',
})

test('a guest path is found wherever it stands by itself', () => {
  const cases = [
    ['/workspace', '/h/disk/workspace'],
    ['/workspace/a b', '/h/disk/workspace/a b'],
    ['cd /workspace && tar -xf "/exchange/in/$1"', 'cd /h/disk/workspace && tar -xf "/h/in/$1"'],
    ['--prefix=/workspace:/tmp', '--prefix=/h/disk/workspace:/h/disk/tmp'],
    ['/opt/ff/node -e 1', '/n/node -e 1'],
    ['/usr/bin:/opt/ff', '/usr/bin:/h/opt'],
    ['/etc/ca.pem', '/h/ca.pem'],
  ] as const
  for (const [text, expected] of cases) assert.equal(translate(text), expected)
})

test('a longer name, a path below another one and a host path stay as they are', () => {
  for (const text of ['/workspaces', '/workspace-2', '/a/workspace', './tmp', '/var/tmp/x', '/etc/caXpem'])
    assert.equal(translate(text), text)
  assert.equal(translate(translate('/workspace/x')), '/h/disk/workspace/x')
})

test('arguments, folder and variables of a command are translated', () => {
  assert.deepEqual(
    translateCommand({ argv: ['cat', '/tmp/x'] }, { HOME: '/workspace/h', KEPT: '/usr' }, translate),
    {
      argv: ['cat', '/h/disk/tmp/x'],
      cwd: '/h/disk/workspace',
      env: { HOME: '/h/disk/workspace/h', KEPT: '/usr' },
    },
  )
})
