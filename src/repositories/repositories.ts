import { inOrganization, type Databases, type Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { createHostGuard } from '#lib/networks.ts'
import type { Vault } from '#secrets'
import { hasScope, requireScope, type Principal } from '#tenants'
import { parseAddress, type AddressRules, type RepositoryAddress } from './address.ts'
import { setCredential } from './credentials.ts'
import { isRepositoryName, registerRepository } from './register.ts'
import type { Credential, Repository } from './repository.ts'
import { changeRow, findRepository, listRepositories } from './store.ts'

/** What the doors may ask of repositories. Every call checks the principal's scopes and sees its organization only. */
export type Repositories = {
  register(
    principal: Principal,
    request: RepositoryRequest,
  ): Promise<{ readonly repository: Repository; readonly created: boolean }>
  list(principal: Principal): Promise<readonly Repository[]>
  read(principal: Principal, name: string): Promise<Repository>
  change(principal: Principal, name: string, change: RepositoryPatch): Promise<Repository>
  /**
   * The first half of naming a repository in a job, before any transaction: checks an address (that asks DNS and the
   * file system). The second half is `findOrRegister`.
   */
  resolve(principal: Principal, nameOrAddress: string): Promise<ResolvedName>
}

export type RepositoryRequest = RepositoryPatch & { readonly name?: string; readonly address: string }
/** Null takes a setting away. */
export type RepositoryPatch = {
  readonly credential?: Credential | null
  readonly defaultBranch?: string | null
  readonly sensitivePaths?: readonly string[] | null
  readonly maxRunningJobs?: number | null
}

export type ResolvedName =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'address'; readonly address: RepositoryAddress }

export type RepositoriesTools = {
  readonly databases: Databases
  readonly vault: Vault
  readonly home: string
  readonly allowedNetworks: readonly string[]
}

export function createRepositories(tools: RepositoriesTools): Repositories {
  const { databases, vault } = tools
  return {
    async register(principal, { name, address, ...patch }) {
      requireScope(principal, 'repositories:write')
      const checked = await checkAddress(tools, principal, address)
      return inOrganization(databases, principal.organizationId, async (trx) => {
        const registered = await registerRepository(trx, {
          organizationId: principal.organizationId,
          name,
          address: checked,
        })
        await applyPatch(trx, vault, principal, registered.repository, patch)
        return { ...registered, repository: await found(trx, registered.repository.name) }
      })
    },
    list(principal) {
      requireScope(principal, 'repositories:read')
      return inOrganization(databases, principal.organizationId, listRepositories)
    },
    read(principal, name) {
      requireScope(principal, 'repositories:read')
      return inOrganization(databases, principal.organizationId, (trx) => found(trx, name))
    },
    change(principal, name, patch) {
      requireScope(principal, 'repositories:write')
      return inOrganization(databases, principal.organizationId, async (trx) => {
        await applyPatch(trx, vault, principal, await found(trx, name), patch)
        return found(trx, name)
      })
    },
    resolve: (principal, nameOrAddress) => resolveName(tools, principal, nameOrAddress),
  }
}

export type NamingRules = Pick<RepositoriesTools, 'home' | 'allowedNetworks'>

export async function resolveName(
  rules: NamingRules,
  principal: Principal,
  nameOrAddress: string,
): Promise<ResolvedName> {
  if (isRepositoryName(nameOrAddress)) return { kind: 'name', name: nameOrAddress }
  return { kind: 'address', address: await checkAddress(rules, principal, nameOrAddress) }
}

/** In the transaction that writes the job. An address that is new is registered. */
export async function findOrRegister(
  trx: Transaction,
  principal: Principal,
  named: ResolvedName,
): Promise<Repository> {
  if (named.kind === 'name') return found(trx, named.name)
  const known = await findRepository(trx, { address: named.address.address })
  if (known) return known
  return (await registerRepository(trx, { organizationId: principal.organizationId, address: named.address }))
    .repository
}

async function checkAddress(
  rules: NamingRules,
  principal: Principal,
  text: string,
): Promise<RepositoryAddress> {
  const addressRules: AddressRules = { ...rules, operator: hasScope(principal, 'operator') }
  const address = await parseAddress(text, addressRules)
  if (address.kind === 'path') return address
  // Early, for the sake of the person who waits for the answer; git asks again before each connection.
  const answer = await createHostGuard(rules.allowedNetworks)(address.host)
  if (answer.kind === 'private') {
    throw refuse('repository_address', {
      address: address.address,
      problem: `its host is at ${answer.address}, a private address. The operator can allow it with FLOWFORGE_ALLOWED_NETWORKS.`,
    })
  }
  if (answer.kind === 'unknown' && !answer.temporary) {
    throw refuse('repository_unreachable', {
      address: address.address,
      problem: `there is no host ${address.host}.`,
    })
  }
  return address
}

async function applyPatch(
  trx: Transaction,
  vault: Vault,
  principal: Principal,
  repository: Repository,
  patch: RepositoryPatch,
): Promise<void> {
  if (patch.credential !== undefined) {
    await setCredential(trx, vault, principal.organizationId, repository, patch.credential)
  }
  const change = {
    ...(patch.defaultBranch !== undefined && { default_branch: patch.defaultBranch }),
    ...(patch.maxRunningJobs !== undefined && { max_running_jobs: patch.maxRunningJobs }),
    ...(patch.sensitivePaths !== undefined && {
      sensitive_paths: patch.sensitivePaths === null ? null : JSON.stringify(patch.sensitivePaths),
    }),
  }
  if (Object.keys(change).length > 0) await changeRow(trx, repository.id, change)
}

async function found(trx: Transaction, name: string): Promise<Repository> {
  const repository = await findRepository(trx, { name })
  if (!repository) throw refuse('repository_not_found', { name: name.slice(0, 100) })
  return repository
}
