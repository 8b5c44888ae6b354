import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const ground = ['db', 'storage', 'secrets', 'telemetry', 'lib', 'config']

/** The floor plan: each room and the rooms it may enter besides the ground floor. Read it top to bottom. */
const floorPlan: Readonly<Record<string, readonly string[]>> = {
  cli: ['api', 'conflicts', 'ops', 'demo', 'sandbox', 'up'],
  demo: ['api', 'up', 'sandbox'],
  up: ['jobs', 'tenants', 'ops'],
  api: ['jobs', 'gateway', 'tenants', 'repositories', 'costs', 'conflicts', 'audit'],
  jobs: ['sandbox', 'agent', 'git', 'conflicts', 'repositories', 'costs', 'tenants', 'audit'],
  conflicts: ['git', 'sandbox', 'agent'],
  agent: ['sandbox'],
  gateway: ['tenants', 'costs'],
  sandbox: [],
  git: [],
  repositories: ['tenants'],
  costs: ['tenants'],
  tenants: [],
  audit: [],
  ops: ['tenants', 'repositories', 'costs', 'audit'],
  db: [],
  storage: [],
  secrets: [],
  telemetry: [],
  lib: [],
}

// Imports stand at the beginning of a line (or close a list of names there); texts that hold source code do not.
const IMPORT = /^(?:import|export|\})[^'"\n]*['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]/gm

function importsOf(file: string): readonly string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, top, inside]) => top ?? inside ?? '')
}

for (const [room, mayEnter] of Object.entries(floorPlan)) {
  test(`${room} enters only ${[...mayEnter, 'the ground floor'].join(', ')}`, () => {
    for (const file of globSync(`src/${room}/**/*.ts`)) {
      if (file.endsWith('.test.ts')) continue
      for (const path of importsOf(file)) {
        const entered = /^#([a-z-]+)/.exec(path)?.[1]
        if (entered === undefined || entered === room) continue
        assert.ok([...mayEnter, ...ground].includes(entered), `${file} enters #${entered}`)
      }
    }
  })
}

test('no room is entered by a path', () => {
  for (const file of globSync('src/*/**/*.ts')) {
    const depth = file.split('/').length - 3
    for (const path of importsOf(file)) {
      // `up` starts what the composition root puts together; it is the only room above it.
      if (path === '../app.ts' && file.startsWith('src/up/')) continue
      // Our files end in .ts; another ending is in the text of a sample.
      if (path.endsWith('.js')) continue
      const ups = path.split('/').filter((part) => part === '..').length
      assert.ok(ups <= depth, `${file} leaves its room by ${path}`)
    }
  }
})

test('every room is on the floor plan and has a door', () => {
  const rooms = new Set(globSync('src/*/**/*.ts').map((file) => file.split('/')[1] ?? ''))
  for (const room of rooms) assert.ok(room in floorPlan, `src/${room} is not on the floor plan`)
})

test('doors list by name what is public', () => {
  for (const file of globSync('src/*/index.ts'))
    assert.doesNotMatch(readFileSync(file, 'utf8'), /export \*/, file)
})
