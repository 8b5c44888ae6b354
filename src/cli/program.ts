/** All commands of `flowforge`. Each is one file; what a command needs is imported when it runs, so that help is quick. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { addApprove, addReject, addReview } from './commands/review.ts'
import { addBudget } from './commands/budget.ts'
import { addCancel, addRetry, addTell } from './commands/steer.ts'
import { addCompletion } from './commands/completion.ts'
import { addConflicts } from './commands/conflicts.ts'
import { addDemo } from './commands/demo.ts'
import { addDoctor } from './commands/doctor.ts'
import { addGateway } from './commands/gateway.ts'
import { addJobs } from './commands/jobs.ts'
import { addLog } from './commands/log.ts'
import { addDiff, addShow } from './commands/show.ts'
import { addRepositories } from './commands/repositories.ts'
import { addSubmit } from './commands/submit.ts'
import { addUsage } from './commands/usage.ts'
import { addUp } from './commands/up.ts'
import { addWatch } from './commands/watch.ts'
import { examples } from './examples.ts'
import { paint } from './output.ts'

export function createProgram(): Command {
  const program = new Command('flowforge')
    .description('Runs many Claude Code tasks in sandboxes and lands the results on shared branches.')
    .version(versionOfThis(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .showSuggestionAfterError(true)
    .showHelpAfterError('Run `flowforge help` or `flowforge help COMMAND` for what there is.')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, `${paint.red('error')} `)),
    })
    .addHelpText(
      'after',
      examples(
        ['flowforge up', 'start FlowForge on this machine'],
        ['flowforge submit . "Fix the failing test" --into main --check "npm test" --wait', ''],
        ['flowforge watch 12', 'follow job 12 as it works'],
        ['flowforge review', 'see what waits for a person'],
      ),
    )

  program.commandsGroup('Start:')
  for (const add of [addUp, addDemo, addGateway, addDoctor]) add(program)
  program.commandsGroup('Jobs:')
  for (const add of [addSubmit, addJobs, addShow, addWatch, addLog, addDiff, addTell, addCancel, addRetry])
    add(program)
  program.commandsGroup('Review:')
  for (const add of [addReview, addApprove, addReject]) add(program)
  program.commandsGroup('Conflicts:')
  addConflicts(program)
  program.commandsGroup('Costs:')
  for (const add of [addUsage, addBudget]) add(program)
  program.commandsGroup('More:')
  for (const add of [addRepositories, addCompletion]) add(program)
  program.helpCommand('help [command]', 'print help for a command')
  return program
}

function versionOfThis(): string {
  const file = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')
  return (JSON.parse(file) as { version: string }).version
}
