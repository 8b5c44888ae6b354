import { Option, type Command } from 'commander'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { ago, note, paint, print, printJson, safeLine, table } from '../output.ts'
import { parseCount } from '../parse.ts'

const STATES = ['queued', 'running', 'merging', 'paused', 'needs_review', 'succeeded', 'failed', 'cancelled']

type JobsOptions = {
  readonly state?: string
  readonly repository?: string
  readonly before?: number
  readonly limit?: number
  readonly json?: true
}

export function addJobs(program: Command): void {
  program
    .command('jobs')
    .summary('list jobs, newest first')
    .description('List jobs, newest first.')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(STATES))
    .option('--repository <name>', 'only jobs on the repository of this name')
    .option('--before <number>', 'only jobs with a smaller number: the next page', parseCount)
    .option('--limit <count>', 'how many (default: 50)', parseCount)
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['flowforge jobs --state needs_review', 'what waits for a person']))
    .action(listJobs)
}

async function listJobs(options: JobsOptions): Promise<void> {
  const { json, ...query } = options
  const client = await connect()
  const { jobs, nextBefore } = await client.listJobs(query)
  if (json) return printJson({ jobs, nextBefore })
  if (jobs.length === 0) return note('No jobs. `flowforge submit` makes one.')
  const { paintState, SCRIPTED } = await import('../describe.ts')
  const rows = jobs.map((job) => [
    String(job.number),
    job.state,
    safeLine(job.repository, 40),
    safeLine(job.into, 30),
    `$${job.costUsd}`,
    ago(job.createdAt),
    safeLine(job.title, 100) + (job.simulated ? ` (${SCRIPTED})` : ''),
  ])
  const head = ['JOB', 'STATE', 'REPOSITORY', 'INTO', 'COST', 'SUBMITTED', 'TITLE']
  print(
    table([head, ...rows], (row, column, cell) => {
      if (row === 0) return paint.dim(cell)
      return column === 1 ? paintState(jobs[row - 1]!.state) : cell
    }),
  )
  if (nextBefore !== null) note(`More: flowforge jobs --before ${nextBefore}`)
}
