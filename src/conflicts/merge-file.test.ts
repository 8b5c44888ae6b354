import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { closeParsers } from './checks/index.ts'
import type { FileOutcome } from './conflict.ts'
import { mergeFile } from './merge-file.ts'

after(() => closeParsers())

type Three = readonly [base: string, ours: string, theirs: string]

async function merge(path: string, [base, ours, theirs]: Three): Promise<FileOutcome> {
  return mergeFile({ path, base: Buffer.from(base), ours: Buffer.from(ours), theirs: Buffer.from(theirs) })
}

async function resolves(path: string, three: Three, expected: string): Promise<void> {
  const outcome = await merge(path, three)
  assert.equal(outcome.outcome, 'resolved', `${outcome.reason}\n${String(outcome.result)}`)
  assert.equal(String(outcome.result), expected)
}

async function clashes(path: string, three: Three): Promise<void> {
  const outcome = await merge(path, three)
  assert.equal(outcome.outcome, 'conflicts', `resolved as:\n${String(outcome.result)}`)
}

// --- lines ---------------------------------------------------------------------------------------------------------

test('a side that changed nothing gives way, whatever the file holds', async () => {
  const samples = ['', 'a\n', 'a', 'x = 1\r\ny = 2\r\n', 'caf\u00e9\n', '{"a": 1}\n']
  for (const base of samples)
    for (const other of samples) {
      if (base === other) continue
      const left = await merge('notes.txt', [base, other, base])
      const right = await merge('notes.txt', [base, base, other])
      assert.equal(String(left.result), other)
      assert.equal(String(right.result), other)
    }
})

test('both sides at different places', () =>
  resolves('a.txt', ['1\n2\n3\n4\n5\n', 'one\n2\n3\n4\n5\n', '1\n2\n3\n4\nfive\n'], 'one\n2\n3\n4\nfive\n'))

test('different text in one place is a conflict with diff3 markers only around it', async () => {
  const outcome = await merge('a.txt', ['1\n2\n3\n', '1\nours\n3\n', '1\ntheirs\n3\n'])
  assert.equal(
    String(outcome.result),
    '1\n<<<<<<< ours\nours\n||||||| base\n2\n=======\ntheirs\n>>>>>>> theirs\n3\n',
  )
  assert.deepEqual(outcome.regions[0]?.ours, { from: 2, to: 2 })
})

test('the last lines are not glued together where a line feed is missing', () =>
  resolves('a.txt', ['1\n2\n3', '0\n1\n2\n3', '1\n2\n3\n4'], '0\n1\n2\n3\n4'))

test('a side that changed the line endings does not make every line clash', async () => {
  const outcome = await merge('a.txt', ['1\n2\n3\n', '1\r\n2\r\n3\r\n', '1\n2\nthree\n'])
  assert.equal(outcome.kind, 'line-endings')
  assert.equal(String(outcome.result), '1\r\n2\r\nthree\r\n')
})

test('text that is not UTF-8 comes out byte for byte', async () => {
  const latin = (text: string) => Buffer.from(text, 'latin1')
  const outcome = await mergeFile({
    path: 'a.txt',
    base: latin('caf\u00e9\n2\n3\n4\n'),
    ours: latin('caf\u00e9\n2\n3\nfour\n'),
    theirs: latin('caf\u00e9s\n2\n3\n4\n'),
  })
  assert.deepEqual(outcome.result, latin('caf\u00e9s\n2\n3\nfour\n'))
})

test('neighbouring lines that each side changed one for one', () =>
  resolves('a.css', ['a: 1;\nb: 1;\n', 'a: 2;\nb: 1;\n', 'a: 1;\nb: 3;\n'], 'a: 2;\nb: 3;\n'))

test('an insertion beside a changed line is left to people', () =>
  clashes('a.css', ['a: 1;\nb: 1;\n', 'a: 1;\nnew: 1;\nb: 1;\n', 'a: 1;\nb: 3;\n']))

test('the larger of two edits holds the smaller one', () =>
  resolves(
    'a.md',
    ['start\nend\n', 'start\nfix one\nend\n', 'start\nfix one\nfix two\nend\n'],
    'start\nfix one\nfix two\nend\n',
  ))

test('an edit and the deletion of the same lines is a conflict', () =>
  clashes('a.md', ['start\nmiddle\nend\n', 'start\nend\n', 'start\nmiddle, improved\nend\n']))

