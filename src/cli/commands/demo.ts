import type { Command } from 'commander'
import { examples } from '../examples.ts'

export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('see it work on a sample repository')
    .description(
      'Check the machine, start FlowForge, and run several jobs on a sample repository made on the spot. Without ANTHROPIC_API_KEY a scripted model plays the answers. `npm start` runs this.',
    )
    .option('--exit', 'end after the story; exit code 0 only when all that should land landed')
    .option('--json', 'print events as lines of JSON')
    .addHelpText(
      'after',
      examples(['npm start', 'the same, from a fresh clone'], ['npm start -- --exit', 'for scripts']),
    )
    .action(async ({ exit = false, json = false }: { readonly exit?: boolean; readonly json?: boolean }) => {
      const { prepareHost } = await import('../doctor/prepare.ts')
      if (!(await prepareHost())) {
        process.exitCode = 1
        return
      }
      const { runDemo } = await import('#demo')
      process.exitCode = await runDemo({ exit, json })
    })
}
