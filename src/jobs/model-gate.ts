import type { RequestListener } from 'node:http'
import { createModelGate } from '#agent'
import { inOrganization } from '#db'
import { mintJobToken } from '#tenants'
import type { Work } from './work.ts'

/**
 * The job's way to the model: a listener for its socket that adds a token which only this worker's memory holds and
 * which is dead as soon as the execution no longer has the job.
 */
export async function openModelGate({ claim, tools }: Work): Promise<RequestListener> {
  const token = await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
    mintJobToken(trx, {
      organizationId: claim.key.organizationId,
      jobId: claim.key.id,
      executionId: claim.executionId,
      models: claim.job.model === null ? [] : [claim.job.model],
      expiresAt: new Date(tools.clock.now() + (claim.job.time_limit_seconds + 600) * 1000),
    }),
  )
  return createModelGate({ gatewayUrl: tools.settings.gatewayUrl, token, log: tools.log })
}