test('of two raised versions the higher one', () =>
  resolves('x.gradle', ['v = "1.2.3"\n', 'v = "1.3.0"\n', 'v = "1.10.0"\n'], 'v = "1.10.0"\n'))

test('versions that differ only in their stage are left to people', () =>
  clashes('x.gradle', ['v = "1.2.3"\n', 'v = "1.3.0"\n', 'v = "1.3.0-rc.1"\n']))

test('one conflict gives the same answer each time', async () => {
  const three: Three = ['a\nb\n', 'a\nx\nb\n', 'a\ny\nb\n']
  const [first, second] = [await merge('a.txt', three), await merge('a.txt', three)]
  assert.deepEqual(first.result, second.result)
})

// --- structure -----------------------------------------------------------------------------------------------------

const python = 'import os\n\n\ndef a():\n    return 1\n'

test('each side adds a function at the same place: ours, then theirs', () =>
  resolves(
    'm.py',
    [python, `${python}\n\ndef b():\n    return 2\n`, `${python}\n\ndef c():\n    return 3\n`],
    `${python}\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n`,
  ))

test('each side adds a function of the same name: a conflict', () =>
  clashes('m.py', [python, `${python}\n\ndef b():\n    return 2\n`, `${python}\n\ndef b():\n    return 3\n`]))

test('the same function added at different places is not declared twice', async () => {
  const java = 'class A {\n    int a() {\n        return 1;\n    }\n}\n'
  const outcome = await merge('A.java', [
    java,
    java.replace('class A {\n', 'class A {\n    int b() {\n        return 2;\n    }\n\n'),
    java.replace('    }\n}', '    }\n\n    int b() {\n        return 3;\n    }\n}'),
  ])
  assert.equal(outcome.outcome, 'conflicts', String(outcome.result))
})

test('imports that both sides added stand together', () =>
  resolves(
    'm.py',
    [python, python.replace('os\n', 'os\nimport re\n'), python.replace('os\n', 'os\nimport sys\n')],
    python.replace('os\n', 'os\nimport re\nimport sys\n'),
  ))

test('names of one import statement', () =>
  resolves(
    'm.ts',
    [
      "import { a, d } from 'x'\n\nuse(a, d)\n",
      "import { a, b, d } from 'x'\n\nuse(a, d)\n",
      "import { a, c, d } from 'x'\n\nuse(a, d)\n",
    ],
    "import { a, b, c, d } from 'x'\n\nuse(a, d)\n",
  ))

test('an edit inside a method that the other side moved', async () => {
  const [first, second] = [
    '    int a() {\n        return 1;\n    }\n',
    '    int b() {\n        return 2;\n    }\n',
  ]
  const file = (x: string, y: string) => `class A {\n${x}\n${y}}\n`
  const outcome = await merge('A.java', [
    file(first, second),
    file(second, first),
    file(first.replace('1', '10'), second),
  ])
  // A clean answer must hold the edit once; leaving it to people is right, too.
  if (outcome.outcome === 'resolved') assert.equal(String(outcome.result).match(/return 10/g)?.length, 1)
})

test('different arguments of one call', () =>
  resolves('m.go', [goCall('a, b, c'), goCall('x, b, c'), goCall('a, b, z')], goCall('x, b, z')))

function goCall(args: string): string {
  return `package m\n\nfunc f() {\n\tcall(${args})\n}\n`
}

test('the same argument changed by both is a conflict', () =>
  clashes('m.go', [goCall('a, b, c'), goCall('x, b, c'), goCall('y, b, c')]))

test('a function deleted on one side and changed on the other is a conflict', () =>
  clashes('m.js', [
    'function a() {\n  return 1\n}\n\nfunction b() {\n  return 2\n}\n',
    'function b() {\n  return 2\n}\n',
    'function a() {\n  return 10\n}\n\nfunction b() {\n  return 2\n}\n',
  ]))

test('different visibilities of one method are a conflict', () =>
  clashes('A.java', [
    'class A {\n    void m() {}\n}\n',
    'class A {\n    public void m() {}\n}\n',
    'class A {\n    private void m() {}\n}\n',
  ]))

// --- formats -------------------------------------------------------------------------------------------------------

test('JSON: keys that both sides added, with the commas where they belong', () =>
  resolves(
    'data.json',
    ['{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "b": 2\n}\n', '{\n  "a": 1,\n  "c": 3\n}\n'],
    '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n',
  ))

