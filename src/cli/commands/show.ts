import type { Command } from 'commander'
import { connect } from '../connect.ts'
import { print, printJson, safe } from '../output.ts'
import { parseJob } from '../parse.ts'

export function addShow(program: Command): void {
  program
    .command('show')
    .summary('show everything about one job')
    .description('Show one job: what was asked, what came of it, its tries, and what to type next.')
    .argument('<job>', 'number or id', parseJob)
    .option('--diff', 'what it changes, too')
    .option('--json', 'print JSON')
    .action(async (name: string, { diff, json }: { readonly diff?: true; readonly json?: true }) => {
      const client = await connect()
      const [job, executions, change] = await Promise.all([
        client.readJob(name),
        client.listExecutions(name),
        diff && client.readDiff(name),
      ])
      if (json) return printJson({ ...job, executions, ...(change !== undefined && { diff: change }) })
      const { describeJob } = await import('../describe.ts')
      if (change) print(`${safe(change).trimEnd()}\n`)
      print(describeJob(job, executions))
    })
}

export function addDiff(program: Command): void {
  program
    .command('diff')
    .summary('show what a job changes')
    .description('Show the change of a job as a unified diff.')
    .argument('<job>', 'number or id', parseJob)
    .option('--json', 'print JSON')
    .action(async (name: string, { json }: { readonly json?: true }) => {
      const diff = await (await connect()).readDiff(name)
      if (json) return printJson({ diff })
      // Into a pipe (git apply) the diff goes as it is; on a terminal its control characters are made visible.
      process.stdout.write(process.stdout.isTTY ? safe(diff) : diff)
    })
}
