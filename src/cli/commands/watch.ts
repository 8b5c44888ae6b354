import type { Command } from 'commander'
import { connect } from '../connect.ts'
import { parseJob } from '../parse.ts'

export function addWatch(program: Command): void {
  program
    .command('watch')
    .summary('follow a job as it works')
    .description(
      'Follow a job live until it has ended or waits for a person. The exit code says how it went.',
    )
    .argument('<job>', 'number or id', parseJob)
    .option('--json', 'print each event as a line of JSON')
    .action(async (name: string, { json }: { readonly json?: true }) => {
      const client = await connect()
      const { watchToEnd } = await import('../timeline.ts')
      process.exitCode = await watchToEnd(client, await client.readJob(name), json ? 'events' : 'timeline')
    })
}
