/** The credential of a repository: sealed when it comes in, opened for the worker's git only. */
import type { Transaction } from '#db'
import { refuse } from '#lib/errors.ts'
import { newId, type OrganizationId, type RepositoryId } from '#lib/ids.ts'
import type { Vault } from '#secrets'
import type { Credential, OpenRepository, Repository } from './repository.ts'
import { changeRow, deleteCredential, findCredential, findRepository, insertCredential } from './store.ts'

const LONGEST = 64 * 1024

/** Null takes the credential away. The old one is deleted, not kept. */
export async function setCredential(
  trx: Transaction,
  vault: Vault,
  organizationId: OrganizationId,
  repository: Repository,
  credential: Credential | null,
): Promise<void> {
  const old = await findCredential(trx, repository.id)
  let id: string | null = null
  if (credential) {
    checkCredential(credential, repository.address)
    id = newId()
    const isToken = credential.kind === 'https_token'
    const secret = isToken ? credential.token : credential.key
    const ciphertext = vault.seal(secret, contextOf(organizationId, id))
    await insertCredential(trx, organizationId, {
      id,
      kind: credential.kind,
      username: isToken ? credential.username : null,
      ciphertext,
    })
  }
  await changeRow(trx, repository.id, { credential_id: id })
  if (old) await deleteCredential(trx, old.id)
}

export async function getCredential(
  trx: Transaction,
  vault: Vault,
  organizationId: OrganizationId,
  repositoryId: RepositoryId,
): Promise<Credential | undefined> {
  const row = await findCredential(trx, repositoryId)
  if (!row) return undefined
  const secret = vault.open(row.ciphertext, contextOf(organizationId, row.id))
  return row.kind === 'ssh_key'
    ? { kind: 'ssh_key', key: secret }
    : { kind: 'https_token', username: row.username ?? 'x-access-token', token: secret }
}

/** A repository with its credential opened, for the worker's git. Runs in a transaction of its organization. */
export async function openRepository(
  trx: Transaction,
  vault: Vault,
  repositoryId: string,
): Promise<OpenRepository> {
  const row = await trx
    .selectFrom('repositories')
    .select(['id', 'organization_id'])
    .where('id', '=', repositoryId)
    .executeTakeFirst()
  const repository = row && (await findRepository(trx, { id: row.id }))
  if (!repository) throw refuse('repository_not_found', { name: repositoryId })
  const organizationId = row.organization_id as OrganizationId
  const credential = await getCredential(trx, vault, organizationId, repository.id)
  return {
    git: {
      id: repository.id,
      organizationId,
      address: repository.address,
      ...(credential && { credential }),
    },
    sensitivePaths: repository.sensitivePaths ?? undefined,
  }
}

function checkCredential(credential: Credential, address: string): void {
  const isHttps = address.startsWith('https://')
  const isSsh = !isHttps && !address.startsWith('/')
  const wrong = (problem: string): Error => refuse('invalid_request', { problem })
  if (credential.kind === 'https_token') {
    if (!isHttps) throw wrong('a token belongs to an https address.')
    // Both go to git line by line (credential protocol): a line end would begin another field.
    if (!/^[\x21-\x7e]{1,200}$/.test(credential.username))
      throw wrong('the user name of the token is not valid.')
    if (!/^[\x21-\x7e]{1,8000}$/.test(credential.token.reveal()))
      throw wrong('the token is empty or has characters that do not belong into it.')
    return
  }
  if (!isSsh) throw wrong('an ssh key belongs to an ssh address.')
  const key = credential.key.reveal()
  if (Buffer.byteLength(key) > LONGEST || !/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s/.test(key)) {
    throw wrong('the ssh key is no private key in PEM or OpenSSH form.')
  }
}

/** A ciphertext opens only in the row it was made for. */
function contextOf(organizationId: OrganizationId, id: string): string {
  return `repository_credentials ${organizationId} ${id}`
}
