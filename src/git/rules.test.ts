import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress } from './address.ts'
import { createHostGuard } from '#lib/networks.ts'
import { readMergeTree } from './merge.ts'
import { branchNameProblem, headOf } from './names.ts'
import { changeProblem, collisions, isGitFolder, linkProblem } from './path-rules.ts'
import { printable } from './run-git.ts'

test('branch names that could be an option, a range or a path trick are refused (T11)', () => {
  const bad = [
    '',
    '-d',
    '--upload-pack=x',
    '-oProxyCommand=x',
    'a b',
    'a\nb',
    'a\tb',
    'a..b',
    'a@{1}',
    '@',
    'HEAD',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'a.lock',
    'a.LOCK/b',
    'a.',
    'a^',
    'a~1',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    'a\u007f',
    '\ud800',
    'x'.repeat(201),
  ]
  for (const name of bad) {
    assert.ok(branchNameProblem(name), JSON.stringify(name))
    assert.throws(() => headOf(name), /not a ref name/)
  }
  for (const name of [
    'main',
    'feature/a-b_c.d',
    'ünï',
    'a\u3000b',
    '$(touch${IFS}x)',
    'a;b',
    "a'b",
    'a`b`',
    'a|b',
    'a&b',
  ])
    assert.equal(branchNameProblem(name), undefined, name)
})

test('an address is https, ssh or an absolute path', () => {
  assert.equal(parseAddress('https://example.com/a/b.git').kind, 'https')
  assert.equal(parseAddress('https://[2606:4700::1111]:8443/a').kind, 'https')
  assert.deepEqual(parseAddress('git@example.com:a/b.git'), {
    kind: 'ssh',
    host: 'example.com',
    port: 22,
    url: 'git@example.com:a/b.git',
  })
  assert.deepEqual(parseAddress('ssh://me@example.com:2222/a/b.git'), {
    kind: 'ssh',
    host: 'example.com',
    port: 2222,
    url: 'ssh://me@example.com:2222/a/b.git',
  })
  assert.deepEqual(parseAddress('/srv/../srv/a.git'), { kind: 'path', path: '/srv/a.git' })
  const bad = [
    'file:///etc',
    'ext::sh -c x',
    'http://example.com/a',
    'git://example.com/a',
    '--upload-pack=x',
    '-x',
    'a/b',
    '../a',
    '~/a',
    'https://user:token@example.com/a',
    'https://token@example.com/a',
    'https://example.com',
    'https://example.com/a?x=1',
    'https://-x/a',
    'ssh://-oProxyCommand=x/a',
    'ssh://git@-oProxyCommand=x/a',
    'git@-oProxyCommand=x:a',
    '-oX@host:a',
    'ssh://git:pw@example.com/a',
    'ssh://git@example.com/-x',
    'https://example.com/a\nb',
    'fd::17',
    'C:\\a',
  ]
  for (const text of bad) assert.equal(parseAddress(text).kind, 'wrong', text)
})

test('private addresses are refused unless a network is allowed', async () => {
  const check = createHostGuard([])
  for (const host of [
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '192.168.0.1',
    '172.31.0.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    'fd00::1',
    'fe80::1',
    '64:ff9b::a00:1',
    'localhost',
  ])
    assert.equal((await check(host)).kind, 'private', host)
  for (const host of ['93.184.215.14', '2606:4700::1111'])
    assert.deepEqual(await check(host), { kind: 'addresses', addresses: [host] })
  assert.equal((await createHostGuard(['10.1.0.0/16'])('10.1.2.3')).kind, 'addresses')
  assert.equal((await createHostGuard(['10.1.0.0/16'])('10.2.2.3')).kind, 'private')
})

test('names that mean .git somewhere are seen (T16)', () => {
  for (const name of [
    '.git',
    '.GIT',
    '.Git',
    '.g\u200cit',
    '.git\ufeff',
    '.git.',
    '.git ',
    '.git . .',
    'git~1',
    'GIT~1',
    '.git::$INDEX_ALLOCATION',
    '.git:x',
    'a\\.git',
  ])
    assert.ok(isGitFolder(name), JSON.stringify(name))
  for (const name of ['.gitignore', 'git', '.github', '.gitx', 'x.git', 'git~a'])
    assert.ok(!isGitFolder(name), name)
})

