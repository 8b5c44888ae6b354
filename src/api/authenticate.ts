import { join } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refuse } from '#lib/errors.ts'
import type { Principal } from '#tenants'
import type { ApiTools } from './tools.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. Set for every route below /api/v1 before its handler runs. */
    principal: Principal
  }
}

/** Every route of this app needs a key, sent as `Authorization: Bearer ff_…` or `x-api-key: ff_…`. */
export function requireKey(app: FastifyInstance, tools: Pick<ApiTools, 'authenticator' | 'config'>): void {
  app.addHook('onRequest', async (request) => {
    request.principal = await authenticateRequest(request, tools)
  })
}

/** Also asked again while a stream is open: a key that was revoked meanwhile ends it. */
export async function authenticateRequest(
  request: FastifyRequest,
  { authenticator, config }: Pick<ApiTools, 'authenticator' | 'config'>,
): Promise<Principal> {
  const key = keyOf(request)
  const principal = key === undefined ? undefined : await authenticator.authenticate(key)
  // A job's token is for the gateway only: what runs in a sandbox gives no orders here.
  if (principal?.kind === 'key') return principal
  throw refuse('not_authenticated', { where: join(config.FLOWFORGE_HOME, 'credentials.json') })
}

function keyOf({ headers }: FastifyRequest): string | undefined {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? headers['x-api-key']
  return typeof given === 'string' && given.length <= 512 ? given : undefined
}
