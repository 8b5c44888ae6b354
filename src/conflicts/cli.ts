/**
 * What the commands merge-file, merge-driver, merge and replay do, with their exit codes: 0 resolved, 1 something is left,
 * 2 an error. They need no server, no database, no network and no key. The `cli` room reads the arguments and calls these.
 */
import { isUtf8 } from 'node:buffer'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { Refusal, refuse } from '#lib/errors.ts'
import type { FileOutcome, Versions } from './conflict.ts'
import { mergeFile } from './merge-file.ts'

export type Terminal = {
  out(chunk: string | Buffer): void
  err(text: string): void
  /** Standard error is a terminal: a progress bar may be drawn. */
  readonly isInteractive?: boolean
}

export type ExitCode = 0 | 1 | 2

export type MergeFileCommand = {
  readonly base: string
  readonly ours: string
  readonly theirs: string
  readonly path?: string
  readonly noModel?: boolean
  readonly json?: boolean
}

const LARGEST_READ = 256 * 1024 ** 2

/** `flowforge merge-file BASE OURS THEIRS [--path NAME] [--no-model] [--json]` */
export async function runMergeFile(command: MergeFileCommand, terminal: Terminal): Promise<ExitCode> {
  return answering(terminal, async () => {
    const versions = await readVersions(command, command.path ?? command.ours)
    const outcome = await mergeFile(versions, { names: command })
    if (command.json) terminal.out(`${JSON.stringify(fileJson(outcome))}\n`)
    else if (outcome.result) terminal.out(outcome.result)
    if (outcome.outcome === 'resolved') return 0
    if (!command.json || !outcome.result) terminal.err(`flowforge: ${versions.path}: ${outcome.reason}\n`)
    return outcome.result ? 1 : 2
  })
}

/** `flowforge merge-driver %O %A %B %P`: the result replaces %A. */
export async function runMergeDriver(
  command: { readonly base: string; readonly ours: string; readonly theirs: string; readonly path: string },
  terminal: Terminal,
): Promise<ExitCode> {
  return answering(terminal, async () => {
    const versions = await readVersions(command, command.path)
    const outcome = await mergeFile(versions, { names: { base: 'base', ours: 'ours', theirs: 'theirs' } })
    if (outcome.result) await writeFile(command.ours, outcome.result)
    if (outcome.outcome === 'resolved') return 0
    terminal.err(`flowforge: ${versions.path}: ${outcome.reason}\n`)
    return 1
  })
}

export type MergeCommand = {
  readonly repository: string
  readonly ours: string
  readonly theirs: string
  readonly update?: string
  readonly noModel?: boolean
  readonly json?: boolean
}

/** `flowforge merge REPO --ours REF --theirs REF [--no-model] [--update REF] [--json]` */
export async function runMerge(command: MergeCommand, terminal: Terminal): Promise<ExitCode> {
  return answering(terminal, async () => {
    const { mergeCommits } = await import('./merge-commits.ts')
    const report = await mergeCommits(command)
    const { outcome, tree = null, commit = null, files, checks } = report
    if (command.json)
      terminal.out(`${JSON.stringify({ outcome, tree, commit, files: files.map(fileJson), checks })}\n`)
    else {
      for (const file of files)
        terminal.out(`${file.outcome.padEnd(9)}  ${printable(file.path)}  ${file.kind}: ${file.reason}\n`)
      for (const check of checks)
        terminal.out(`${check.outcome.padEnd(9)}  ${check.layer}: ${check.reason}\n`)
      terminal.out(commit === null ? 'Something is left; nothing was written.\n' : `${commit}\n`)
      if (report.updated) terminal.err(`${report.updated} now stands at ${commit}.\n`)
    }
    return outcome === 'resolved' ? 0 : 1
  })
}

export type ReplayCommand = {
  readonly repository: string
  readonly since?: string
  readonly until?: string
  readonly limit?: number
  /** A file with one merge commit a line. */
  readonly merges?: string
  readonly json?: boolean
  readonly threads?: number
  readonly signal?: AbortSignal
}

/** `flowforge replay REPO [--since DATE] [--until DATE] [--limit N] [--merges FILE] [--json]` */
export async function runReplay(command: ReplayCommand, terminal: Terminal): Promise<ExitCode> {
  return answering(terminal, async () => {
    const { replay } = await import('./replay.ts')
    const { summaryJson, summaryText } = await import('./replay-summary.ts')
    const { merges: list, ...request } = command
    const merges =
      list === undefined
        ? undefined
        : (await readText(list))
            .split('\n')
            .map((line) => line.trim().split(/\s/)[0] ?? '')
            .filter(Boolean)
    const summary = await replay({
      ...request,
      ...(merges && { merges }),
      onFile: (file) => {
        if (command.json) terminal.out(`${JSON.stringify(file)}\n`)
      },
      onProgress: (done, of) => {
        if (terminal.isInteractive) terminal.err(`\r${progressBar(done, of)}${done === of ? '\n' : ''}`)
      },
    })
    terminal.out(
      command.json ? `${JSON.stringify({ summary: summaryJson(summary) })}\n` : summaryText(summary),
    )
    return 0
  })
}

function progressBar(done: number, of: number): string {
  const full = of === 0 ? 30 : Math.round((30 * done) / of)
  return `[${'#'.repeat(full)}${'.'.repeat(30 - full)}] ${done} of ${of} merges`
}

/** One file's outcome as `--json` prints it. */
export function fileJson(outcome: FileOutcome): object {
  const { result, regions, checks, rungs, ...rest } = outcome
  const text = result === undefined || isUtf8(result)
  return {
    ...rest,
    result: result === undefined ? null : result.toString(text ? 'utf8' : 'base64'),
    encoding: text ? 'utf8' : 'base64',
    rung: outcome.rung ?? null,
    rungs,
    regions,
    checks,
  }
}

async function readVersions(
  files: { readonly base: string; readonly ours: string; readonly theirs: string },
  path: string,
): Promise<Versions> {
  return {
    base: await read(files.base),
    ours: await read(files.ours),
    theirs: await read(files.theirs),
    path,
  }
}

async function read(file: string): Promise<Buffer> {
  const facts = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw refuse('invalid_request', {
      problem: `${JSON.stringify(file)} cannot be read (${error.code ?? error.message}).`,
    })
  })
  if (!facts.isFile() && !facts.isFIFO() && !facts.isCharacterDevice())
    throw refuse('invalid_request', { problem: `${JSON.stringify(file)} is not a file.` })
  if (facts.size > LARGEST_READ)
    throw refuse('invalid_request', { problem: `${JSON.stringify(file)} is larger than 256 MiB.` })
  return readFile(file)
}

const readText = async (file: string): Promise<string> => (await read(file)).toString('utf8')

/** A name from outside must not move the cursor or colour the terminal. */
const printable = (text: string): string => text.replaceAll(/\p{C}/gu, (c) => JSON.stringify(c).slice(1, -1))

async function answering(terminal: Terminal, run: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Error && error.name === 'GitFailed')) throw error
    terminal.err(`flowforge: ${error.message}\n`)
    return 2
  }
}
