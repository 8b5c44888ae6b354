/**
 * The demo's jobs: what each is asked, in words that real Claude understands, and the script by which the scripted
 * model answers when there is no key.
 */
import type { ScriptInput } from './scripted-model/script.ts'

export type Play = {
  readonly title: string
  readonly task: string
  readonly script: ScriptInput
  /** What must come of it for the demo to end with exit code 0. */
  readonly ends: 'succeeded' | 'needs_review'
}

const edit = (path: string, before: string, after: string) => ({
  name: 'Edit',
  input: { file_path: `/workspace/${path}`, old_string: before, new_string: after },
})
const read = (path: string) => ({ name: 'Read', input: { file_path: `/workspace/${path}` } })
const write = (path: string, content: string) => ({
  name: 'Write',
  input: { file_path: `/workspace/${path}`, content },
})
const bash = (command: string, description: string) => ({ name: 'Bash', input: { command, description } })
const runTests = bash('node --test 2>&1 | tail -12', 'Run the tests')

export const PLAYS: readonly Play[] = [
  {
    title: 'Give the cart a discount',
    task: 'In src/cart.js add and export `withDiscount(cents, percent)`, which answers the price less the percentage, rounded to whole cents. Put it at the end of the file. Add a test file test/discount.test.js in the style of the others and run `node --test`.',
    ends: 'succeeded',
    script: {
      turns: [
        { text: 'I look at the cart first.', tools: [read('src/cart.js')] },
        {
          text: 'The function goes to the end of the file, with its test.',
          tools: [
            edit(
              'src/cart.js',
              '    sum += item.cents * item.count\n  }\n  return sum\n}\n',
              '    sum += item.cents * item.count\n  }\n  return sum\n}\n\n/** A price less a percentage, in whole cents. */\nexport function withDiscount(cents, percent) {\n  return Math.round(cents * (1 - percent / 100))\n}\n',
            ),
            write(
              'test/discount.test.js',
              `import assert from 'node:assert/strict'\nimport { test } from 'node:test'\nimport { withDiscount } from '../src/cart.js'\n\ntest('a discount is taken off and rounded to cents', () => {\n  assert.equal(withDiscount(999, 10), 899)\n})\n`,
            ),
          ],
        },
        { text: 'Do all tests pass?', tools: [runTests] },
        { text: 'withDiscount is in src/cart.js, with a test; all tests pass.' },
      ],
    },
  },
  {
    title: 'Refuse items that cost less than nothing',
    task: 'In src/cart.js make `addItem` throw a RangeError when `cents` is negative or `count` is not at least 1. Do not change anything else in the file. Add test/refuse.test.js and run `node --test`.',
    ends: 'succeeded',
    script: {
      turns: [
        { text: 'I read addItem.', tools: [read('src/cart.js')] },
        {
          text: 'A guard at the top of the function is enough.',
          tools: [
            edit(
              'src/cart.js',
              '  const same = cart.find(',
              '  if (cents < 0 || count < 1) throw new RangeError(`${name} cannot be added`)\n  const same = cart.find(',
            ),
            write(
              'test/refuse.test.js',
              `import assert from 'node:assert/strict'\nimport { test } from 'node:test'\nimport { addItem, createCart } from '../src/cart.js'\n\ntest('nothing is given away', () => {\n  assert.throws(() => addItem(createCart(), 'tea', -1), RangeError)\n  assert.throws(() => addItem(createCart(), 'tea', 100, 0), RangeError)\n})\n`,
            ),
          ],
        },
        { text: 'Do all tests pass?', tools: [runTests] },
        { text: 'addItem refuses negative prices and empty counts; all tests pass.' },
      ],
    },
  },
  {
    title: 'Show prices with a currency',
    task: 'In src/price.js let `formatPrice(cents, currency)` put the currency before the price when it is given ("EUR 19.99"); without one nothing changes. Extend test/price.test.js and run `node --test`.',
    ends: 'succeeded',
    script: {
      turns: [
        { text: 'Two small files.', tools: [read('src/price.js'), read('test/price.test.js')] },
        {
          tools: [
            edit(
              'src/price.js',
              '/** 1999 becomes "19.99". */\nexport function formatPrice(cents) {\n  return (cents / 100).toFixed(2)\n}',
              '/** 1999 becomes "19.99", with a currency "EUR 19.99". */\nexport function formatPrice(cents, currency) {\n  const price = (cents / 100).toFixed(2)\n  return currency ? `${currency} ${price}` : price\n}',
            ),
            edit(
              'test/price.test.js',
              "  assert.equal(formatPrice(1999), '19.99')\n",
              "  assert.equal(formatPrice(1999), '19.99')\n  assert.equal(formatPrice(1999, 'EUR'), 'EUR 19.99')\n",
            ),
          ],
        },
        { tools: [runTests] },
        { text: 'Prices can carry a currency; all tests pass.' },
      ],
    },
  },
  {
    title: 'Say in the README how the shop is used',
    task: 'Add a section "Use" to README.md with a short JavaScript example that makes a cart, adds two items and prints the total.',
    ends: 'succeeded',
    script: {
      turns: [
        { tools: [read('README.md'), read('src/cart.js')] },
        {
          tools: [
            edit(
              'README.md',
              'A cart and its prices.\n',
              "A cart and its prices.\n\n## Use\n\n```js\nimport { addItem, createCart, total } from './src/cart.js'\nimport { formatPrice } from './src/price.js'\n\nconst cart = createCart()\naddItem(cart, 'tea', 450, 2)\naddItem(cart, 'cup', 1200)\nconsole.log(formatPrice(total(cart))) // 21.00\n```\n",
            ),
          ],
        },
        { text: 'The README has a section on use.' },
      ],
    },
  },
  {
    title: 'Run the tests on every push',
    task: 'Add .github/workflows/test.yml, a GitHub Actions workflow that runs `node --test` on every push.',
    // An edit of CI waits for a person: that is the point of this one.
    ends: 'needs_review',
    script: {
      turns: [
        {
          text: 'A small workflow is enough.',
          tools: [
            write(
              '.github/workflows/test.yml',
              'name: test\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n      - run: node --test\n',
            ),
          ],
        },
        { text: 'Every push runs the tests.' },
      ],
    },
  },
]
