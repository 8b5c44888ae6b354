import type { Command } from 'commander'
import type { Job } from '#api'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { print, printJson } from '../output.ts'
import { parseJob } from '../parse.ts'

type Json = { readonly json?: true }

export function addTell(program: Command): void {
  program
    .command('tell')
    .summary('tell a running agent something')
    .description('Tell the agent of a running job something. It hears it at its next turn.')
    .argument('<job>', 'number or id', parseJob)
    .argument('<text...>', 'what it is to hear')
    .option('--json', 'print JSON')
    .addHelpText('after', examples(['flowforge tell 12 "Leave the public API as it is."', '']))
    .action(async (name: string, words: readonly string[], { json }: Json) => {
      await (await connect()).tell(name, words.join(' '))
      if (json) printJson({ told: name })
      else print(`Told job ${name}.`)
    })
}

export function addCancel(program: Command): void {
  program
    .command('cancel')
    .summary('cancel a job')
    .description(
      'Cancel a job. What runs for it is ended; a job that has begun to land can no longer be cancelled.',
    )
    .argument('<job>', 'number or id', parseJob)
    .option('--json', 'print JSON')
    .action(async (name: string, options: Json) => {
      const job = await (await connect()).cancel(name)
      say(job, options, job.state === 'cancelled' ? 'is cancelled' : 'is being cancelled')
    })
}

export function addRetry(program: Command): void {
  program
    .command('retry')
    .summary('let a job go on, or submit it again')
    .description('Let a paused job go on; submit a failed or cancelled one again as a new job.')
    .argument('<job>', 'number or id', parseJob)
    .option('--json', 'print JSON')
    .action(async (name: string, options: Json) => {
      const job = await (await connect()).retry(name)
      say(job, options, `is ${job.state}. Follow it with: flowforge watch ${job.number}`)
    })
}

function say(job: Job, { json }: Json, sentence: string): void {
  if (json) printJson(job)
  else print(`Job ${job.number} ${sentence}`)
}
