import { Argument, type Command } from 'commander'
import { examples } from '../examples.ts'
import { print } from '../output.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print the completion for a shell')
    .description('Print the completion script for a shell. Load it from the start-up file of the shell.')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['source <(flowforge completion bash)', 'in ~/.bashrc'],
        ['source <(flowforge completion zsh)', 'in ~/.zshrc, after compinit'],
        ['flowforge completion fish | source', 'in ~/.config/fish/config.fish'],
      ),
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { completionScript } = await import('../completion.ts')
      print(completionScript(shell, program))
    })
}
