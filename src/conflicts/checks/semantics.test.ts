import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { blockedBy, checksOf, lines } from './fixture.ts'
import type { Texts } from './fixture.ts'
import { closeParsers } from './index.ts'
import type { TreeReader } from './index.ts'

after(closeParsers)

const base = lines(
  'import os',
  '',
  'LIMIT = 10',
  '',
  'def first(name):',
  '    value = os.path.join("a", name)',
  '    return value',
  '',
  'def second(count):',
  '    total = count * LIMIT',
  '    return total',
)
const ours = base
  .replace('    value = os', '    check(name)\n    value = os')
  .replace('import os\n', 'import os\nfrom guard import check\n')
const theirs = base
  .replace('    return total', '    log(total)\n    return total')
  .replace('LIMIT = 10', 'LIMIT = 20\nlog = print')
const both = ours
  .replace('    return total', '    log(total)\n    return total')
  .replace('LIMIT = 10', 'LIMIT = 20\nlog = print')
const texts = { path: 'a.py', base, ours, theirs }

describe('conservation', () => {
  test('a merge that holds both sides passes', async () => {
    assert.deepEqual(await blockedBy({ ...texts, result: both }), [])
  })
  test('a dropped statement of ours fails', async () => {
    assert.deepEqual(await blockedBy({ ...texts, result: both.replace('    check(name)\n', '') }), ['lost'])
  })
  test('a dropped change of theirs fails', async () => {
    assert.ok(
      (await blockedBy({ ...texts, result: both.replace('LIMIT = 20', 'LIMIT = 10') })).includes('lost'),
    )
  })
  test('a dropped import fails where it is used, and is explained where nothing uses it', async () => {
    const without = both.replace('from guard import check\n', '')
    assert.ok((await blockedBy({ ...texts, result: without })).includes('undefined-name'))
    const unused = ours.replace('    check(name)\n', '')
    assert.deepEqual(
      await blockedBy({ ...texts, ours: unused, result: without.replace('    check(name)\n', '') }),
      [],
    )
  })
  test('a drop that the rung declares is explained; the same drop on the other side is not', async () => {
    const result = both.replace('    check(name)\n', '').replace('from guard import check\n', '')
    const drop = { what: '    check(name)\nfrom guard import check', reason: 'replaced by a decorator' }
    assert.deepEqual(await blockedBy({ ...texts, result, drops: [{ side: 'ours', ...drop }] }), [])
    assert.deepEqual(await blockedBy({ ...texts, result, drops: [{ side: 'theirs', ...drop }] }), ['lost'])
  })
  test('a file that is one side whole passes only where that was the decision', async () => {
    assert.ok((await blockedBy({ ...texts, result: ours })).includes('lost'))
    assert.deepEqual(await blockedBy({ ...texts, result: ours }, { whole: 'ours' }), [])
  })
  test('what a side removed must not come back', async () => {
    const removed = base.replace(
      '    value = os.path.join("a", name)\n    return value\n',
      '    return name\n',
    )
    const result = removed.replace(
      '    return name\n',
      '    value = os.path.join("a", name)\n    return name\n',
    )
    assert.ok((await blockedBy({ path: 'a.py', base, ours: removed, theirs: base, result })).length > 0)
  })
  test('what both sides removed in a conflict must not come back', async () => {
    const files = {
      path: 'a.py',
      base: lines('a = 1', 'old = 2', 'b = 3'),
      ours: lines('a = 1', 'mine = 4', 'b = 3'),
      theirs: lines('a = 1', 'yours = 5', 'b = 3'),
    }
    assert.deepEqual(await blockedBy({ ...files, result: lines('a = 1', 'old = 2', 'b = 3') }), ['returned'])
    assert.deepEqual(await blockedBy({ ...files, result: lines('a = 1', 'mine = 4', 'b = 3') }), [])
  })
  test('an addition that nothing replaces is not a choice', async () => {
    const files = {
      path: 'a.py',
      base: lines('def a():', '    pass'),
      ours: lines('def a():', '    pass', '', 'def mine(x):', '    return x + 1'),
      theirs: lines('def a():', '    pass', '', 'class Yours:', '    limit = "many words of another kind"'),
    }
    assert.deepEqual(await blockedBy({ ...files, result: files.theirs }), ['lost-addition'])
  })
  test('comments, blank lines and line breaks are not statements', async () => {
    const commented = ours.replace('def first', '# about first\ndef first')
    const wrapped = both.replace('os.path.join("a", name)', 'os.path.join(\n        "a", name\n    )')
    assert.deepEqual(await blockedBy({ ...texts, ours: commented, result: both }), [])
    assert.deepEqual(await blockedBy({ ...texts, result: wrapped }), [])
  })
  test('moved code is not lost', async () => {
    const [head, first, second] = [
      both.slice(0, both.indexOf('def first')),
      both.slice(both.indexOf('def first'), both.indexOf('def second')),
      both.slice(both.indexOf('def second')),
    ]
    assert.deepEqual(await blockedBy({ ...texts, result: `${head}${second}\n${first}` }), [])
  })
})

