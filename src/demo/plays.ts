/**
 * The demo's jobs: what each is asked, in words that real Claude understands, and the script by which the scripted
 * model answers when there is no key.
 */
import type { ScriptInput } from './scripted-model/script.ts'

export type Play = {
  readonly title: string
  readonly task: string
  readonly script: ScriptInput
  /** What must come of it for the demo to end with exit code 0. Of the contested ones (one line, two wishes) one lands, the other waits. */
  readonly ends: 'succeeded' | 'needs_review' | 'contested'
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

/** What the scripted model adds to a test file: the same head each time. */
const testOf = (names: string, from: string, title: string, ...lines: readonly string[]): string =>
  [
    "import assert from 'node:assert/strict'",
    "import { test } from 'node:test'",
    `import { ${names} } from '../src/${from}.js'`,
    '',
    `test('${title}', () => {`,
    ...lines.map((line) => `  ${line}`),
    '})',
    '',
  ].join('\n')

const RECEIPT_LINES =
  '  const lines = cart.map((item) => `${item.count} x ${item.name}  ${formatPrice(item.cents)}`)'

/** The first two meet in one function and in one import block: git alone would give up there. */
export const PLAYS: readonly Play[] = [
  {
    title: 'Sort the receipt, offer discounts',
    task: 'In src/cart.js let `receipt` list the items in the order of their names, and add and export `withDiscount(cents, percent)` at the end of the file: the price less the percentage, rounded by a new function `roundCents` in src/round.js. Add test/discount.test.js in the style of the others and run `node --test`.',
    ends: 'succeeded',
    script: {
      turns: [
        { text: 'I look at the cart first.', tools: [read('src/cart.js')] },
        {
          text: 'Rounding gets a file of its own.',
          tools: [
            write(
              'src/round.js',
              '/** Whole cents. */\nexport function roundCents(cents) {\n  return Math.round(cents)\n}\n',
            ),
            edit(
              'src/cart.js',
              "from './price.js'\n",
              "from './price.js'\nimport { roundCents } from './round.js'\n",
            ),
            edit(
              'src/cart.js',
              RECEIPT_LINES,
              RECEIPT_LINES.replace('cart.map', '[...cart].sort((a, b) => a.name.localeCompare(b.name)).map'),
            ),
            bash(
              "printf '\\n/** A price less a percentage, in whole cents. */\\nexport function withDiscount(cents, percent) {\\n  return roundCents(cents * (1 - percent / 100))\\n}\\n' >> src/cart.js",
              'Add withDiscount',
            ),
            write(
              'test/discount.test.js',
              testOf(
                'withDiscount',
                'cart',
                'a discount is taken off and rounded to cents',
                'assert.equal(withDiscount(999, 10), 899)',
              ),
            ),
          ],
        },
        { text: 'Do all tests pass?', tools: [runTests] },
        { text: 'The receipt is sorted and withDiscount is in src/cart.js, with a test; all tests pass.' },
      ],
    },
  },
  {
    title: 'Put the total on the receipt, add taxes',
    task: 'In src/cart.js let `receipt` end with a line "Total" and the formatted total, and add and export `withTax(cents, country)` at the end of the file: the price plus `taxOf(cents, country)` of a new file src/tax.js (19 % for DE, 20 % for FR, else 0). Add test/tax.test.js in the style of the others and run `node --test`.',
    ends: 'succeeded',
    script: {
      turns: [
        { text: 'I read the cart.', tools: [read('src/cart.js')] },
        {
          text: 'Taxes get a file of their own.',
          tools: [
            write(
              'src/tax.js',
              'const RATES = { DE: 19, FR: 20 }\n\n/** The tax of a country on a price, in whole cents. */\nexport function taxOf(cents, country) {\n  return Math.round((cents * (RATES[country] ?? 0)) / 100)\n}\n',
            ),
            edit(
              'src/cart.js',
              "from './price.js'\n",
              "from './price.js'\nimport { taxOf } from './tax.js'\n",
            ),
            edit(
              'src/cart.js',
              "  return lines.join('\\n')",
              "  return [...lines, `Total  ${formatPrice(total(cart))}`].join('\\n')",
            ),
            bash(
              "printf '\\n/** A price with the tax of a country. */\\nexport function withTax(cents, country) {\\n  return cents + taxOf(cents, country)\\n}\\n' >> src/cart.js",
              'Add withTax',
            ),
            write(
              'test/tax.test.js',
              testOf(
                'withTax',
                'cart',
                'a tax is added by country',
                "assert.equal(withTax(1000, 'DE'), 1190)",
                "assert.equal(withTax(1000, 'XX'), 1000)",
              ),
            ),
          ],
        },
        { text: 'Do all tests pass?', tools: [runTests] },
        { text: 'The receipt has a total and withTax is in src/cart.js, with a test; all tests pass.' },
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
    title: 'Say what the shop is',
    task: 'In README.md replace the sentence "A cart and its prices." by one that says that it is a cart library without dependencies.',
    ends: 'contested',
    script: {
      turns: [
        { tools: [read('README.md')] },
        { tools: [edit('README.md', 'A cart and its prices.', 'A cart library without dependencies.')] },
        { text: 'The README says what it is.' },
      ],
    },
  },
  {
    title: 'Say whom the shop is for',
    task: 'In README.md replace the sentence "A cart and its prices." by one that says that it is a cart for small web shops.',
    ends: 'contested',
    script: {
      turns: [
        { tools: [read('README.md')] },
        { tools: [edit('README.md', 'A cart and its prices.', 'A cart for small web shops.')] },
        { text: 'The README says whom it is for.' },
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
