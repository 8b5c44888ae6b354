/**
 * Writes docs/reference from the tables that the program itself uses. `--check` writes nothing and fails when a page
 * on disk differs.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command, Help } from 'commander'
import { describeApi, EVENT_KINDS } from '#api'
import { createProgram, EXIT } from '#cli'
import { KEYS } from '#config'
import { REFUSALS } from '#lib/errors.ts'
import { isFinal, JOB_STATES, TRANSITIONS } from '#jobs'
import { SCOPES } from '#tenants'

const folder = join(import.meta.dirname, '../docs/reference')
const NOTE = '<!-- Made by scripts/generate-reference.ts. Change the table in the source, then run it. -->\n'

const pages: Readonly<Record<string, string>> = {
  'errors.md': errors(),
  'configuration.md': configuration(),
  'job-states.md': jobStates(),
  'events.md': events(),
  'scopes.md': scopes(),
  'cli.md': commandLine(),
  'openapi.json': `${JSON.stringify(await describeApi(), undefined, 2)}\n`,
}

const check = process.argv.includes('--check')
const stale = Object.entries(pages).filter(([name, text]) => readPage(name) !== text)
if (check) {
  for (const [name] of stale)
    console.error(
      `docs/reference/${name} is out of date: run node scripts/with-node.mjs scripts/generate-reference.ts`,
    )
  process.exitCode = stale.length === 0 ? 0 : 1
} else {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of stale) {
    writeFileSync(join(folder, name), text)
    console.log(`wrote docs/reference/${name}`)
  }
}

function readPage(name: string): string | undefined {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch {
    return undefined
  }
}

function errors(): string {
  const rows = Object.entries(REFUSALS).map(
    ([code, [status, sentence]]) => `### ${code}\n\nStatus ${status}. ${escape(sentence)}\n`,
  )
  return `# Errors\n\n${NOTE}
Every refusal has a stable code and a sentence that says what to do. The API answers it as problem details (RFC 9457,
\`application/problem+json\`) with \`code\`, \`title\`, \`detail\`, \`status\`, \`requestId\` and the \`facts\` that fill the
sentence; the command line prints the sentence, with \`--json\` as \`{"error":{"code":…,"detail":…}}\` on standard error.

${rows.join('\n')}`
}

function configuration(): string {
  const rows = Object.entries(KEYS).map(
    ([key, { sentence, example }]) => `| \`${key}\` | ${escape(sentence)} | \`${example}\` |`,
  )
  return `# Configuration\n\n${NOTE}
Everything is set by environment variables. A wrong value stops the start and names the key, the value and an example.

| key | what it sets | example |
| --- | --- | --- |
${rows.join('\n')}
`
}

function jobStates(): string {
  const arrows = JOB_STATES.flatMap((from) => TRANSITIONS[from].map((to) => `  ${from} --> ${to}`))
  const rows = JOB_STATES.map(
    (state) =>
      `| \`${state}\` | ${isFinal(state) ? 'final' : TRANSITIONS[state].map((to) => `\`${to}\``).join(', ')} |`,
  )
  return `# States of a job\n\n${NOTE}
\`\`\`mermaid
stateDiagram-v2
  [*] --> queued
${arrows.join('\n')}
\`\`\`

| state | leads to |
| --- | --- |
${rows.join('\n')}

The code asks this table, and a trigger in the database asks its copy \`job_transitions\`; a test holds the two together.
`
}

function events(): string {
  const rows = Object.entries(EVENT_KINDS).map(
    ([kind, { meaning, facts }]) =>
      `| \`${kind}\` | ${escape(meaning)} | ${facts
        .split(', ')
        .map((fact) => `\`${fact}\``)
        .join(', ')} |`,
  )
  return `# Events of a job\n\n${NOTE}
An event is \`{"number", "occurredAt", "kind", "facts"}\`. Numbers begin at 1 for each job and have no gaps. Readers ignore
kinds and facts they do not know: new ones may come with any version.

| kind | what happened | facts |
| --- | --- | --- |
${rows.join('\n')}
`
}

function scopes(): string {
  const rows = Object.entries(SCOPES).map(([scope, what]) => `| \`${scope}\` | ${escape(what)} |`)
  return `# Scopes of API keys\n\n${NOTE}\n| scope | lets a key |\n| --- | --- |\n${rows.join('\n')}\n`
}

function commandLine(): string {
  const program = createProgram()
  const exits = Object.values(EXIT).map(([code, meaning]) => `| ${code} | ${escape(meaning)} |`)
  const commands = program.commands
    .flatMap((command) => [command, ...command.commands])
    .filter((command) => command.name() !== 'help')
  return `# Command line\n\n${NOTE}
In a checkout it is \`./bin/flowforge\`. \`flowforge help COMMAND\` prints the same.

| exit code | meaning |
| --- | --- |
${exits.join('\n')}

${commands.map(describeCommand).join('\n')}`
}

function describeCommand(command: Command): string {
  const help: Help = command.createHelp()
  const argumentRows = command.registeredArguments.map(
    (one) => `| \`${one.name()}\` | ${escape(help.argumentDescription(one))} |`,
  )
  const optionRows = help
    .visibleOptions(command)
    .filter((option) => option.long !== '--help')
    .map((option) => `| \`${escape(option.flags)}\` | ${escape(help.optionDescription(option))} |`)
  const rows = [...argumentRows, ...optionRows]
  const table = rows.length === 0 ? '' : `\n| | |\n| --- | --- |\n${rows.join('\n')}\n`
  return `## ${nameOf(command)}\n\n\`${help.commandUsage(command)}\`\n\n${escape(command.description())}\n${table}`
}

function nameOf(command: Command): string {
  const parent = command.parent
  return parent?.parent ? `${parent.name()} ${command.name()}` : command.name()
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
