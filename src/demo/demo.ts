/**
 * The demo: starts FlowForge on this machine, submits several jobs at once against one branch of a sample repository,
 * and shows what happens as it happens. Everything is the real program; only the model is scripted when there is no key.
 */
import picocolors from 'picocolors'
import { createClient, narrate, type Client, type Job, type JobEvent } from '#api'
import { readConfig } from '#config'
import { up, type Running } from '#up'
import { PLAYS, type Play } from './plays.ts'
import { historyOf, makeSampleRepository } from './sample-repository.ts'
import { scriptedTask } from './scripted-model/script.ts'
import { SIMULATED, startScriptedModel } from './scripted-model/server.ts'

/** Colours on a terminal only; left to itself, the library turns them on in a CI log. */
const pc = picocolors.createColors(process.stdout.isTTY === true)

export type DemoOptions = { readonly exit: boolean; readonly json: boolean }

/** Answers the exit code: 0 only when all that should land landed. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const say = options.json ? () => undefined : (line: string) => void process.stdout.write(`${line}\n`)
  await using stack = new AsyncDisposableStack()
  const scripted = readConfig().ANTHROPIC_API_KEY === undefined
  const environment: Record<string, string> = {}
  if (scripted) {
    const model = await startScriptedModel()
    stack.defer(() => model.close())
    environment['FLOWFORGE_UPSTREAM_URL'] = model.url
  }
  say(
    pc.bold('FlowForge') +
      (scripted
        ? pc.yellow(`  ${SIMULATED}: the answers are played, everything else is real`)
        : '  model: Claude'),
  )
  const weaker = await acceptWeaker(environment)
  if (weaker.length > 0) {
    say(pc.yellow('As this user the sandbox holds less than it should, which the demo accepts:'))
    for (const sentence of weaker) say(pc.yellow(`  ${sentence}`))
    say(
      `For work of your own, as root or with FLOWFORGE_ALLOW_WEAKER=${environment['FLOWFORGE_ALLOW_WEAKER']}\n`,
    )
  }
  say('Starting PostgreSQL, gateway, API and worker …')
  const running = stack.use(
    await up({ environment, logTo: 'files', ...(scripted ? { modelSource: 'scripted' as const } : {}) }),
  )
  const origin = await makeSampleRepository()
  say(`Sample repository: ${origin}\n`)

  const client = createClient({ url: running.apiUrl ?? '', apiKey: running.apiKey })
  const ended = await playAll(client, origin, scripted, options, say)
  const allRight = ended.every(isRight) && isContestDecided(ended)
  if (!options.json) say(await summaryOf(ended, origin, scripted, running))
  if (options.exit) return allRight ? 0 : 1
  say(pc.dim('\nFlowForge keeps running. Ctrl-C ends it.'))
  await untilInterrupted()
  return allRight ? 0 : 1
}

/** The demo's own tasks are known, so it may run where limits are soft. Says what does not hold. */
async function acceptWeaker(environment: Record<string, string>): Promise<readonly string[]> {
  const config = readConfig()
  if (config.FLOWFORGE_SANDBOX !== 'local') return []
  const { inspectHost, namesOfMissing } = await import('#sandbox')
  const { guarantees } = await inspectHost(config)
  if (!guarantees || guarantees.missing.length === 0) return []
  environment['FLOWFORGE_ALLOW_WEAKER'] = namesOfMissing(guarantees).join(',')
  return guarantees.missing
}

type Ended = { readonly play: Play; readonly job: Job }

function isRight({ play, job }: Ended): boolean {
  if (play.ends === 'contested') return job.state === 'succeeded' || job.state === 'needs_review'
  return job.state === play.ends
}

/** Two wishes for one line cannot both be proven right: the first lands, the second waits for a person. */
function isContestDecided(ended: readonly Ended[]): boolean {
  return ended.some(({ play, job }) => play.ends === 'contested' && job.state === 'succeeded')
}

async function playAll(
  client: Client,
  origin: string,
  scripted: boolean,
  options: DemoOptions,
  say: (line: string) => void,
): Promise<readonly Ended[]> {
  const submitted: Ended[] = []
  for (const play of PLAYS) {
    const { job } = await client.submit({
      repository: origin,
      into: 'main',
      title: play.title,
      task: scripted ? scriptedTask(play.task, play.script) : play.task,
      checks: ['node --test'],
    })
    submitted.push({ play, job })
  }
  const width = Math.max(...PLAYS.map(({ title }) => title.length))
  return Promise.all(
    submitted.map(async ({ play, job }) => {
      const label = `${pc.bold(`#${job.number}`)} ${play.title.padEnd(width)}`
      await followUntilSettled(client, job, (event) => {
        if (options.json) process.stdout.write(`${JSON.stringify({ job: job.number, ...event })}\n`)
        else if (TOLD.test(event.kind))
          say(
            `${pc.dim(clockTime(event))}  ${label}  ${colour(event)(narrate(event).split('\n', 1)[0]?.slice(0, 110) ?? '')}`,
          )
      })
      return { play, job: await client.readJob(job.id) }
    }),
  )
}

/** Until the job is final or waits for a person. */
async function followUntilSettled(client: Client, job: Job, tell: (event: JobEvent) => void): Promise<void> {
  const stop = new AbortController()
  const events = client.followEvents(job.id, { signal: stop.signal })
  for (;;) {
    const step = await events.next()
    if (step.done) return
    tell(step.value)
    if (step.value.kind !== 'job.needs_review' && step.value.kind !== 'job.paused') continue
    await events.return(await client.readJob(job.id))
    return
  }
}

/** Who waits, what runs, what landed; not every word of every agent. */
const TOLD = /^(job\.|agent\.(started|tool)$|land\.|check\.ended|run\.collected)/

function colour(event: JobEvent): (text: string) => string {
  if (event.kind === 'job.succeeded') return pc.green
  if (event.kind === 'job.failed') return pc.red
  if (event.kind === 'job.needs_review') return pc.yellow
  return event.kind.startsWith('agent.') ? pc.cyan : (text) => text
}

function clockTime(event: JobEvent): string {
  return event.occurredAt.slice(11, 19)
}

async function summaryOf(
  ended: readonly Ended[],
  origin: string,
  scripted: boolean,
  running: Running,
): Promise<string> {
  const results = ended.map(({ play, job }) => {
    const mark = isRight({ play, job }) ? pc.green('✔') : pc.red('✘')
    const what =
      job.state === 'succeeded'
        ? `landed as ${job.landedCommit?.slice(0, 8)}`
        : `${job.state}: ${job.message?.split('\n', 1)[0] ?? ''}`
    const cost = `$${job.costUsd}${job.simulated ? ` (${SIMULATED})` : ''}`
    return `${mark} #${job.number} ${play.title}: ${what}, ${cost}`
  })
  const waiting = ended.find(({ job }) => job.state === 'needs_review')
  return [
    '',
    ...results,
    '',
    pc.bold('What is on main now'),
    await historyOf(origin),
    '',
    ...(scripted ? [pc.yellow(`${SIMULATED}: set ANTHROPIC_API_KEY to see Claude do the same.`), ''] : []),
    `API      ${running.apiUrl}`,
    `Gateway  ${running.gatewayUrl}`,
    ...(waiting
      ? [
          `Review   ./bin/flowforge show ${waiting.job.number}, then ./bin/flowforge approve ${waiting.job.number}`,
        ]
      : []),
    `Yours    ./bin/flowforge submit /path/to/your/repository "What is to be done" --into main --check "npm test" --wait`,
  ].join('\n')
}

async function untilInterrupted(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
