import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CounterId } from './budget.ts'
import { decide, type CounterState, type Want } from './decide.ts'

const [a, b] = ['a', 'b'] as CounterId[] as [CounterId, CounterId]
const want = (wantedNano: number, more: Partial<Want> = {}): Want => ({
  ...{ counters: [a], wantedNano, comfortableNano: wantedNano, leastNano: wantedNano, isLate: false },
  ...more,
})
const state = (limitNano: number, spentNano = 0, reservedNano = 0, hard = true): CounterState => ({
  hard,
  limitNano,
  spentNano,
  reservedNano,
})
const say = (wants: readonly Want[], states: Record<string, CounterState>): string =>
  decide(wants, new Map(Object.entries(states) as [CounterId, CounterState][]))
    .map((one) => (one.kind === 'grant' ? `grant ${one.nano}` : `${one.kind} ${one.counter}`))
    .join(', ')

const cases: readonly (readonly [string, readonly Want[], Record<string, CounterState>, string])[] = [
  ['there is room', [want(5)], { a: state(5) }, 'grant 5'],
  [
    'a soft budget and a removed one set no limit',
    [want(5), want(5, { counters: [b] })],
    { a: state(0, 9, 9, false) },
    'grant 5, grant 5',
  ],
  ['a call counts for those behind it', [want(5), want(5)], { a: state(9) }, 'grant 5, wait a'],
  ['only settled spend refuses', [want(5)], { a: state(9, 5, 0) }, 'refuse a'],
  ['open reservations make it wait', [want(5)], { a: state(9, 0, 5) }, 'wait a'],
  [
    'the scarcest counter decides',
    [want(5, { counters: [a, b] })],
    { a: state(99), b: state(9, 0, 6) },
    'wait b',
  ],
  [
    'any spent counter refuses',
    [want(5, { counters: [a, b] })],
    { a: state(99), b: state(9, 8) },
    'refuse b',
  ],
  [
    'nothing open: it is given what is left',
    [want(9, { comfortableNano: 8, leastNano: 2 })],
    { a: state(5) },
    'grant 5',
  ],
  [
    'something open: it waits until it is comfortable',
    [want(9, { comfortableNano: 8, leastNano: 2 })],
    { a: state(9, 0, 4) },
    'wait a',
  ],
  [
    'late: it takes what is there',
    [want(9, { comfortableNano: 8, leastNano: 2, isLate: true })],
    { a: state(9, 0, 4) },
    'grant 5',
  ],
  ['nobody passes one that waits', [want(9), want(1)], { a: state(9, 0, 5) }, 'wait a, wait a'],
  [
    'but elsewhere it goes on',
    [want(9), want(1, { counters: [b] })],
    { a: state(9, 0, 5), b: state(1) },
    'wait a, grant 1',
  ],
]
for (const [name, wants, states, expected] of cases)
  test(name, () => {
    assert.equal(say(wants, states), expected)
  })
