import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { inOrganization } from '#db'
import { newId, type OrganizationId } from '#lib/ids.ts'
import { createTestDatabase } from '#test/database.ts'
import { ROLES, roleName } from './roles.ts'

const { databases, connect } = await createTestDatabase()
const owner = await connect('owner')

type Named = { readonly name: string }

test('no role is a superuser, bypasses row-level security, or may make roles or databases', async () => {
  const { rows } = await owner.query(
    `select rolname from pg_roles where rolname = any ($1)
       and not rolsuper and not rolbypassrls and not rolcreaterole and not rolcreatedb and not rolreplication`,
    [ROLES.map(roleName)],
  )
  assert.equal(rows.length, ROLES.length)
})

test('no role belongs to another, so none can take over more rights', async () => {
  const { rows } = await owner.query(
    `select member::regrole::text, roleid::regrole::text from pg_auth_members where member::regrole::text = any ($1)`,
    [ROLES.map(roleName)],
  )
  assert.deepEqual(rows, [])
})

test('the roles in use own nothing', async () => {
  const { rows } = await owner.query(
    `select relname from pg_class where relowner::regrole::text in ('flowforge_app', 'flowforge_system', 'flowforge_auth')
     union all select nspname from pg_namespace where nspowner::regrole::text in ('flowforge_app', 'flowforge_system', 'flowforge_auth')
     union all select proname from pg_proc where proowner::regrole::text in ('flowforge_app', 'flowforge_system', 'flowforge_auth')`,
  )
  assert.deepEqual(rows, [])
})

test('every connection is what it says', async () => {
  for (const role of ['app', 'system', 'auth'] as const) {
    const { rows } = await sql<{ user: string }>`select current_user::text as user`.execute(databases[role])
    assert.equal(rows[0]?.user, roleName(role))
  }
})

test('the roles in use cannot make tables, and only the system role enters the queue', async () => {
  for (const role of ['app', 'system', 'auth'] as const) {
    await assert.rejects(sql`create table intruder (id int)`.execute(databases[role]), { code: '42501' })
  }
  await sql`select from pgboss.job`.execute(databases.system)
  for (const role of ['app', 'auth'] as const) {
    await assert.rejects(sql`select from pgboss.job`.execute(databases[role]), { code: '42501' })
  }
})

test('no partition has a grant, so nobody reads past the policies of its table', async () => {
  const { rows: partitions } = await owner.query<Named & { grants: string | null }>(
    `select relname as name, array_to_string(relacl, ',') as grants from pg_class
     where relispartition and relkind = 'r' and relnamespace = 'public'::regnamespace`,
  )
  assert.ok(partitions.length >= 5 * 5, `only ${partitions.length} partitions`)
  for (const { name, grants } of partitions) {
    for (const grant of (grants ?? '').split(',')) assert.match(grant, /^$|^flowforge_owner=/, name)
  }
  const one = newId<'organization'>()
  const name = partitions.find((partition) => partition.name.startsWith('job_events_2'))?.name ?? ''
  const read = inOrganization(databases, one, (trx) => sql`select * from ${sql.table(name)}`.execute(trx))
  await assert.rejects(read, { code: '42501' })
  await assert.rejects(sql`select * from ${sql.table(name)}`.execute(databases.system), { code: '42501' })
})

