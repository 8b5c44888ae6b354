/** Builds the HTTP server: who may ask, what is answered, how errors look. Routes are in routes/, one file each. */
import helmet from '@fastify/helmet'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type RawServerDefault,
} from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { refuse } from '#lib/errors.ts'
import { newId } from '#lib/ids.ts'
import { readJobFigures } from '#jobs'
import { requireKey } from './authenticate.ts'
import { guardAgainstPages } from './guard.ts'
import { createLive } from './live.ts'
import { measure } from './metrics.ts'
import { describeRoutes } from './openapi.ts'
import { answerProblems, BODY_LIMIT_BYTES } from './problems.ts'
import { budgetRoutes } from './routes/budgets.ts'
import { healthRoutes } from './routes/health.ts'
import { jobCommandRoutes } from './routes/job-commands.ts'
import { jobHistoryRoutes } from './routes/job-history.ts'
import { jobRoutes } from './routes/jobs.ts'
import { priceRoutes } from './routes/prices.ts'
import { repositoryRoutes } from './routes/repositories.ts'
import { usageRoutes } from './routes/usage.ts'
import type { Api, ApiTools } from './tools.ts'

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export async function createApi(tools: ApiTools): Promise<Api> {
  const app = await buildApp(tools)
  const { host, port } = tools
  try {
    const url = await app.listen({ host, port })
    return { url, close: () => app.close() }
  } catch (error) {
    await app.close()
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
      throw refuse('port_taken', { port: String(port), variable: 'FLOWFORGE_PORT' }, error)
    throw error
  }
}

/** Everything but the listening socket. */
export async function buildApp(tools: ApiTools): Promise<App> {
  const app = Fastify({
    loggerInstance: tools.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: () => newId<'request'>(),
    requestIdHeader: false,
    // Streams are ended by `closing`; idle connections are closed at once, running requests are waited for.
    forceCloseConnections: 'idle',
    connectionTimeout: 0,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 200 },
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.removeContentTypeParser('text/plain')

  const closing = new AbortController()
  const live = await createLive(tools.listener)
  app.addHook('preClose', async () => closing.abort())
  app.addHook('onClose', async () => live[Symbol.dispose]())
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id))

  const metrics = measure(app, live, () => readJobFigures(tools.databases))
  guardAgainstPages(app, [tools.host, ...tools.config.FLOWFORGE_HOST_NAMES])
  answerProblems(app)
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      useDefaults: false,
    },
  })
  await describeRoutes(app)

  healthRoutes(app, tools, metrics)
  await app.register(
    async (v1: App) => {
      requireKey(v1, tools)
      jobRoutes(v1, tools)
      jobCommandRoutes(v1, tools)
      jobHistoryRoutes(v1, { ...tools, live, closing: closing.signal })
      repositoryRoutes(v1, tools)
      budgetRoutes(v1, tools)
      usageRoutes(v1, tools)
      priceRoutes(v1, tools)
    },
    { prefix: '/api/v1' },
  )
  await app.ready()
  return app
}