describe('what neither side touched', () => {
  test('a changed statement fails', async () => {
    assert.ok(
      (await blockedBy({ ...texts, result: both.replace('count * LIMIT', 'count + LIMIT') })).includes(
        'unchanged-region',
      ),
    )
  })
  test('a new statement far from any conflict fails', async () => {
    assert.ok(
      (
        await blockedBy({
          ...texts,
          result: both.replace('    return value', '    value = None\n    return value'),
        })
      ).includes('foreign-line'),
    )
  })
  test('a rename that came from a side may be carried on', async () => {
    const renamed = theirs.replaceAll('LIMIT', 'MAXIMUM')
    const added = ours.replace('    return value', '    extra = value * LIMIT\n    return value')
    const result = both
      .replaceAll('LIMIT', 'MAXIMUM')
      .replace('    return value', '    extra = value * MAXIMUM\n    return value')
    assert.deepEqual(await blockedBy({ ...texts, ours: added, theirs: renamed, result }), [])
  })
  test('a deterministic rung may not rewrite what a model may adapt', async () => {
    const result = both.replace('    check(name)', '    check(name, strict=True)')
    assert.deepEqual(await blockedBy({ ...texts, result, rung: 'claude' }), [])
    assert.deepEqual(await blockedBy({ ...texts, result, rung: 'structural' }), ['lost'])
  })
})

