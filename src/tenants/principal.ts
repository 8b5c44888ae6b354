/**
 * Words of this room.
 *
 *   organization   who owns rows; nobody sees another's
 *   principal      who asks: an API key, or a job by the token its worker holds
 *   key            ff_… and 256 random bits; only its SHA-256 is stored
 *   job token      ffj_… and 256 random bits; good only while the job's current execution is the one it was made for
 */
import type { ExecutionId, Id, JobId, OrganizationId, RepositoryId, UserId } from '#lib/ids.ts'
import type { Scope } from './scopes.ts'

export type KeyId = Id<'api-key'>

export type KeyPrincipal = {
  readonly kind: 'key'
  readonly organizationId: OrganizationId
  readonly keyId: KeyId
  /** Whose key it is; absent for a key of the organization itself. */
  readonly userId?: UserId
  readonly scopes: readonly Scope[]
  readonly name: string
}

export type JobPrincipal = {
  readonly kind: 'job'
  readonly organizationId: OrganizationId
  readonly jobId: JobId
  readonly executionId: ExecutionId
  readonly repositoryId?: RepositoryId
  /** Of the job: its calls go before those of a lower one when they must wait. */
  readonly priority?: number
  readonly scopes: readonly Scope[]
  /** "job 12" */
  readonly name: string
  /** The models this job may call. Empty: any that the organization may. */
  readonly models: readonly string[]
}

export type Principal = KeyPrincipal | JobPrincipal
