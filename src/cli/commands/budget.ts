import { InvalidArgumentError, Option, type Command } from 'commander'
import type { BudgetAnswer, BudgetInput } from '#api'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { note, paint, print, printJson, safeLine, table } from '../output.ts'
import { parseDollars } from '../parse.ts'
import { UserError } from '../user-error.ts'

type Json = { readonly json?: true }
type SetTyped = Json & {
  readonly period: BudgetInput['period']
  readonly soft?: number
  readonly hard?: true
  readonly timeZone?: string
}
type Period = BudgetInput['period']
const PERIODS = ['daily', 'weekly', 'monthly', 'total'] as const satisfies readonly Period[]

export function addBudget(program: Command): void {
  const budget = program
    .command('budget')
    .summary('limit what model calls may cost')
    .description('Budgets: limits of what model calls may cost. Without a command: list them.')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        ['flowforge budget set organization 500 --period monthly --soft 80', 'tells at 80 percent'],
        ['flowforge budget set repository:shop 20 --period daily --hard', 'refuses what does not fit'],
        ['flowforge budget set job:12 5 --period total --hard', 'lets a job that was paused go on'],
      ),
    )
    .action(listBudgets)
  budget
    .command('list')
    .summary('list them')
    .description('List the budgets, what is spent of them and when they reset.')
    .option('--json', 'print JSON')
    .action(listBudgets)
  budget
    .command('set')
    .summary('set or change one')
    .description(
      'Set the budget of a scope and a period. Setting it again changes it and keeps what was spent.',
    )
    .argument('<scope>', 'organization, repository:NAME, job:NUMBER, user:ID or key:ID')
    .argument('<dollars>', 'US dollars', parseDollars)
    .addOption(new Option('--period <period>', 'when it resets').choices(PERIODS).default('monthly'))
    .option('--soft <percent>', 'give a notice at this share (default: 80)', parsePercent)
    .option('--hard', 'refuse calls that do not fit, and pause their jobs')
    .option('--time-zone <zone>', 'whose midnight it resets at (default: UTC)')
    .option('--json', 'print JSON')
    .action(setBudget)
  budget
    .command('remove')
    .summary('remove one')
    .description('Remove a budget. What it refused may go on.')
    .argument('<budget>', 'its scope, or its id (`flowforge budget list --json`)')
    .addOption(new Option('--period <period>', 'which one of the scope').choices(PERIODS))
    .option('--json', 'print JSON')
    .action(removeBudget)
}

async function listBudgets(_: Json, command: Command): Promise<void> {
  const budgets = await (await connect()).listBudgets()
  if (wantsJson(command)) return printJson({ budgets })
  if (budgets.length === 0) return note('No budgets. `flowforge help budget set` shows how to set one.')
  const rows = budgets.map((one) => [
    safeLine(one.scope),
    one.period,
    `$${one.limitUsd}`,
    `$${one.spentUsd}`,
    `$${one.reservedUsd}`,
    one.hard ? 'hard' : `soft ${one.softPercent}%`,
    one.resetsAt?.slice(0, 16).replace('T', ' ') ?? '-',
  ])
  const header = ['SCOPE', 'PERIOD', 'LIMIT', 'SPENT', 'RESERVED', 'KIND', 'RESETS (UTC)']
  print(table([header, ...rows], (row, _column, cell) => (row === 0 ? paint.dim(cell) : cell)))
}

async function setBudget(scope: string, dollars: string, typed: SetTyped, command: Command): Promise<void> {
  const budget = await (
    await connect()
  ).setBudget({
    ...{ scope, limitUsd: dollars, period: typed.period, hard: typed.hard === true },
    ...(typed.soft === undefined ? {} : { softPercent: typed.soft }),
    ...(typed.timeZone === undefined ? {} : { timeZone: typed.timeZone }),
  })
  if (wantsJson(command)) printJson(budget)
  else print(`Set: ${describe(budget)}`)
}

async function removeBudget(
  name: string,
  typed: { readonly period?: Period },
  command: Command,
): Promise<void> {
  const client = await connect()
  const found = (await client.listBudgets()).filter(
    ({ id, scope, period }) => id === name || (scope === name && (typed.period ?? period) === period),
  )
  const [budget] = found
  if (budget === undefined)
    throw new UserError(`There is no budget ${safeLine(name)}. \`flowforge budget list\` lists them.`)
  if (found.length > 1)
    throw new UserError(
      `${safeLine(name)} has ${found.length} budgets. Say which: --period ${found.map(({ period }) => period).join(' or ')}.`,
    )
  await client.removeBudget(budget.id)
  if (wantsJson(command)) printJson(budget)
  else print(`Removed: ${describe(budget)}`)
}

function describe(budget: BudgetAnswer): string {
  const kind = budget.hard ? 'hard' : `a notice at ${budget.softPercent}%`
  return `${safeLine(budget.scope)}, ${budget.period}: $${budget.limitUsd}, ${kind}; $${budget.spentUsd} spent.`
}

function parsePercent(text: string): number {
  const percent = Number(/^(\d{1,2})%?$/.exec(text)?.[1] ?? 0)
  if (percent < 1) throw new InvalidArgumentError('Type a share such as 80.')
  return percent
}

/** `budget --json list` and `budget list --json` are the same. */
function wantsJson(command: Command): boolean {
  return command.optsWithGlobals<Json>().json === true
}
