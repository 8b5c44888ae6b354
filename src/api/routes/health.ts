import { sql } from 'kysely'
import { z } from 'zod'
import { Refusal, refuse } from '#lib/errors.ts'
import { health } from '../contract.ts'
import type { Metrics } from '../metrics.ts'
import { problemResponses } from '../problems.ts'
import type { App } from '../server.ts'
import type { ApiTools } from '../tools.ts'
import { VERSION } from '../version.ts'

const tags = ['operation']
const DATABASE_TIMEOUT_MS = 2_000

/** For whoever watches the process. No key is needed; nothing of any tenant is in the answers. */
export function healthRoutes(app: App, { databases }: Pick<ApiTools, 'databases'>, metrics: Metrics): void {
  const ok = { status: 'ok', version: VERSION } as const

  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'readHealth',
        summary: 'Whether the process lives',
        tags,
        security: [],
        response: { 200: health, ...problemResponses },
      },
    },
    async () => ok,
  )

  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'readReadiness',
        summary: 'Whether requests can be served: the database answers',
        tags,
        security: [],
        response: { 200: health, ...problemResponses },
      },
    },
    async () => {
      await withinTime(sql`select 1`.execute(databases.app))
      return ok
    },
  )

  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'readMetrics',
        summary: 'Figures for Prometheus',
        tags,
        security: [],
        response: {
          200: {
            description: 'The text format of Prometheus.',
            content: { 'text/plain': { schema: z.string() } },
          },
          ...problemResponses,
        },
      },
    },
    async (_, reply) => reply.type(metrics.contentType).send(await metrics.read()),
  )
}

async function withinTime(check: Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${DATABASE_TIMEOUT_MS} ms`)),
    DATABASE_TIMEOUT_MS,
  )
  try {
    await Promise.race([check, promise])
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw refuse(
      'database_unavailable',
      { problem: error instanceof Error ? error.message : String(error) },
      error,
    )
  } finally {
    clearTimeout(timer)
  }
}
