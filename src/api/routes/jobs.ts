import { z } from 'zod'
import { jobAnswer, jobList, jobParams, listQuery, submission, submitBody } from '../contract.ts'
import { problemResponses } from '../problems.ts'
import type { ApiTools } from '../tools.ts'
import type { App } from '../server.ts'

const tags = ['jobs']

/** Submit, list and read jobs. */
export function jobRoutes(app: App, { jobs }: ApiTools): void {
  app.post(
    '/jobs',
    {
      schema: {
        operationId: 'submitJob',
        summary: 'Submit a job',
        tags,
        headers: z.object({
          'idempotency-key': z
            .string()
            .min(1)
            .max(200)
            .optional()
            .describe('The same key with the same request answers the job that was made first.'),
        }),
        body: submitBody,
        response: {
          201: submission.describe('The job waits for a place.'),
          200: submission.describe(
            'The idempotency key was used before with this request: the job that it made.',
          ),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const key = request.headers['idempotency-key'] ?? request.body.idempotencyKey
      const { job, created, warnings } = await jobs.submit(request.principal, {
        ...request.body,
        ...(key !== undefined && { idempotencyKey: key }),
      })
      return reply
        .code(created ? 201 : 200)
        .header('location', `/api/v1/jobs/${job.id}`)
        .send({ job, warnings: [...warnings] })
    },
  )

  app.get(
    '/jobs',
    {
      schema: {
        operationId: 'listJobs',
        summary: 'List jobs, newest first',
        tags,
        querystring: listQuery,
        response: { 200: jobList, ...problemResponses },
      },
    },
    async ({ principal, query }) => {
      const { jobs: found, nextBefore } = await jobs.list(principal, query)
      return { jobs: [...found], nextBefore }
    },
  )

  app.get(
    '/jobs/:job',
    {
      schema: {
        operationId: 'readJob',
        summary: 'Read one job',
        tags,
        params: jobParams,
        response: { 200: jobAnswer, ...problemResponses },
      },
    },
    async ({ principal, params }) => jobs.read(principal, params.job),
  )
}
