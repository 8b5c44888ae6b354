/** The demo's repository: a small shop in plain JavaScript with its own tests, and a bare origin beside it. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const SAMPLE_FILES: Readonly<Record<string, string>> = {
  'package.json': `{
  "name": "sample-shop",
  "version": "1.0.0",
  "type": "module",
  "scripts": { "test": "node --test" }
}
`,
  'README.md': `# Sample shop

A cart and its prices.
`,
  'src/cart.js': `import { formatPrice } from './price.js'

/** A cart is a list of items: { name, cents, count }. */
export function createCart() {
  return []
}

/** Puts an item in; the same name and price raises the count. */
export function addItem(cart, name, cents, count = 1) {
  const same = cart.find((item) => item.name === name && item.cents === cents)
  if (same) same.count += count
  else cart.push({ name, cents, count })
  return cart
}

/** What the whole cart costs, in cents. */
export function total(cart) {
  let sum = 0
  for (const item of cart) {
    sum += item.cents * item.count
  }
  return sum
}

/** The cart as lines for people. */
export function receipt(cart) {
  const lines = cart.map((item) => \`\${item.count} x \${item.name}  \${formatPrice(item.cents)}\`)
  return lines.join('\\n')
}
`,
  'src/price.js': `/** 1999 becomes "19.99". */
export function formatPrice(cents) {
  return (cents / 100).toFixed(2)
}
`,
  'test/cart.test.js': `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addItem, createCart, receipt, total } from '../src/cart.js'

test('the receipt has a line for each item', () => {
  assert.match(receipt(addItem(createCart(), 'tea', 450, 2)), /2 x tea  4.50/)
})

test('the total counts every item', () => {
  const cart = addItem(addItem(createCart(), 'tea', 450, 2), 'cup', 1200)
  assert.equal(total(cart), 2100)
})
`,
  'test/price.test.js': `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrice } from '../src/price.js'

test('a price has two digits after the point', () => {
  assert.equal(formatPrice(1999), '19.99')
})
`,
}

/** Makes the repository anew and answers the path of its bare origin. Left there to be looked at. */
export async function makeSampleRepository(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'flowforge-demo-'))
  const work = join(directory, 'work')
  const origin = join(directory, 'shop.git')
  for (const [path, text] of Object.entries(SAMPLE_FILES)) {
    await mkdir(dirname(join(work, path)), { recursive: true })
    await writeFile(join(work, path), text)
  }
  const git = (...args: string[]) =>
    run('git', [
      '-C',
      work,
      '-c',
      'user.name=Sample',
      '-c',
      'user.email=sample@localhost',
      '-c',
      'commit.gpgsign=false',
      ...args,
    ])
  await git('init', '--quiet', '--initial-branch', 'main')
  await git('add', '.')
  await git('commit', '--quiet', '--message', 'Open the shop')
  await run('git', ['clone', '--quiet', '--bare', work, origin])
  return origin
}

/** The history of main, newest first, as people read it. */
export async function historyOf(origin: string): Promise<string> {
  const { stdout } = await run('git', [
    '-C',
    origin,
    'log',
    '--graph',
    '--format=%h %s',
    '--max-count=20',
    'main',
  ])
  return stdout.trimEnd()
}
