import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { blockedBy, checksOf, lines } from './fixture.ts'
import { closeParsers } from './index.ts'

after(closeParsers)

/** The same text on all sides, so that only what the test says differs. */
function same(
  path: string,
  text: string,
  result: string,
): { path: string; base: string; ours: string; theirs: string; result: string } {
  return { path, base: text, ours: text, theirs: text, result }
}

const broken: readonly (readonly [path: string, good: string, bad: string])[] = [
  ['a.py', 'def f(a):\n    return a\n', 'def f(a:\n    return a\n'],
  ['a.py', 'x = [1, 2]\n', 'x = [1, 2\n'],
  ['a.js', 'const a = { b: 1 }\n', 'const a = { b: 1\n'],
  ['a.ts', 'type A = { b: number }\n', 'type A = { b: number\n'],
  ['a.tsx', 'const a = <p>x</p>\n', 'const a = <p>x</b>\n'],
  ['a.go', 'package a\n\nfunc f() int { return 1 }\n', 'package a\n\nfunc f() int { return 1 \n'],
  ['A.java', 'class A { int f() { return 1; } }\n', 'class A { int f() { return 1 } }\n'],
  ['a.json', '{"a": 1, "b": 2}\n', '{"a": 1 "b": 2}\n'],
  ['a.yaml', 'a:\n  - b\n', 'a: [b\n'],
  ['a.toml', 'a = 1\n', 'a = \n'],
  ['pom.xml', '<a><b>1</b></a>\n', '<a><b>1</a>\n'],
]

for (const [path, good, bad] of broken)
  test(`${path}: ${JSON.stringify(bad)} does not parse, ${JSON.stringify(good)} does`, async () => {
    assert.ok((await blockedBy(same(path, good, bad))).includes('syntax'))
    assert.deepEqual(await blockedBy(same(path, good, good)), [])
  })

test('a file that no side could parse does not blame the candidate, and is not called proven', async () => {
  const python2 = lines('try:', '    pass', 'except A, e:', '    print e')
  const [syntax] = await checksOf({
    path: 'old.py',
    base: python2,
    ours: lines('import b', ...python2.trimEnd().split('\n')),
    theirs: python2,
    result: lines('import b', ...python2.trimEnd().split('\n')),
  })
  assert.equal(syntax?.outcome, 'skipped')
  assert.match(syntax.reason, /a parent does not parse either/)
})

test('a new mistake in a file that a side could not parse is still told', async () => {
  const python2 = lines('try:', '    pass', 'except A, e:', '    print e')
  const texts = { path: 'old.py', base: python2, ours: python2, theirs: python2 }
  assert.ok(
    (await blockedBy({ ...texts, result: lines('def f(:', ...python2.trimEnd().split('\n')) })).includes(
      'syntax',
    ),
  )
})

for (const marker of ['<<<<<<< HEAD', '=======', '>>>>>>> topic', '||||||| base'])
  test(`a left ${marker} fails in any kind of file`, async () => {
    for (const path of ['a.py', 'notes.md', 'data.bin.txt', 'main.rs'])
      assert.ok(
        (await blockedBy(same(path, 'one thing\n', `one thing\n${marker}\n`))).includes('marker'),
        path,
      )
  })

test('an underlined heading is no marker', async () => {
  const text = lines('Changes', '=======', '', '* one')
  assert.deepEqual(
    await blockedBy({
      path: 'CHANGES.rst',
      base: 'Old text\n',
      ours: text,
      theirs: 'Old text\n',
      result: text,
    }),
    [],
  )
})

test('markers that a parent holds, as the test of a merge tool does, are no leftovers', async () => {
  const text = lines('const sample = `', '<<<<<<< ours', 'a', '=======', 'b', '>>>>>>> theirs', '`')
  assert.deepEqual(await blockedBy(same('merge.test.js', text, text)), [])
})

test('a heading of seven signs that a new section brings in is no marker', async () => {
  const base = lines('Changes', '=======', '', '* one')
  const ours = lines('Changes', '=======', '', '* two', '* one')
  const result = lines('Changes', '=======', '', '* two', '* one')
  assert.deepEqual(await blockedBy({ path: 'CHANGES.rst', base, ours, theirs: base, result }), [])
})

test('line endings that are mixed in neither side must not be mixed in the result', async () => {
  const texts = { path: 'a.txt', base: 'a\nb\n', ours: 'a\nb\n', theirs: 'a\nb\n' }
  assert.ok((await blockedBy({ ...texts, result: 'a\r\nb\n' })).includes('line-endings'))
  const windows = { path: 'a.txt', base: 'a\r\nb\r\n', ours: 'a\r\nb\r\n', theirs: 'a\r\nb\r\n' }
  assert.deepEqual(await blockedBy({ ...windows, result: 'a\r\nb\r\n' }), [])
})

test('a language without a parser here is skipped, not passed', async () => {
  const [syntax] = await checksOf(same('a.rs', 'fn main() {}\n', 'fn main() {}\n'))
  assert.equal(syntax?.outcome, 'skipped')
})

test('binary contents are skipped in all layers', async () => {
  const checks = await checksOf(same('a.png', 'a\0b', 'a\0b'))
  assert.deepEqual(
    checks.map(({ outcome }) => outcome),
    ['skipped', 'skipped', 'skipped'],
  )
})

test('deep nesting ends in an answer, not in a crash, and the parser is there afterwards', async () => {
  const deep = `x = ${'('.repeat(50_000)}1${')'.repeat(50_000)}\n`
  await checksOf(same('a.py', 'x = 1\n', deep))
  await checksOf(same('a.json', '[1]\n', `${'['.repeat(20_000)}${']'.repeat(20_000)}\n`))
  await checksOf(same('a.js', 'a\n', `${'('.repeat(3000)}1${')'.repeat(3000)}\n`))
  assert.deepEqual(await blockedBy(same('a.py', 'x = 1\n', 'x = 1\n')), [])
})
