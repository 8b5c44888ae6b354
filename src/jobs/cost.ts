import { costOfJob } from '#costs'
import { inOrganization } from '#db'
import type { Work } from './work.ts'

/** What the gateway's ledger says of this job so far. */
export async function costOf({
  claim,
  tools,
}: Work): Promise<{ readonly costNanoDollars: number; readonly simulated: boolean }> {
  const { nanoDollars, simulated } = await inOrganization(tools.databases, claim.key.organizationId, (trx) =>
    costOfJob(trx, claim.key.id),
  )
  return { costNanoDollars: nanoDollars, simulated }
}
