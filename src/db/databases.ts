import { sql, type Kysely, type Transaction as KyselyTransaction } from 'kysely'
import type { OrganizationId } from '#lib/ids.ts'
import type { Schema } from './schema.ts'

export type Db = Kysely<Schema>
export type Transaction = KyselyTransaction<Schema>

/**
 * One pool for each database role, so that code cannot see more than its work needs.
 *
 *   app      tenant work: only through inOrganization, which names the organization for the transaction
 *   system   admission, recovery, ledger: sees all organizations, in the tables that name it in a policy
 *   auth     sign-in tables only
 */
export type Databases = AsyncDisposable & {
  readonly app: Db
  readonly system: Db
  readonly auth: Db
}

/** Runs one transaction that sees the rows of this organization and no others. */
export async function inOrganization<T>(
  databases: Databases,
  organizationId: OrganizationId,
  work: (trx: Transaction) => Promise<T>,
): Promise<T> {
  return databases.app.transaction().execute(async (trx) => {
    await sql`select set_config('flowforge.organization_id', ${organizationId}, true)`.execute(trx)
    return work(trx)
  })
}

/** Runs one transaction of the platform itself, across organizations. */
export async function asSystem<T>(databases: Databases, work: (trx: Transaction) => Promise<T>): Promise<T> {
  return databases.system.transaction().execute(work)
}

/** Tells other processes at commit. The payload holds ids only, never content. */
export async function notify(trx: Transaction, channel: Channel, id: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${id})`.execute(trx)
}

/** admission: a place or a job became free. job_events: new events of this job. job_control: cancel, tell. keys: a key was revoked. budgets: those of this organization changed. budget_notices: this budget passed a threshold. */
export type Channel =
  | 'flowforge_admission'
  | 'flowforge_job_events'
  | 'flowforge_job_control'
  | 'flowforge_keys'
  | 'flowforge_budgets'
  | 'flowforge_budget_notices'
