import type { Command } from 'commander'
import { examples } from '../examples.ts'
import { runUp } from './up.ts'

export function addGateway(program: Command): void {
  program
    .command('gateway')
    .summary('start the model gateway alone')
    .description(
      'Start the model gateway alone (and the database, if it is on this machine). Any Claude Code can use it: set ANTHROPIC_BASE_URL to its address and ANTHROPIC_AUTH_TOKEN to a key of FlowForge.',
    )
    .option('--json', 'print events as lines of JSON; `ready` says where it listens')
    .addHelpText('after', examples(['flowforge gateway', 'the same as flowforge up --gateway']))
    .action(({ json }: { readonly json?: true }) => runUp({ gateway: true, ...(json && { json }) }))
}
