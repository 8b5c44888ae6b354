import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pickFairly, type Rules, type Waiting } from './admission.ts'

const rules = (room: number, changes: Partial<Rules> = {}): Rules => ({
  room,
  weightOf: () => 1,
  limitOfOrganization: () => Infinity,
  limitOfRepository: () => Infinity,
  ...changes,
})

function jobs(organizationId: string, count: number, changes: Partial<Waiting> = {}): Waiting[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `${organizationId}${index}`,
    organizationId,
    repositoryId: `${organizationId}-repository`,
    priority: 0,
    number: index,
    createdAt: index,
    ...changes,
  }))
}
const countOf = (picked: readonly Waiting[], organizationId: string) =>
  picked.filter((job) => job.organizationId === organizationId).length

test('an organization that floods the queue leaves half of the room to another', () => {
  const picked = pickFairly([...jobs('a', 100), ...jobs('b', 3)], [], rules(6))
  assert.equal(countOf(picked, 'b'), 3)
  assert.equal(countOf(picked, 'a'), 3)
})

test('what an organization already holds counts against its share', () => {
  const held = [{ organizationId: 'a', repositoryId: 'x', jobs: 4 }]
  const picked = pickFairly([...jobs('a', 10), ...jobs('b', 10)], held, rules(4))
  assert.equal(countOf(picked, 'b'), 4)
})

test('weight two gets twice the places', () => {
  const picked = pickFairly(
    [...jobs('a', 50), ...jobs('b', 50)],
    [],
    rules(9, { weightOf: (id) => (id === 'a' ? 2 : 1) }),
  )
  assert.equal(countOf(picked, 'a'), 6)
  assert.equal(countOf(picked, 'b'), 3)
})

test('the higher priority goes first, then the older', () => {
  const waiting = [...jobs('a', 3), { ...jobs('a', 1)[0]!, id: 'urgent', number: 99, priority: 10 }]
  assert.deepEqual(
    pickFairly(waiting, [], rules(2)).map((job) => job.id),
    ['urgent', 'a0'],
  )
})

test('limits of organization and repository are hard', () => {
  const waiting = [...jobs('a', 10), ...jobs('b', 10, { repositoryId: 'small' })]
  const picked = pickFairly(waiting, [], {
    ...rules(20),
    limitOfOrganization: (id) => (id === 'a' ? 2 : Infinity),
    limitOfRepository: (id) => (id === 'small' ? 1 : Infinity),
  })
  assert.equal(countOf(picked, 'a'), 2)
  assert.equal(countOf(picked, 'b'), 1)
})

test('a job of another repository passes one whose repository is full', () => {
  const waiting = [
    ...jobs('a', 2, { repositoryId: 'full' }),
    { ...jobs('a', 1)[0]!, id: 'other', number: 50, repositoryId: 'free' },
  ]
  const held = [{ organizationId: 'a', repositoryId: 'full', jobs: 1 }]
  const picked = pickFairly(
    waiting,
    held,
    rules(5, { limitOfRepository: (id) => (id === 'full' ? 1 : Infinity) }),
  )
  assert.deepEqual(
    picked.map((job) => job.id),
    ['other'],
  )
})

test('never more than there is room for', () => {
  for (let room = 0; room < 12; room += 1) {
    assert.equal(pickFairly([...jobs('a', 5), ...jobs('b', 5)], [], rules(room)).length, Math.min(room, 10))
  }
})
