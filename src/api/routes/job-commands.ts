import { z } from 'zod'
import { approveBody, jobAnswer, jobParams, rejectBody, tellBody } from '../contract.ts'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'

const tags = ['jobs']

/** What can be asked of one job. */
export function jobCommandRoutes(app: App, { jobs }: ApiTools): void {
  const schema = { tags, params: jobParams, response: { 200: jobAnswer, ...problemResponses } }

  app.post(
    '/jobs/:job/cancel',
    { schema: { ...schema, operationId: 'cancelJob', summary: 'Cancel a job; a running process is ended' } },
    async ({ principal, params }) => jobs.cancel(principal, params.job),
  )

  app.post(
    '/jobs/:job/retry',
    {
      schema: {
        ...schema,
        operationId: 'retryJob',
        summary: 'Let a paused job go on; submit a failed or cancelled one again as a new job',
      },
    },
    async ({ principal, params }) => jobs.retry(principal, params.job),
  )

  app.post(
    '/jobs/:job/tell',
    {
      schema: {
        ...schema,
        operationId: 'tellJob',
        summary: 'Tell the running agent something',
        body: tellBody,
        response: { 204: z.undefined().describe('It will be delivered.'), ...problemResponses },
      },
    },
    async ({ principal, params, body }, reply) => {
      await jobs.tell(principal, params.job, body.text)
      return reply.code(204).send()
    },
  )

  app.post(
    '/jobs/:job/approve',
    {
      schema: {
        ...schema,
        operationId: 'approveJob',
        summary: 'Approve a job in review: the merge lane runs again on the newest target',
        body: approveBody.nullish(),
      },
    },
    async ({ principal, params, body }) => {
      const { commit } = body ?? {}
      return jobs.approve(principal, params.job, commit === undefined ? {} : { commit })
    },
  )

  app.post(
    '/jobs/:job/reject',
    {
      schema: {
        ...schema,
        operationId: 'rejectJob',
        summary: 'Reject a job in review',
        body: rejectBody.nullish(),
      },
    },
    async ({ principal, params, body }) => {
      const { reason } = body ?? {}
      return jobs.reject(principal, params.job, reason === undefined ? {} : { reason })
    },
  )
}
