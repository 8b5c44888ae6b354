import type { Command } from 'commander'
import { connect } from '../connect.ts'
import { printJson, safe } from '../output.ts'
import { parseJob } from '../parse.ts'

export function addLog(program: Command): void {
  program
    .command('log')
    .summary('print the log of a job')
    .description('Print everything that happened in a job, one line for each event.')
    .argument('<job>', 'number or id', parseJob)
    .option('-f, --follow', 'go on until the job has ended')
    .option('--json', 'print each event as a line of JSON')
    .action(
      async (name: string, { follow = false, json }: { readonly follow?: boolean; readonly json?: true }) => {
        const client = await connect()
        if (!json) {
          for await (const text of client.readLog(name, { follow })) process.stdout.write(safe(text))
        } else if (follow) {
          for await (const event of client.followEvents(name)) printJson(event)
        } else {
          for (let after = 0; ;) {
            const events = await client.listEvents(name, after)
            for (const event of events) printJson(event)
            if (events.length === 0) return
            after = events.at(-1)!.number
          }
        }
      },
    )
}
