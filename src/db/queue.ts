/** The queue's schema (pg-boss). Its tables hold ids only, and only the system role reaches them. */
import type pg from 'pg'
import { PgBoss } from 'pg-boss'

/** Brings the schema `pgboss` to the pinned version. Everywhere else pg-boss runs with `migrate: false`. */
export async function migrateQueue(owner: pg.Client): Promise<void> {
  const boss = new PgBoss({
    db: { executeSql: async (text, values) => owner.query(text, values) },
    schema: 'pgboss',
    migrate: true,
    supervise: false,
    schedule: false,
    useListenNotify: false,
    registerInstance: false,
  })
  const problems: unknown[] = []
  boss.on('error', (error) => problems.push(error))
  await boss.start()
  await boss.stop({ graceful: false })
  if (problems.length > 0) throw new Error('the queue could not be set up', { cause: problems[0] })
  await owner.query(`grant usage on schema pgboss to flowforge_system`)
  await owner.query(`grant select, insert, update, delete on all tables in schema pgboss to flowforge_system`)
  await owner.query(`grant usage, select on all sequences in schema pgboss to flowforge_system`)
  await owner.query(`grant execute on all functions in schema pgboss to flowforge_system`)
}
