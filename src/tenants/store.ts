import { sql } from 'kysely'
import type { Db, Transaction } from '#db'
import type { ExecutionId, JobId, OrganizationId, RepositoryId, UserId } from '#lib/ids.ts'
import type { JobPrincipal, KeyId, KeyPrincipal } from './principal.ts'
import { isScope } from './scopes.ts'

export type FoundKey = { readonly principal: KeyPrincipal; readonly expiresAt: Date | null }

/** A key that is neither revoked nor expired. Across organizations, as nobody knows yet whose it is. */
export async function findKey(system: Db, sha256: Buffer): Promise<FoundKey | undefined> {
  const row = await system
    .selectFrom('api_keys')
    .select(['id', 'organization_id', 'user_id', 'name', 'scopes', 'expires_at'])
    .where('secret_sha256', '=', sha256)
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', sql<Date>`now()`)]))
    .executeTakeFirst()
  if (!row) return undefined
  return {
    expiresAt: row.expires_at,
    principal: {
      kind: 'key',
      organizationId: row.organization_id as OrganizationId,
      keyId: row.id as KeyId,
      ...(row.user_id === null ? {} : { userId: row.user_id as UserId }),
      scopes: row.scopes.filter(isScope),
      name: row.name,
    },
  }
}

/** A token whose execution still has the job: the fence, asked at every look-up. */
export async function findJobToken(system: Db, sha256: Buffer): Promise<JobPrincipal | undefined> {
  const row = await system
    .selectFrom('job_tokens')
    .innerJoin('jobs', (join) =>
      join
        .onRef('jobs.id', '=', 'job_tokens.job_id')
        .onRef('jobs.current_execution', '=', 'job_tokens.execution_id'),
    )
    .select([
      'job_tokens.organization_id',
      'job_id',
      'execution_id',
      'models',
      'number',
      'repository_id',
      'priority',
    ])
    .where('secret_sha256', '=', sha256)
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst()
  if (!row) return undefined
  return {
    kind: 'job',
    organizationId: row.organization_id as OrganizationId,
    jobId: row.job_id as JobId,
    executionId: row.execution_id as ExecutionId,
    repositoryId: row.repository_id as RepositoryId,
    priority: row.priority,
    scopes: ['gateway:use'],
    name: `job ${row.number}`,
    models: row.models,
  }
}

/** At most once a minute for each key, or the busiest key would be the busiest row. */
export async function touchKey(system: Db, keyId: KeyId): Promise<void> {
  await system
    .updateTable('api_keys')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', keyId)
    .where((eb) =>
      eb.or([
        eb('last_used_at', 'is', null),
        eb('last_used_at', '<', sql<Date>`now() - interval '1 minute'`),
      ]),
    )
    .execute()
}

export type KeyRow = {
  readonly id: KeyId
  readonly organizationId: OrganizationId
  readonly name: string
  readonly prefix: string
  readonly sha256: Buffer
  readonly scopes: readonly string[]
  readonly expiresAt: Date | undefined
}

export async function insertKey(trx: Transaction, key: KeyRow): Promise<void> {
  await trx
    .insertInto('api_keys')
    .values({
      id: key.id,
      organization_id: key.organizationId,
      name: key.name,
      prefix: key.prefix,
      secret_sha256: key.sha256,
      scopes: [...key.scopes],
      expires_at: key.expiresAt ?? null,
    })
    .execute()
}

/** Answers whether there was such a key to revoke. */
export async function markRevoked(trx: Transaction, keyId: KeyId): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('api_keys')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', keyId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Tokens that can no longer be good. Answers how many. */
export async function deleteExpiredJobTokens(system: Db): Promise<number> {
  const { numDeletedRows } = await system
    .deleteFrom('job_tokens')
    .where('expires_at', '<', sql<Date>`now()`)
    .executeTakeFirst()
  return Number(numDeletedRows)
}
