import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diff } from './diff.ts'
import { diff3 } from './diff3.ts'
import { splitLines } from './lines.ts'

/** A small generator with a seed: a failing case can be had again. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

test('partners are equal elements and ascend', () => {
  const random = numbers(1)
  for (let round = 0; round < 500; round++) {
    const kinds = 2 + Math.floor(random() * 8)
    const sequence = () =>
      Int32Array.from({ length: Math.floor(random() * 30) }, () => Math.floor(random() * kinds))
    const [a, b] = [sequence(), sequence()]
    let last = -1
    for (const [i, j] of diff(a, b).entries()) {
      if (j < 0) continue
      assert.equal(a[i], b[j])
      assert.ok(j > last)
      last = j
    }
  }
})

test('what has nothing in common and what is all the same end fast', () => {
  const length = 20_000
  const started = performance.now()
  diff(new Int32Array(length).fill(1), new Int32Array(length + 5).fill(1))
  diff(
    Int32Array.from({ length }, (_, i) => i % 7),
    Int32Array.from({ length }, (_, i) => (i * 3) % 7),
  )
  diff(
    Int32Array.from({ length }, (_, i) => i),
    Int32Array.from({ length }, (_, i) => -i),
  )
  assert.ok(performance.now() - started < 5000)
})

const cut = (base: string, ours: string, theirs: string) => ({
  base: splitLines(base),
  ours: splitLines(ours),
  theirs: splitLines(theirs),
})

test('changes apart from each other settle, changes of one line clash', () => {
  const base = 'a\nb\nc\nd\ne\n'
  const kinds = diff3(cut(base, 'A\nb\nc\nd\ne\n', 'a\nb\nc\nd\nE\n')).map(({ kind }) => kind)
  assert.deepEqual(kinds, ['ours', 'same', 'theirs'])
  assert.ok(diff3(cut(base, 'A\nb\nc\nd\ne\n', 'X\nb\nc\nd\ne\n')).some(({ kind }) => kind === 'clash'))
})

test('neighbouring lines are one clash for git, and two changes apart', () => {
  const three = cut('a\nb\nc\n', 'A\nb\nc\n', 'a\nB\nc\n')
  assert.ok(diff3(three).some(({ kind }) => kind === 'clash'))
  assert.ok(diff3(three, { apart: true }).every(({ kind }) => kind !== 'clash'))
})

test('two insertions at one place always clash', () => {
  const three = cut('a\nb\n', 'a\nx\nb\n', 'a\ny\nb\n')
  assert.ok(diff3(three, { apart: true }).some(({ kind }) => kind === 'clash'))
})
