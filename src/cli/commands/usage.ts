import { InvalidArgumentError, Option, type Command } from 'commander'
import type { UsageAnswer, UsageQuery } from '#api'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { note, paint, print, printJson, safeLine, table } from '../output.ts'

type By = NonNullable<UsageQuery['by']>
type Typed = { readonly by: By; readonly since?: string; readonly until?: string; readonly json?: true }
const KEYS = [
  'model',
  'user',
  'job',
  'repository',
  'organization',
  'api_key',
  'day',
] as const satisfies readonly By[]

export function addUsage(program: Command): void {
  program
    .command('usage')
    .summary('show what model calls cost')
    .description('Sum up what model calls cost, from the ledger.')
    .addOption(new Option('--by <key>', 'what to sum up by').choices(KEYS).default('model'))
    .option(
      '--since <time>',
      'a day (2026-11-01), a time, or how long ago: 12h, 7d (default: 30d)',
      parseTime,
    )
    .option('--until <time>', 'up to this time (default: now)', parseTime)
    .option('--json', 'print JSON; the total is the string `costUsd`')
    .addHelpText(
      'after',
      examples(['flowforge usage --by job --since 7d', ''], ['flowforge usage --by day --json', '']),
    )
    .action(async ({ json, ...query }: Typed) => {
      const usage = await (await connect()).readUsage(query)
      if (json) printJson(usage)
      else show(usage)
    })
}

function show(usage: UsageAnswer): void {
  if (usage.calls === 0) return note(`No model calls since ${usage.since.slice(0, 10)}.`)
  const line = (key: string, of: Omit<UsageAnswer['rows'][number], 'key'>): string[] => [
    key,
    `$${of.costUsd}`,
    String(of.calls),
    String(of.inputTokens),
    String(of.cacheReadTokens),
    String(of.cacheWriteTokens),
    String(of.outputTokens),
  ]
  const header = [usage.by.toUpperCase(), 'COST', 'CALLS', 'INPUT', 'CACHE READ', 'CACHE WRITE', 'OUTPUT']
  const rows = usage.rows.map((row) => line(row.key === null ? '-' : safeLine(row.key), row))
  print(
    table([header, ...rows, line('total', usage)], (row, _column, cell) =>
      row === 0 ? paint.dim(cell) : row === rows.length + 1 ? paint.bold(cell) : cell,
    ),
  )
  if (usage.simulated) note('Some of it was answered by the scripted model: nothing was paid for that.')
  if (!/^0\.00$/.test(usage.estimatedUsd)) note(`$${usage.estimatedUsd} of it is estimated.`)
}

const UNITS = { h: 3_600_000, d: 86_400_000 } as const

function parseTime(text: string): string {
  const [, count, unit] = /^(\d{1,4})([hd])$/.exec(text) ?? []
  if (count !== undefined)
    return new Date(Date.now() - Number(count) * UNITS[unit as keyof typeof UNITS]).toISOString()
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString()
  throw new InvalidArgumentError('Type a day such as 2026-11-01, a time, or how long ago: 12h, 7d.')
}