test('JSON: the same key with different values is a conflict', () =>
  clashes('data.json', ['{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "b": 2\n}\n', '{\n  "a": 1,\n  "b": 3\n}\n']))

test('YAML: keys at one place of a block, comments kept', () =>
  resolves(
    'ci.yml',
    ['env:\n  # first\n  A: 1\n', 'env:\n  # first\n  A: 1\n  B: 2\n', 'env:\n  # first\n  A: 1\n  C: 3\n'],
    'env:\n  # first\n  A: 1\n  B: 2\n  C: 3\n',
  ))

test('TOML: keys of one table', () =>
  resolves(
    'x.toml',
    ['[a]\nx = 1\n\n[b]\ny = 1\n', '[a]\nx = 1\nz = 2\n\n[b]\ny = 1\n', '[a]\nx = 1\nw = 3\n\n[b]\ny = 1\n'],
    '[a]\nx = 1\nz = 2\nw = 3\n\n[b]\ny = 1\n',
  ))

test('a changelog: the newer version stands above', () =>
  resolves(
    'CHANGELOG.md',
    [
      '# Changes\n\n## 1.0.0\n\n- a\n',
      '# Changes\n\n## 2.0.0\n\n- c\n\n## 1.0.0\n\n- a\n',
      '# Changes\n\n## 1.0.1\n\n- b\n\n## 1.0.0\n\n- a\n',
    ],
    '# Changes\n\n## 2.0.0\n\n- c\n\n## 1.0.1\n\n- b\n\n## 1.0.0\n\n- a\n',
  ))

test('a lock file is declined, with the plain markers', async () => {
  const outcome = await merge('package-lock.json', ['{"a": 1}\n', '{"a": 2}\n', '{"a": 3}\n'])
  assert.equal(outcome.outcome, 'declined')
  assert.match(String(outcome.result), /<<<<<<< ours/)
})

// --- bad input -----------------------------------------------------------------------------------------------------

test('binary, LFS pointers and large files are declined without a result', async () => {
  const pointer = (id: string) => `version https://git-lfs.github.com/spec/v1\noid sha256:${id}\nsize 3\n`
  const cases: readonly (readonly [string, Three])[] = [
    ['binary', ['a\0b', 'a\0c', 'a\0d']],
    ['lfs-pointer', [pointer('1'), pointer('2'), pointer('3')]],
    ['too-large', ['a\n', 'b\n'.repeat(5_000_000), 'c\n']],
  ]
  for (const [kind, three] of cases) {
    const outcome = await merge('x.bin', three)
    assert.equal(outcome.kind, kind)
    assert.equal(outcome.outcome, 'declined')
    assert.equal(outcome.result, undefined)
  }
})

test('nesting of 10,000 levels neither crashes nor hangs', async () => {
  const deep = (x: string) => `${'['.repeat(10_000)}${x}${']'.repeat(10_000)}\n`
  for (const path of ['a.json', 'a.js', 'a.py', 'a.yml']) {
    const outcome = await merge(path, [deep('1'), deep('2'), deep('3')])
    assert.notEqual(outcome.outcome, 'resolved')
  }
})

test('a file of 20,000 lines that is wholly rewritten ends within ten seconds', async () => {
  const lines = (word: string) =>
    Array.from({ length: 20_000 }, (_, i) => `${word} = ${(i * 7919) % 97}`).join('\n')
  const started = performance.now()
  await merge('a.py', [lines('a'), lines('b'), lines('c')])
  assert.ok(performance.now() - started < 10_000)
})

test('what both sides put at the very beginning of a file is not glued together', () =>
  resolves(
    'm.ts',
    [
      "import { z } from 'z'\n\nuse(z)\n",
      "import { y } from 'y'\nimport { z } from 'z'\n\nuse(z)\n",
      "import { x } from 'x'\nimport { z } from 'z'\n\nuse(z)\n",
    ],
    "import { y } from 'y'\nimport { x } from 'x'\nimport { z } from 'z'\n\nuse(z)\n",
  ))

test('the same words put at different places are two edits, not one that holds the other', async () => {
  await resolves('a.txt', ['a: 1\nb: 1\n', 'a: 2\nb: 1\n', 'a: 1\nb: 2\n'], 'a: 2\nb: 2\n')
  await clashes('a.txt', ['f(x) g(x)\n', 'f(y) g(x)\n', 'f(x) g(y)\n'])
})
