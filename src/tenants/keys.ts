/** Making and revoking keys and job tokens. The secret is seen once, by whoever made it. */
import { notify, type Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { newId, type ExecutionId, type JobId, type OrganizationId } from '#lib/ids.ts'
import type { Secret } from '#lib/secret.ts'
import { newCredential } from './credential.ts'
import type { KeyId } from './principal.ts'
import type { Scope } from './scopes.ts'
import { insertKey, markRevoked } from './store.ts'

export type KeyRequest = {
  readonly organizationId: OrganizationId
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Absent: it does not expire. */
  readonly expiresAt?: Date
}

export type MintedKey = { readonly id: KeyId; readonly secret: Secret; readonly prefix: string }

export async function mintApiKey(trx: Transaction, request: KeyRequest): Promise<MintedKey> {
  const { secret, sha256, prefix } = newCredential('key')
  const id = newId<'api-key'>()
  await insertKey(trx, { ...request, id, prefix, sha256, expiresAt: request.expiresAt })
  return { id, secret, prefix }
}

/** Dead in every process as soon as the transaction commits: NOTIFY empties their caches. */
export async function revokeApiKey(trx: Transaction, keyId: KeyId): Promise<void> {
  if (!(await markRevoked(trx, keyId))) throw refuse('not_found', { what: 'key', id: keyId })
  await notify(trx, 'flowforge_keys', keyId)
}

export type JobTokenRequest = {
  readonly organizationId: OrganizationId
  readonly jobId: JobId
  readonly executionId: ExecutionId
  /** The models the job may call. Empty: any. */
  readonly models: readonly string[]
  readonly expiresAt: Date
}

/** For the worker's memory only. It dies with its execution, whatever `expiresAt` says. */
export async function mintJobToken(trx: Transaction, request: JobTokenRequest): Promise<Secret> {
  const { secret, sha256 } = newCredential('job')
  await trx
    .insertInto('job_tokens')
    .values({
      id: newId(),
      organization_id: request.organizationId,
      job_id: request.jobId,
      execution_id: request.executionId,
      secret_sha256: sha256,
      models: [...request.models],
      expires_at: request.expiresAt,
    })
    .execute()
  return secret
}
