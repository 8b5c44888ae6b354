import { once } from 'node:events'
import type { Command } from 'commander'
import type { Running, UpNews } from '#up'
import { examples } from '../examples.ts'
import { note, paint, print } from '../output.ts'

type UpTyped = {
  readonly api?: true
  readonly worker?: true
  readonly gateway?: true
  readonly json?: true
  readonly printKey?: true
}

const ROLES = ['api', 'worker', 'gateway'] as const

export function addUp(program: Command): void {
  program
    .command('up')
    .summary('start FlowForge on this machine')
    .description(
      'Start FlowForge: database, API, worker and model gateway, each supervised. Ctrl-C stops it cleanly.',
    )
    .option('--api', 'only the API (roles can be combined)')
    .option('--worker', 'only a worker')
    .option('--gateway', 'only the model gateway')
    .option('--json', 'print events as lines of JSON; `ready` says where it listens')
    .option(
      '--print-key',
      'with --json: put the API key into the ready event (logs are kept; mind who reads them)',
    )
    .addHelpText(
      'after',
      examples(
        ['flowforge up', 'everything on this machine'],
        ['flowforge up --json --print-key', 'for scripts'],
        [
          'flowforge up --worker',
          'another worker, with FLOWFORGE_DATABASE_URL and FLOWFORGE_GATEWAY_URL set',
        ],
      ),
    )
    .action(runUp)
}

export async function runUp(typed: UpTyped): Promise<void> {
  const asked = ROLES.filter((role) => typed[role])
  const stop = stopSignal()
  const { up } = await import('#up')
  await using running = await up({
    ...(asked.length > 0 && { roles: asked }),
    onNews: (news) => (typed.json ? printLine(news) : note(describeNews(news))),
  })
  if (typed.json) printLine(readyEvent(running, typed.printKey === true))
  else print(describeReady(running))
  const failure = await Promise.race([stop, running.failed])
  if (failure instanceof Error) throw failure
  if (!typed.json) note('Stopping: running jobs are saved and go on at the next start …')
}

async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
}

function readyEvent(running: Running, withKey: boolean): object {
  return {
    event: 'ready',
    ...(running.apiUrl !== undefined && { api: running.apiUrl }),
    ...(running.gatewayUrl !== undefined && { gateway: running.gatewayUrl }),
    ...(withKey && { apiKey: running.apiKey }),
  }
}

/** Always one line, also on a terminal. */
function printLine(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

function describeNews(news: UpNews): string {
  switch (news.event) {
    case 'database':
      if (!news.embedded) return 'Database: the server of FLOWFORGE_DATABASE_URL'
      return news.adopted
        ? 'Database: its own PostgreSQL, which was still running'
        : 'Database: its own PostgreSQL'
    case 'restarted':
      return `${news.role} ended (${news.exit}) and is started again in ${(news.delayMs / 1000).toFixed(1)} s`
  }
}

function describeReady({ apiUrl, gatewayUrl }: Running): string {
  const lines = [
    paint.green('FlowForge is ready.'),
    ...(apiUrl === undefined ? [] : [`  API      ${apiUrl}`]),
    ...(gatewayUrl === undefined ? [] : [`  gateway  ${gatewayUrl}`]),
  ]
  if (apiUrl !== undefined)
    lines.push(
      '',
      'Give it work, from another terminal:',
      '  flowforge submit PATH "TASK" --into BRANCH --wait',
      '',
      'Ctrl-C stops it.',
    )
  return lines.join('\n')
}
