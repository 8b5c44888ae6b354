import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { checkBranchName } from './branch-name.ts'

function isTaken(name: string): boolean {
  try {
    return checkBranchName(name) === name
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'branch_name')
    return false
  }
}

test('whatever we take, git takes too', () => {
  const parts = [
    'a',
    'main',
    'feature/x',
    'a.b',
    'a.lock',
    '.a',
    'a.',
    '@',
    'HEAD',
    'a@{b',
    'a..b',
    'a//b',
    '/a',
    'a/',
    '-a',
    'ä/ö',
    'a b',
    'a~b',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    'a\u007f',
    'a\tb',
    'x/.y',
    'x.lock/y',
    '',
  ]
  for (const one of parts) {
    for (const two of ['', 'b', '/b', '.b', '/-b', '.lock', '/@']) {
      const name = one + two
      const git = spawnSync('git', ['check-ref-format', `refs/heads/${name}`]).status === 0
      if (isTaken(name)) assert.ok(git, JSON.stringify(name))
      else if (git) assert.match(name, /^-|^HEAD$|^@$/, JSON.stringify(name))
    }
  }
})

test('names that git would take for something else are refused', () => {
  for (const name of ['-f', '--force', 'HEAD', '@', 'refs/heads/main', 'a'.repeat(201), 'a\ud800'])
    assert.equal(isTaken(name), false, name)
})
