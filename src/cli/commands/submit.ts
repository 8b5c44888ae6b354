import { readFileSync } from 'node:fs'
import { text as readText } from 'node:stream/consumers'
import { Option, type Command } from 'commander'
import type { JobRequestInput } from '#api'
import { connect } from '../connect.ts'
import { examples } from '../examples.ts'
import { note, print, printJson, safeLine } from '../output.ts'
import { collect, collectPair, parseCount, parseDollars, parseDuration } from '../parse.ts'
import { toRepository } from '../repository-name.ts'
import { UserError } from '../user-error.ts'

type SubmitOptions = {
  readonly into: string
  readonly base?: string
  readonly title?: string
  readonly check?: readonly string[]
  readonly setup?: string
  readonly agent?: 'claude' | 'command'
  readonly command?: string
  readonly model?: string
  readonly maxTurns?: number
  readonly maxAttempts?: number
  readonly timeLimit?: number
  readonly budget?: string
  readonly priority?: number
  readonly var?: Readonly<Record<string, string>>
  readonly landing?: 'merge' | 'branch'
  readonly tag?: Readonly<Record<string, string>>
  readonly idempotencyKey?: string
  readonly wait?: true
  readonly json?: true
}

export function addSubmit(program: Command): void {
  program
    .command('submit')
    .summary('submit a task')
    .description(
      'Submit a task on a repository. It runs in a sandbox, and the result lands on the target branch.',
    )
    .argument('<repository>', 'a registered name, an https or ssh address, or a path (a folder here: ./NAME)')
    .argument('<task>', 'what the agent is to do; @FILE reads it from a file, - from standard input')
    .requiredOption('--into <branch>', 'the target branch')
    .option('--base <ref>', 'branch, tag or commit to begin from (default: the target branch)')
    .option('--title <text>', 'one line for people (default: the first line of the task)')
    .option(
      '--check <command>',
      'a shell command that must pass before the result lands; repeatable',
      collect,
    )
    .option(
      '--setup <command>',
      'a shell command that brings dependencies, run before the agent and the checks',
    )
    .addOption(new Option('--agent <kind>', 'who does the work').choices(['claude', 'command']))
    .option('--command <command>', 'with --agent command: what `sh -c` runs in the work tree')
    .option('--model <id>', 'the model (default: what Claude Code takes by itself)')
    .option('--max-turns <count>', 'end the agent after so many turns', parseCount)
    .option('--max-attempts <count>', 'how often the agent may try when it fails', parseCount)
    .option(
      '--time-limit <time>',
      'end the agent after this time: 90s, 30m, 1h30m (default: 1h)',
      parseDuration,
    )
    .option('--budget <dollars>', 'pause the job when its model calls cost more', parseDollars)
    .option('--priority <number>', 'higher runs earlier, -100 to 100 (default: 0)', parseCount)
    .option('--var <name=value>', 'a plain variable for the sandbox, never a secret; repeatable', collectPair)
    .addOption(
      new Option('--landing <how>', 'merge into the target, or only push a branch').choices([
        'merge',
        'branch',
      ]),
    )
    .option('--tag <name=value>', 'a cost tag for reports; repeatable', collectPair)
    .option('--idempotency-key <key>', 'submitting twice with the same key makes one job')
    .option('--wait', 'follow the job to its end; the exit code says how it went')
    .option('--json', 'print the job as JSON')
    .addHelpText(
      'after',
      examples(
        ['flowforge submit ./shop "Fix the login test" --into main --check "npm test"', ''],
        ['flowforge submit shop @task.md --into main --budget 2.50 --time-limit 30m --wait', ''],
        ['flowforge submit . "Format" --into main --agent command --command "npx prettier -w ."', ''],
      ),
    )
    .action(submit)
}

async function submit(repository: string, typed: string, options: SubmitOptions): Promise<void> {
  const client = await connect()
  const request = toRequest(toRepository(repository), await readTask(typed), options)
  const { job, warnings } = await client.submit(request)
  for (const warning of warnings) note(`note: ${safeLine(warning, 500)}`)
  if (options.wait) {
    const { watchToEnd } = await import('../timeline.ts')
    process.exitCode = await watchToEnd(client, job, options.json ? 'job' : 'timeline')
  } else if (options.json) printJson(job)
  else {
    print(
      `Job ${job.number} ${job.state === 'queued' ? 'waits for a place' : `is ${job.state}`}: ${safeLine(job.title, 100)}`,
    )
    print(`Follow it with: flowforge watch ${job.number}`)
  }
}

export function toRequest(repository: string, task: string, options: SubmitOptions): JobRequestInput {
  const agent = options.agent ?? (options.command === undefined ? 'claude' : 'command')
  if (agent === 'command' && options.command === undefined)
    throw new UserError('Say with --command what is to run, for example --command "npm run format".')
  if (agent === 'claude' && options.command !== undefined)
    throw new UserError('--command goes with --agent command; Claude takes the task only.')
  return withoutUndefined({
    repository,
    task,
    into: options.into,
    base: options.base,
    title: options.title,
    agent,
    command: options.command === undefined ? undefined : ['sh', '-c', options.command],
    model: options.model,
    maxTurns: options.maxTurns,
    maxAttempts: options.maxAttempts,
    timeLimitSeconds: options.timeLimit,
    budgetUsd: options.budget,
    setup: options.setup,
    checks: options.check === undefined ? undefined : [...options.check],
    variables: options.var,
    landing: options.landing,
    priority: options.priority,
    costTags: options.tag,
    idempotencyKey: options.idempotencyKey,
  })
}

async function readTask(typed: string): Promise<string> {
  if (typed === '-') return nonEmpty(await readText(process.stdin), 'standard input')
  if (!typed.startsWith('@')) return nonEmpty(typed, 'the command line')
  const file = typed.slice(1)
  try {
    return nonEmpty(readFileSync(file, 'utf8'), file)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`The task file ${file} cannot be read. A task that begins with @ names a file.`)
  }
}

function nonEmpty(task: string, where: string): string {
  if (task.trim() === '') throw new UserError(`The task from ${where} is empty. Say what the agent is to do.`)
  return task
}

function withoutUndefined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}
