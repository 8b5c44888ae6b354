/**
 * Words of this room.
 *
 *   repository   a name for an address, in one organization; jobs refer to it
 *   address      where git finds it
 *   credential   the token or key for it, sealed; only the worker's git ever gets it
 */
import type { OrganizationId, RepositoryId } from '#lib/ids.ts'
import type { Secret } from '#lib/secret.ts'

export type Repository = {
  readonly id: RepositoryId
  readonly name: string
  readonly address: string
  readonly defaultBranch: string | null
  /** What kind of credential it has. The credential itself is never answered. */
  readonly credential: CredentialKind | null
  /** Globs whose edits wait for review; null: the default list. */
  readonly sensitivePaths: readonly string[] | null
  readonly maxRunningJobs: number | null
  readonly createdAt: Date
}

export type Credential =
  | { readonly kind: 'https_token'; readonly username: string; readonly token: Secret }
  | { readonly kind: 'ssh_key'; readonly key: Secret }
export type CredentialKind = Credential['kind']

/** What a worker needs: fits git's GitRepository. */
export type OpenRepository = {
  readonly git: {
    readonly id: RepositoryId
    readonly organizationId: OrganizationId
    readonly address: string
    readonly credential?: Credential
  }
  readonly sensitivePaths: readonly string[] | undefined
}
