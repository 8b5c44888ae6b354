import type { Command } from 'commander'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { ago, note, paint, print, printJson, safe, safeLine, table } from '../output.ts'
import { parseJob } from '../parse.ts'

type Json = { readonly json?: true }

export function addReview(program: Command): void {
  program
    .command('review')
    .summary('see what waits for a person')
    .description('List the jobs that need review; with a job: why, and what it changes.')
    .argument('[job]', 'number or id', parseJob)
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, { json }: Json) => {
      const client = await connect()
      if (name === undefined) {
        const { jobs } = await client.listJobs({ state: 'needs_review', limit: 200 })
        if (json) return printJson({ jobs })
        if (jobs.length === 0) return note('Nothing waits for review.')
        const rows = jobs.map((job) => [
          String(job.number),
          safeLine(job.repository, 40),
          safeLine(job.into, 30),
          ago(job.createdAt),
          safeLine(job.message ?? job.title, 120),
        ])
        const head = ['JOB', 'REPOSITORY', 'INTO', 'SUBMITTED', 'WHY']
        print(table([head, ...rows], (row, _, cell) => (row === 0 ? paint.dim(cell) : cell)))
        return note('\nLook at one with: flowforge review JOB')
      }
      const [job, executions, diff] = await Promise.all([
        client.readJob(name),
        client.listExecutions(name),
        client.readDiff(name),
      ])
      if (json) return printJson({ ...job, executions, diff })
      const { describeJob } = await import('../describe.ts')
      print(`${safe(diff).trimEnd()}\n\n${describeJob(job, executions)}`)
    })
}

export function addApprove(program: Command): void {
  program
    .command('approve')
    .summary('approve a job in review')
    .description('Approve a job in review: the merge lane runs again on the newest target.')
    .argument('<job>', 'number or id', parseJob)
    .option('--commit <sha>', 'the commit you looked at; refused when the job stands elsewhere by now')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['flowforge approve 12 --commit 4f2a9c1', '']))
    .action(async (name: string, { commit, json }: Json & { readonly commit?: string }) => {
      const job = await (await connect()).approve(name, commit)
      if (json) printJson(job)
      else print(`Job ${job.number} is approved and lands now. Follow it with: flowforge watch ${job.number}`)
    })
}

export function addReject(program: Command): void {
  program
    .command('reject')
    .summary('reject a job in review')
    .description('Reject a job in review: it ends as cancelled, and its branch is kept.')
    .argument('<job>', 'number or id', parseJob)
    .option('--reason <text>', 'why, for whoever submitted it')
    .option('--json', 'print JSON')
    .action(async (name: string, { reason, json }: Json & { readonly reason?: string }) => {
      const job = await (await connect()).reject(name, reason)
      if (json) printJson(job)
      else print(`Job ${job.number} is rejected.`)
    })
}
