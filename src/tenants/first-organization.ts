import { asSystem, type Databases } from '#db'
import { newId, type OrganizationId } from '#lib/ids.ts'
import type { Secret } from '#lib/secret.ts'
import { mintApiKey } from './keys.ts'
import { ALL_SCOPES } from './scopes.ts'
import { sha256 } from './credential.ts'
import { findKey } from './store.ts'

/** Where the operator's key is kept: FLOWFORGE_HOME/credentials.json. The caller knows its form. */
export type KeyFile = {
  read(): Promise<string | undefined>
  write(key: Secret): Promise<void>
}

/**
 * The organization `default`, and a key with every scope in `file`. Safe to call at every start and from several
 * processes at once: the file is read and written while this holds the organization's row, so the second finds the key
 * of the first. A key that is lost or revoked is replaced by a new one. Answers the organization and whether a key was made.
 */
export async function ensureFirstOrganization(
  databases: Databases,
  file: KeyFile,
): Promise<{ readonly organizationId: OrganizationId; readonly madeKey: boolean }> {
  return asSystem(databases, async (trx) => {
    await trx
      .insertInto('organizations')
      .values({ id: newId(), slug: 'default', name: 'Default' })
      .onConflict((conflict) => conflict.column('slug').doNothing())
      .execute()
    const { id } = await trx
      .selectFrom('organizations')
      .select('id')
      .where('slug', '=', 'default')
      .forUpdate()
      .executeTakeFirstOrThrow()
    const organizationId = id as OrganizationId
    const present = await file.read()
    const found = present === undefined ? undefined : await findKey(trx, sha256(present))
    if (found?.principal.organizationId === organizationId) return { organizationId, madeKey: false }
    const { secret } = await mintApiKey(trx, { organizationId, name: 'operator', scopes: ALL_SCOPES })
    // Before the commit: if that fails, the file holds a key that is good for nothing, and the next start replaces it.
    await file.write(secret)
    return { organizationId, madeKey: true }
  })
}
