import type { Command } from 'commander'
import type { Terminal } from '#conflicts'
import { examples } from '../examples.ts'
import { parseCount } from '../parse.ts'

/** merge-file, merge-driver, merge and replay: the conflict engine on its own, without a FlowForge that runs. */
export function addConflicts(program: Command): void {
  addMergeFile(program)
  addMergeDriver(program)
  addMerge(program)
  addReplay(program)
}

type MergeFileTyped = { readonly path?: string; readonly model?: boolean; readonly json?: true }

function addMergeFile(program: Command): void {
  program
    .command('merge-file')
    .summary('merge three versions of one file')
    .description(
      'Merge three versions of one file and print the result. Ends with 0 when it is resolved, 1 when conflicts are left (with markers), 2 when nothing could be done.',
    )
    .argument('<base>', 'what both sides began with')
    .argument('<ours>', 'our version')
    .argument('<theirs>', 'their version')
    .option(
      '--path <name>',
      'the name of the file in the repository, which chooses the language (default: OURS)',
    )
    .option('--no-model', 'do not ask a model')
    .option('--json', 'print the outcome with its evidence as JSON')
    .addHelpText('after', examples(['flowforge merge-file base.ts ours.ts theirs.ts --path src/cart.ts', '']))
    .action(async (base: string, ours: string, theirs: string, { path, model, json }: MergeFileTyped) => {
      const { runMergeFile } = await import('#conflicts')
      const more = { noModel: model === false, json: json === true, ...(path !== undefined && { path }) }
      process.exitCode = await runMergeFile({ base, ours, theirs, ...more }, terminal())
    })
}

function addMergeDriver(program: Command): void {
  program
    .command('merge-driver')
    .summary('merge one file for git')
    .description(
      'The same as a merge driver of git: the result replaces OURS. Ends with 0 when it is resolved.',
    )
    .argument('<base>', '%O')
    .argument('<ours>', '%A')
    .argument('<theirs>', '%B')
    .argument('<path>', '%P')
    .addHelpText(
      'after',
      examples(
        ['git config merge.flowforge.driver "flowforge merge-driver %O %A %B %P"', ''],
        ["echo '* merge=flowforge' >> .git/info/attributes", ''],
      ),
    )
    .action(async (base: string, ours: string, theirs: string, path: string) => {
      const { runMergeDriver } = await import('#conflicts')
      process.exitCode = await runMergeDriver({ base, ours, theirs, path }, terminal())
    })
}

type MergeTyped = {
  readonly ours: string
  readonly theirs: string
  readonly update?: string
  readonly model?: boolean
  readonly json?: true
}

function addMerge(program: Command): void {
  program
    .command('merge')
    .summary('merge two commits of a repository')
    .description(
      'Merge two commits in the object database, resolving conflicts, and print the commit. No work tree is touched, and no branch unless --update names one.',
    )
    .argument('<repository>', 'a folder')
    .requiredOption('--ours <ref>', 'branch or commit')
    .requiredOption('--theirs <ref>', 'branch or commit')
    .option('--update <ref>', 'move this branch to the result')
    .option('--no-model', 'do not ask a model')
    .option('--json', 'print the outcome of each file as JSON')
    .addHelpText('after', examples(['flowforge merge . --ours main --theirs feature', '']))
    .action(async (repository: string, { ours, theirs, update, model, json }: MergeTyped) => {
      const { runMerge } = await import('#conflicts')
      const more = { noModel: model === false, json: json === true, ...(update !== undefined && { update }) }
      process.exitCode = await runMerge({ repository, ours, theirs, ...more }, terminal())
    })
}

type ReplayTyped = {
  readonly since?: string
  readonly until?: string
  readonly limit?: number
  readonly merges?: string
  readonly threads?: number
  readonly json?: true
}

function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('replay the past merges of a repository')
    .description(
      'Resolve the conflicted merges of a repository’s history again and compare with what people committed. Nothing is changed; a replay that is stopped goes on where it was.',
    )
    .argument('<repository>', 'a folder')
    .option('--since <date>', 'only merges after this date')
    .option('--until <date>', 'only merges before this date')
    .option('--limit <count>', 'at most so many conflicted merges, newest first', parseCount)
    .option('--merges <file>', 'only the merge commits in this file, one a line')
    .option('--threads <count>', 'how many at once (default: one for each core)', parseCount)
    .option('--json', 'print each file as a line of JSON, then the summary')
    .addHelpText('after', examples(['flowforge replay . --limit 100', '']))
    .action(async (repository: string, { json, ...options }: ReplayTyped) => {
      const { runReplay } = await import('#conflicts')
      const stop = new AbortController()
      process.once('SIGINT', () => stop.abort())
      const command = { repository, ...options, json: json === true, signal: stop.signal }
      process.exitCode = await runReplay(command, terminal())
    })
}

function terminal(): Terminal {
  return {
    out: (chunk) => void process.stdout.write(chunk),
    err: (text) => void process.stderr.write(text),
    isInteractive: process.stderr.isTTY,
  }
}
