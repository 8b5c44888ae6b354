import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { refuse } from '#lib/errors.ts'
import { authenticateRequest } from '../authenticate.ts'
import { eventList, eventsHeaders, eventsQuery, executionList, jobParams, logQuery } from '../contract.ts'
import { BATCH, follow, type Followed } from '../follow.ts'
import { narrate } from '../narrate.ts'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'
import type { Live } from '../live.ts'

const tags = ['jobs']
const STREAM_LIMIT = 1000
/** A reader that takes nothing for this long is cut off; what it missed is there when it comes back. */
const STUCK_MS = 60_000

export type HistoryTools = Pick<ApiTools, 'jobs' | 'authenticator' | 'config'> & {
  readonly live: Live
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
}

/** What happened in a job: events, log, tries, change. */
export function jobHistoryRoutes(app: App, tools: HistoryTools): void {
  const { jobs, live } = tools

  app.get(
    '/jobs/:job/events',
    {
      schema: {
        operationId: 'followJobEvents',
        summary: 'Follow the events of a job as server-sent events, resumable',
        description:
          'Each event has its number as `id`, and `data` is a JobEvent. After the last one of a job that has ended comes `event: end` with the job. A reader that comes back with `Last-Event-ID` misses nothing and hears nothing twice; when there is nothing more to come, the answer is 204.',
        tags,
        params: jobParams,
        querystring: eventsQuery,
        headers: eventsHeaders,
        response: {
          200: {
            description: 'The events.',
            content: {
              'text/event-stream': { schema: z.string() },
              'application/json': { schema: eventList },
            },
          },
          204: z.undefined().describe('The job has ended and every event was read.'),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { principal, params, query, headers } = request
      const resumed = headers['last-event-id']
      const after = resumed ?? query.after ?? 0
      if (!query.follow) {
        const events = await jobs.events(principal, params.job, after, query.limit)
        return reply.type('application/json').send({ events: [...events] })
      }
      const job = await jobs.read(principal, params.job)
      if (resumed !== undefined && job.finishedAt !== null) {
        const more = await jobs.events(principal, params.job, after, 1)
        if (more.length === 0) return reply.code(204).send()
      }
      return stream(
        request,
        reply,
        'text/event-stream; charset=utf-8',
        toServerSentEvents(open(request, reply, params.job, after)),
      )
    },
  )

  app.get(
    '/jobs/:job/log',
    {
      schema: {
        operationId: 'readJobLog',
        summary: 'Read the log of a job as plain text',
        tags,
        params: jobParams,
        querystring: logQuery,
        response: {
          200: {
            description: 'One line for each event, control characters made visible.',
            content: { 'text/plain': { schema: z.string() } },
          },
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { principal, params, query } = request
      await jobs.read(principal, params.job)
      const lines = query.follow
        ? toLines(open(request, reply, params.job, query.after))
        : toLines(readAll(request, params.job, query.after))
      return stream(request, reply, 'text/plain; charset=utf-8', lines)
    },
  )

  app.get(
    '/jobs/:job/executions',
    {
      schema: {
        operationId: 'listJobExecutions',
        summary: 'List the tries of a job',
        tags,
        params: jobParams,
        response: { 200: executionList, ...problemResponses },
      },
    },
    async ({ principal, params }) => ({ executions: [...(await jobs.executions(principal, params.job))] }),
  )

  app.get(
    '/jobs/:job/diff',
    {
      schema: {
        operationId: 'readJobDiff',
        summary: 'Read the change of a job as a unified diff',
        tags,
        params: jobParams,
        response: {
          200: {
            description: 'The diff, as git writes it.',
            content: { 'text/plain': { schema: z.string() } },
          },
          ...problemResponses,
        },
      },
    },
    async ({ principal, params }, reply) =>
      reply.type('text/plain; charset=utf-8').send(await jobs.diff(principal, params.job)),
  )

  function open(
    request: FastifyRequest,
    reply: FastifyReply,
    name: string,
    after: number,
  ): AsyncGenerator<Followed> {
    if (live.readers >= STREAM_LIMIT) throw refuse('too_many_streams', { limit: String(STREAM_LIMIT) })
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const signal = AbortSignal.any([tools.closing, gone.signal])
    return follow({
      jobs,
      live,
      name,
      after,
      signal,
      authenticate: () => authenticateRequest(request, tools),
    })
  }

  async function* readAll(request: FastifyRequest, name: string, from: number): AsyncGenerator<Followed> {
    for (let after = from; ;) {
      const batch = await jobs.events(request.principal, name, after, BATCH)
      for (const event of batch) yield { kind: 'event', event }
      after = batch.at(-1)?.number ?? after
      if (batch.length < BATCH) return
    }
  }
}

/** The stream is pulled: a slow reader slows its own reading and holds one batch, no more. */
async function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  type: string,
  parts: AsyncGenerator<string>,
): Promise<FastifyReply> {
  request.raw.socket.setTimeout(STUCK_MS, () => request.raw.socket.destroy())
  return (
    reply
      .type(type)
      .header('cache-control', 'no-store, no-transform')
      .header('x-accel-buffering', 'no')
      // A connection that is kept for another request would keep a closing server waiting.
      .header('connection', 'close')
      .send(Readable.from(parts, { objectMode: false, highWaterMark: 16 * 1024 }))
  )
}

async function* toServerSentEvents(followed: AsyncGenerator<Followed>): AsyncGenerator<string> {
  // At once, so that a reader knows that it is connected.
  yield ': follows\n\n'
  for await (const step of followed) {
    if (step.kind === 'event') yield `id: ${step.event.number}\ndata: ${JSON.stringify(step.event)}\n\n`
    else if (step.kind === 'end') yield `event: end\ndata: ${JSON.stringify(step.job)}\n\n`
    else yield ': quiet\n\n'
  }
}

async function* toLines(followed: AsyncGenerator<Followed>): AsyncGenerator<string> {
  for await (const step of followed) {
    if (step.kind !== 'event') continue
    yield `${step.event.occurredAt} ${narrate(step.event)}\n`
  }
}