describe('nothing stands twice', () => {
  const twice: readonly (readonly [path: string, once: string, duplicated: string])[] = [
    [
      'a.py',
      lines('def a():', '    return 1'),
      lines('def a():', '    return 1', '', 'def a():', '    return 1'),
    ],
    ['a.py', lines('x = {"a": 1, "b": 2}'), lines('x = {"a": 1, "b": 2, "a": 1}')],
    [
      'a.ts',
      lines('const a = 1', 'export class B {}'),
      lines('const a = 1', 'const a = 1', 'export class B {}'),
    ],
    ['a.ts', lines('class A { f() {} }'), lines('class A { f() {} f() {} }')],
    [
      'a.ts',
      lines('export interface A { b: string }'),
      lines('export interface A { b: string }', 'export interface A { b: string }'),
    ],
    ['a.js', lines('module.exports = { a: 1 }'), lines('module.exports = { a: 1, a: 1 }')],
    ['a.go', lines('package a', '', 'func f() {}'), lines('package a', '', 'func f() {}', '', 'func f() {}')],
    ['A.java', lines('class A { void f(int a) {} }'), lines('class A { void f(int a) {} void f(int b) {} }')],
    ['a.json', '{"a": 1}\n', '{"a": 1, "a": 1}\n'],
    ['a.yml', 'a: 1\n', 'a: 1\na: 1\n'],
    ['a.toml', 'a = 1\n', 'a = 1\na = 1\n'],
  ]
  for (const [path, once, duplicated] of twice)
    test(`${path}: ${JSON.stringify(duplicated)}`, async () => {
      const found = await blockedBy({ path, base: once, ours: once, theirs: once, result: duplicated })
      assert.ok(found.includes('duplicate') || found.includes('syntax'), found.join())
      assert.deepEqual(
        await blockedBy({ path, base: duplicated, ours: duplicated, theirs: duplicated, result: duplicated }),
        [],
      )
    })

  const allowed: readonly (readonly [path: string, before: string, after: string])[] = [
    [
      'a.py',
      lines('class A:', '    @property', '    def b(self):', '        return 1'),
      lines(
        'class A:',
        '    @property',
        '    def b(self):',
        '        return 1',
        '    @b.setter',
        '    def b(self, v):',
        '        pass',
      ),
    ],
    [
      'a.ts',
      lines('function f(a: number): void'),
      lines('function f(a: number): void', 'function f(a: string): void', 'function f(a: unknown): void {}'),
    ],
    [
      'a.ts',
      lines('class A { get b() { return 1 } }'),
      lines('class A { get b() { return 1 } set b(v) {} }'),
    ],
    [
      'a.go',
      lines('package a', '', 'func init() {}'),
      lines('package a', '', 'func init() {}', '', 'func init() {}'),
    ],
    [
      'A.java',
      lines('class A { void f(int a) {} }'),
      lines('class A { void f(int a) {} void f(String a) {} }'),
    ],
  ]
  for (const [path, before, after] of allowed)
    test(`${path}: overloads and pairs are no duplicates: ${JSON.stringify(after)}`, async () => {
      assert.deepEqual(
        await blockedBy({ path, base: before, ours: after, theirs: before, result: after }),
        [],
      )
    })
})

describe('nothing hangs in the air', () => {
  const cases: readonly (readonly [path: string, good: string, bad: string])[] = [
    ['a.py', lines('def a(b):', '    return b'), lines('def a(b):', '    return c')],
    ['a.js', lines('const a = 1', 'console.log(a)'), lines('const a = 1', 'console.log(missing)')],
    [
      'a.ts',
      lines('import { a } from "./a"', 'export const b: number = a'),
      lines('export const b: number = a'),
    ],
    ['a.tsx', lines('import { A } from "./a"', 'export const b = <A />'), lines('export const b = <A />')],
    [
      'a.go',
      lines('package a', '', 'import "fmt"', '', 'func f() { fmt.Println() }'),
      lines('package a', '', 'func f() { fmt.Println() }'),
    ],
  ]
  for (const [path, good, bad] of cases)
    test(`${path}: ${JSON.stringify(bad)}`, async () => {
      assert.ok(
        (await blockedBy({ path, base: good, ours: good, theirs: good, result: bad })).includes(
          'undefined-name',
        ),
      )
      assert.deepEqual(await blockedBy({ path, base: bad, ours: bad, theirs: bad, result: bad }), [])
    })

  const java = lines('class A {', '  int f(int a) { return a; }', '}')
  const renamed = java.replace('return a', 'return total')
  function tree(files: Readonly<Record<string, string>>): TreeReader {
    return {
      read: (path) => Promise.resolve(files[path] === undefined ? undefined : Buffer.from(files[path])),
      search: (word, extension) =>
        Promise.resolve(
          Object.keys(files).filter((path) => path.endsWith(extension) && (files[path] ?? '').includes(word)),
        ),
    }
  }
  const asked: Texts = { path: 'A.java', base: java, ours: java, theirs: java, result: renamed }
  test('in Java and Go only the tree can tell: without one it is a note', async () => {
    assert.ok(!(await blockedBy(asked)).includes('undefined-name'))
    const semantics = (await checksOf(asked)).find(({ layer }) => layer === 'semantics')
    assert.ok(
      semantics?.findings.some(({ rule, severity }) => rule === 'undefined-name' && severity === 'note'),
    )
  })
  test('with a tree it blocks, unless a neighbour defines the name', async () => {
    const empty = tree({})
    assert.ok(
      (await blockedBy(asked, { trees: { result: empty, ours: empty, theirs: empty } })).includes(
        'undefined-name',
      ),
    )
    const neighbour = tree({ 'B.java': 'class B { static int total = 1; }' })
    assert.ok(
      !(
        await blockedBy(asked, { trees: { result: neighbour, ours: neighbour, theirs: neighbour } })
      ).includes('undefined-name'),
    )
  })

  test('globals, members, keys, labels, types and patterns are not unknown names', async () => {
    const before = 'export const a = 1\n'
    const after = lines(
      'import type { T } from "./t"',
      'export const a = 1',
      'outer: for (const { b, c: [d = a], ...rest } of list()) { if (d) continue outer; window.open(b.x, { key: rest }) }',
      'function list<U extends T>(): U[] { return globalThis.fetch ? [] : new Array<U>() }',
      'export class K { static #p = 1; m(x: K): x is K { return x.m(this) && K.#p === a } }',
      'enum E { One = 1, Two = One }',
      'export { a as default, E }',
      'type M = { [P in keyof T]: T[P] }',
      'declare const m: M',
      'export { m }',
    )
    assert.deepEqual(
      await blockedBy({ path: 'a.ts', base: before, ours: after, theirs: before, result: after }),
      [],
    )
  })
})

