import type { Transaction } from '#db'
import { newId, type OrganizationId, type RepositoryId } from '#lib/ids.ts'
import type { CredentialKind, Repository } from './repository.ts'

export type NewRepository = {
  readonly organizationId: OrganizationId
  readonly name: string
  readonly address: string
}

type Look = { readonly id: string } | { readonly name: string } | { readonly address: string }

export async function findRepository(trx: Transaction, look: Look): Promise<Repository | undefined> {
  const [column, value] =
    'id' in look
      ? (['id', look.id] as const)
      : 'name' in look
        ? (['name', look.name] as const)
        : (['address', look.address] as const)
  const row = await selectRepositories(trx).where(`repositories.${column}`, '=', value).executeTakeFirst()
  return row && toRepository(row)
}

/** By name. An organization has hundreds at most; the limit is a net. */
export async function listRepositories(trx: Transaction): Promise<readonly Repository[]> {
  const rows = await selectRepositories(trx).orderBy('repositories.name').limit(5000).execute()
  return rows.map(toRepository)
}

/** Answers false when the name or the address is taken. */
export async function insertRepository(trx: Transaction, repository: NewRepository): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('repositories')
    .values({
      id: newId(),
      organization_id: repository.organizationId,
      name: repository.name,
      address: repository.address,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

export type RepositoryChange = {
  readonly default_branch?: string | null
  readonly sensitive_paths?: string | null
  readonly max_running_jobs?: number | null
  readonly credential_id?: string | null
}

export async function changeRow(trx: Transaction, id: RepositoryId, change: RepositoryChange): Promise<void> {
  await trx.updateTable('repositories').set(change).where('id', '=', id).execute()
}

export type CredentialRow = {
  readonly id: string
  readonly kind: CredentialKind
  readonly username: string | null
  readonly ciphertext: Buffer
}

export async function insertCredential(
  trx: Transaction,
  organizationId: OrganizationId,
  row: CredentialRow,
): Promise<void> {
  await trx
    .insertInto('repository_credentials')
    .values({ ...row, organization_id: organizationId })
    .execute()
}

export async function findCredential(trx: Transaction, id: RepositoryId): Promise<CredentialRow | undefined> {
  return trx
    .selectFrom('repository_credentials')
    .innerJoin('repositories', 'repositories.credential_id', 'repository_credentials.id')
    .select(['repository_credentials.id', 'kind', 'username', 'ciphertext'])
    .where('repositories.id', '=', id)
    .executeTakeFirst()
}

export async function deleteCredential(trx: Transaction, credentialId: string): Promise<void> {
  await trx.deleteFrom('repository_credentials').where('id', '=', credentialId).execute()
}

function selectRepositories(trx: Transaction) {
  return trx
    .selectFrom('repositories')
    .leftJoin('repository_credentials', 'repository_credentials.id', 'repositories.credential_id')
    .select([
      'repositories.id',
      'repositories.name',
      'repositories.address',
      'repositories.default_branch',
      'repositories.sensitive_paths',
      'repositories.max_running_jobs',
      'repositories.created_at',
      'repository_credentials.kind as credential',
    ])
}

type Row = Awaited<ReturnType<ReturnType<typeof selectRepositories>['executeTakeFirstOrThrow']>>

function toRepository(row: Row): Repository {
  return {
    id: row.id as RepositoryId,
    name: row.name,
    address: row.address,
    defaultBranch: row.default_branch,
    credential: row.credential,
    sensitivePaths: Array.isArray(row.sensitive_paths) ? row.sensitive_paths.map(String) : null,
    maxRunningJobs: row.max_running_jobs,
    createdAt: row.created_at,
  }
}
