/** Two jobs meet in one function and one import block: git gives up, the conflict engine proves a resolution, both land. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { PLAYS, SAMPLE_FILES, scriptedTask } from '#demo'
import { git, startStory } from '#test/story.ts'

test('conflicting jobs both land, with the evidence on record; what cannot be proven waits for a person', async (t) => {
  const story = await startStory(t)
  const origin = await story.makeOrigin(SAMPLE_FILES)
  const plays = PLAYS.filter(({ title }) => /receipt|Say what|Say whom/.test(title))
  const jobs = []
  for (const { task, script } of plays) {
    const { job } = await story.client.submit({
      repository: origin,
      into: 'main',
      task: scriptedTask(task, script),
      checks: ['node --test'],
    })
    jobs.push(job)
  }
  const ended = await Promise.all(jobs.map((job) => story.settled(job, 120_000)))
  const [first, second, ...contested] = ended
  assert.equal(first?.state, 'succeeded', first?.message ?? '')
  assert.equal(second?.state, 'succeeded', second?.message ?? '')
  const events = (
    await Promise.all([first, second].map((job) => story.client.listEvents(job?.id ?? '')))
  ).flat()
  const resolved = events.filter(({ kind }) => kind === 'land.resolved')
  assert.equal(resolved.length, 1, 'the one that landed second met the first')
  assert.equal(resolved[0]?.facts['rung'], 'structural')
  const checks = resolved[0]?.facts['checks'] as readonly {
    readonly layer: string
    readonly outcome: string
  }[]
  assert.deepEqual(
    checks.map(({ layer, outcome }) => `${layer} ${outcome}`),
    ['syntax passed', 'security passed', 'semantics passed'],
  )
  const cart = await git(origin, 'show', 'main:src/cart.js')
  for (const piece of ['roundCents', 'taxOf', 'withDiscount', 'withTax', 'sort((a, b)', '`Total  '])
    assert.ok(cart.includes(piece), piece)

  assert.deepEqual(contested.map(({ state }) => state).sort(), ['needs_review', 'succeeded'])
  const waiting = contested.find(({ state }) => state === 'needs_review')
  assert.equal(waiting?.cause, 'conflict')
  assert.match(waiting?.reviewReasons.join() ?? '', /README.md/)

  const database = new pg.Client({ connectionString: story.environment['FLOWFORGE_DATABASE_URL'] })
  await database.connect()
  const { rows } = await database.query<{
    path: string
    outcome: string
    rung: string | null
    layers: number
  }>(
    'select path, outcome, rung, jsonb_array_length(checks) as layers from conflict_resolutions order by path desc',
  )
  await database.end()
  assert.deepEqual(rows[0], { path: 'src/cart.js', outcome: 'resolved', rung: 'structural', layers: 3 })
  assert.equal(rows[1]?.path, 'README.md')
  assert.equal(rows[1]?.outcome, 'declined')
})
