/** A job's life as lines, while it happens. */
import { narrate, type Client, type Job, type JobEvent } from '#api'
import { describeEnd } from './describe.ts'
import { exitCodeOf } from './exit-codes.ts'
import { paint, print, printJson } from './output.ts'

type Shape = 'timeline' | 'events' | 'job'

/** States in which a job waits for a person: a `--wait` would never end there. */
const WAITS_FOR_A_PERSON = new Set(['job.needs_review', 'job.paused'])

/** Follows a job until it has ended or waits for a person. Answers the exit code. */
export async function watchToEnd(client: Client, from: Job, shape: Shape): Promise<number> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const job = await follow(client, from, shape, stop.signal)
  if (shape === 'job') printJson(job)
  if (shape === 'timeline') print(`\n${describeEnd(job)}`)
  return exitCodeOf(job)
}

async function follow(client: Client, from: Job, shape: Shape, signal: AbortSignal): Promise<Job> {
  const events = client.followEvents(from.id, { signal })
  for (;;) {
    const step = await events.next()
    if (step.done) return step.value
    if (shape === 'timeline') print(toTimelineLine(step.value))
    if (shape === 'events') printJson(step.value)
    if (!WAITS_FOR_A_PERSON.has(step.value.kind)) continue
    // The event may be old: a job that was approved since goes on.
    const job = await client.readJob(from.id)
    if (job.state !== 'needs_review' && job.state !== 'paused') continue
    await events.return(job)
    return job
  }
}

export function toTimelineLine(event: JobEvent): string {
  const time = paint.dim(new Date(event.occurredAt).toLocaleTimeString('en-GB'))
  const [kind = '', ...rest] = narrate(event).split(' ')
  return `${time} ${colourOf(kind)(kind.padEnd(18))} ${rest.join(' ')}`
}

function colourOf(kind: string): (text: string) => string {
  if (/\.(failed|error|denied|refused)$/.test(kind)) return paint.red
  if (/^job\.(succeeded|landed)$/.test(kind)) return paint.green
  if (/^job\.(needs_review|paused|retry|recovered)$/.test(kind)) return paint.yellow
  return kind.startsWith('agent.') ? paint.cyan : paint.bold
}