test('row-level security is on and forced for every table with tenant data or people', async () => {
  const { rows } = await owner.query<Named>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition and not (relrowsecurity and relforcerowsecurity) order by 1`,
  )
  // None holds data of anybody: the ledger of migrations, the table of transitions, the live workers and gateways.
  assert.deepEqual(
    rows.map((row) => row.name),
    ['job_transitions', 'reservation_holders', 'schema_migrations', 'workers'],
  )
})

test('the app role names the organization in each of its policies, and no view or function runs with the rights of the owner', async () => {
  const { rows } = await owner.query(
    `select tablename, policyname from pg_policies where 'flowforge_app' = any (roles)
       and qual not like '%current_organization()%'`,
  )
  assert.deepEqual(rows, [])
  const { rows: definers } = await owner.query(
    `select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace
     union all select relname from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace`,
  )
  assert.deepEqual(definers, [])
})

test('sign-in sees people and organizations, nothing else', async () => {
  const { rows } = await owner.query<Named>(
    `select distinct table_name::text as name from information_schema.role_table_grants where grantee = 'flowforge_auth' order by 1`,
  )
  assert.deepEqual(
    rows.map((row) => row.name),
    [
      ...[
        'accounts',
        'device_codes',
        'invitations',
        'members',
        'organization_roles',
        'organizations',
        'sessions',
      ],
      ...['team_members', 'teams', 'two_factors', 'users', 'verifications'],
    ],
  )
})

test('references stay within one organization: a job cannot name the repository of another', async () => {
  const { rows } = await owner.query<{ definition: string }>(
    `select pg_get_constraintdef(oid) as definition from pg_constraint where contype = 'f'
       and confrelid in ('repositories'::regclass, 'jobs'::regclass, 'repository_credentials'::regclass, 'teams'::regclass)`,
  )
  assert.ok(rows.length >= 8)
  for (const { definition } of rows) assert.match(definition, /^FOREIGN KEY \(organization_id, /)
})

/** Every tenant table gets a row of each of two organizations; then each table is read as both and as nobody. */
test('no tenant table shows a row of another organization, or any row when none is set', async (t) => {
  const [one, two] = [newId<'organization'>(), newId<'organization'>()]
  const tables = await tenantTables()
  assert.ok(tables.length >= 18, `only ${tables.length} tenant tables`)
  await fill(tables, [one, two])
  for (const { name, column, readable } of tables) {
    await t.test(name, async () => {
      const count = async (as: OrganizationId | undefined): Promise<readonly string[]> => {
        const query = sql<{
          organization: string
        }>`select ${sql.ref(column)} as organization from ${sql.table(name)}`
        const { rows } = as
          ? await inOrganization(databases, as, (trx) => query.execute(trx))
          : await query.execute(databases.app)
        return rows.map((row) => row.organization)
      }
      if (!readable) return assert.rejects(count(one), { code: '42501' })
      assert.deepEqual(await count(one), [one])
      assert.deepEqual(await count(two), [two])
      assert.deepEqual(await count(undefined), [])
    })
  }
})

test('a row cannot be written for, or moved to, another organization', async () => {
  const [one, two] = [newId<'organization'>(), newId<'organization'>()]
  const write = inOrganization(databases, one, (trx) =>
    trx
      .insertInto('audit_logs')
      .values({ id: newId(), organization_id: two, actor: 'x', action: 'x', outcome: 'done' })
      .execute(),
  )
  await assert.rejects(write, /row-level security/)
})

type TenantTable = { readonly name: string; readonly column: string; readonly readable: boolean }

async function tenantTables(): Promise<readonly TenantTable[]> {
  const { rows } = await owner.query<TenantTable>(`
    select c.relname as name, a.attname as column, has_any_column_privilege('flowforge_app', c.oid, 'select') as readable
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and (a.attname = 'organization_id' or (c.relname = 'organizations' and a.attname = 'id'))
    order by c.relname <> 'organizations', c.relname`)
  return rows
}

/**
 * Rows are made from the catalog, so that a table added later is tested too: every column without default gets a value
 * of its type. As the owner: foreign keys, checks and row-level security are put aside for this transaction only.
 */
async function fill(tables: readonly TenantTable[], organizations: readonly OrganizationId[]): Promise<void> {
  await owner.query('begin')
  for (const { name } of tables) {
    await owner.query(`alter table ${name} no force row level security`)
    await dropForeignKeysAndChecks(name)
  }
  await owner.query('savepoint filled')
  for (const { name, column } of tables) {
    const { rows } = await owner.query<{ name: string; type: string }>(
      `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and attnotnull and not atthasdef and attname <> $2`,
      [name, column],
    )
    for (const organization of organizations) {
      const columns = [column, ...rows.map((row) => row.name)]
      const values = [`'${organization}'`, ...rows.map((row) => sample(row.type))]
      await owner.query(`insert into ${name} (${columns.join(', ')}) values (${values.join(', ')})`)
    }
  }
  for (const { name } of tables) await owner.query(`alter table ${name} force row level security`)
  await owner.query('commit')
}

/** The database is this file's own, and the tests that look at constraints have run, or look at others. */
async function dropForeignKeysAndChecks(table: string): Promise<void> {
  const { rows } = await owner.query<Named>(
    `select conname as name from pg_constraint where conrelid = $1::regclass and contype in ('c', 'f')`,
    [table],
  )
  for (const { name } of rows) await owner.query(`alter table ${table} drop constraint ${name}`)
  await owner.query(`alter table ${table} disable trigger user`)
}

function sample(type: string): string {
  const samples: Readonly<Record<string, string>> = {
    uuid: 'gen_random_uuid()',
    text: 'gen_random_uuid()::text',
    jsonb: `'{}'`,
    bytea: `decode(md5(random()::text), 'hex')`,
    'timestamp with time zone': 'now()',
  }
  return type.endsWith('[]') ? `'{}'` : (samples[type] ?? '1')
}