const change = (path: string | Buffer, newMode = '100644', oldMode = '000000') => ({
  path: Buffer.from(path as string),
  status: oldMode === '000000' ? 'A' : 'M',
  oldMode,
  newMode,
  newId: '',
})
const rule = (...args: Parameters<typeof change>) => changeProblem(change(...args), { pathBytes: 100 })

test('paths that leave the tree, confuse people or break Windows are refused', () => {
  for (const path of [
    '../a',
    'a/../b',
    '/a',
    'a//b',
    './a',
    'a/.git/config',
    '.GIT/hooks/x',
    'a\nb',
    'a\u0007',
    'x'.repeat(101),
    'con',
    'a/NUL.txt',
    'com1',
    'aux.c',
    'a.',
    'a /b',
    'a\\b',
  ])
    assert.ok(rule(path), path)
  assert.ok(changeProblem({ ...change(''), path: Buffer.from([0x61, 0xff]) }, { pathBytes: 100 }))
  assert.equal(rule('aux.c', '100644', '100644'), undefined, 'an old name may be changed')
  assert.equal(rule('../a', '000000', '100644'), undefined, 'anything may be deleted')
  assert.match(rule('sub', '160000') ?? '', /submodule/)
  assert.match(rule('.gitmodules') ?? '', /gitmodules/)
  assert.match(rule('a/.gitattributes', '120000') ?? '', /symbolic link/)
  for (const path of ['a', 'a b/ünï', '.github/workflows/x.yml', 'console.ts', '日本.txt'])
    assert.equal(rule(path), undefined, path)
})

test('symbolic links stay inside the tree', () => {
  const link = (path: string, target: string) => linkProblem(path, Buffer.from(target))
  for (const [path, target] of [
    ['a', '/etc/passwd'],
    ['a', '..'],
    ['a', '../b'],
    ['d/a', '../../b'],
    ['a', 'b/../../c'],
    ['a', 'b/../c'],
    ['a', '.git/config'],
    ['d/a', '../.GIT'],
    ['a', ''],
    ['a', 'b\nc'],
    ['a', 'c:\\x'],
  ] as const)
    assert.ok(link(path, target), `${path} -> ${target}`)
  for (const [path, target] of [
    ['a', 'b'],
    ['d/a', '../b'],
    ['d/e/a', '../../b/c'],
    ['a', './b'],
    ['d/a', '..'],
  ] as const)
    assert.equal(link(path, target), undefined, `${path} -> ${target}`)
})

test('names that differ only in case collide, whole paths and folders', () => {
  assert.deepEqual(collisions(['a', 'A', 'b'], ['A']), [['a', 'A']])
  assert.deepEqual(collisions(['src/x', 'Src/y'], ['Src/y']), [['src', 'Src']])
  assert.deepEqual(collisions(['e\u0301', '\u00e9'], ['\u00e9']), [['e\u0301', '\u00e9']])
  assert.deepEqual(collisions(['a', 'A', 'b'], ['b']), [])
})

test('merge-tree is read whatever follows its messages', () => {
  const tree = 'a'.repeat(40)
  const records = [
    tree,
    'f',
    'g',
    '',
    '1',
    'f',
    'Auto-merging',
    'Auto-merging f\n',
    '1',
    'f',
    'CONFLICT (contents)',
    'CONFLICT (content): in f\n',
  ]
  const advice = Buffer.from('Recursive merging with submodules currently only supports trivial cases.\n')
  const output = Buffer.concat([Buffer.from(`${records.join('\0')}\0`), advice])
  assert.deepEqual(readMergeTree(output, false), {
    kind: 'conflicts',
    paths: ['f', 'g'],
    messages: ['CONFLICT (content): in f'],
  })
})

test('text of git loses terminal sequences and progress lines', () => {
  assert.equal(
    printable('a 1%\ra 100%\nremote: \u001b[31mno\u001b[0m\u0007\n'),
    'a 100%\nremote: [31mno[0m\n',
  )
})