describe('signatures', () => {
  const before = lines('function send(a) {', '  return a', '}', '', 'send(1)')
  const changed = lines('function send(a, b) {', '  return a + b', '}', '', 'send(1, 2)')
  const called = lines('function send(a) {', '  return a', '}', '', 'send(1)', 'other.send(7)', 'send(3)')
  test('a call that the other side added must fit the changed signature', async () => {
    const result = lines(
      'function send(a, b) {',
      '  return a + b',
      '}',
      '',
      'send(1, 2)',
      'other.send(7)',
      'send(3)',
    )
    assert.deepEqual(await blockedBy({ path: 'a.js', base: before, ours: changed, theirs: called, result }), [
      'signature',
    ])
  })
  test('a call that fits, by default values or a rest, is fine', async () => {
    const result = lines(
      'function send(a, b = 1) {',
      '  return a + b',
      '}',
      '',
      'send(1, 2)',
      'other.send(7)',
      'send(3)',
    )
    assert.deepEqual(
      await blockedBy({
        path: 'a.js',
        base: before,
        ours: changed.replace('b)', 'b = 1)'),
        theirs: called,
        result,
      }),
      [],
    )
  })
  test('calls in other files of the other side are looked at through the trees', async () => {
    const reader = (content: string | undefined): TreeReader => ({
      read: (path) =>
        Promise.resolve(path === 'b.js' && content !== undefined ? Buffer.from(content) : undefined),
      search: () => Promise.resolve(['b.js']),
    })
    const caller = 'import { send } from "./a.js"\nsend(5)\n'
    const trees = { result: reader(caller), theirs: reader(caller), ours: reader(undefined) }
    assert.deepEqual(
      await blockedBy(
        { path: 'a.js', base: before, ours: changed, theirs: before + '\n', result: changed + '\n' },
        { trees },
      ),
      ['signature'],
    )
    const known = { result: reader(caller), theirs: reader(caller), ours: reader(caller) }
    assert.deepEqual(
      await blockedBy(
        { path: 'a.js', base: before, ours: changed, theirs: before + '\n', result: changed + '\n' },
        { trees: known },
      ),
      [],
    )
  })
})

test('a generated file is skipped: only its generator can prove it', async () => {
  const checks = await checksOf({ path: 'yarn.lock', base: 'a\n', ours: 'b\n', theirs: 'c\n', result: 'b\n' })
  assert.equal(checks.find(({ layer }) => layer === 'semantics')?.outcome, 'skipped')
})
