/**
 * Monthly partitions of the high-volume tables: this month and three ahead, and a default partition as a net.
 *
 * Partitions carry no grants: whoever asks one directly, past the policies of its table, is refused.
 */
import pg from 'pg'

const MONTHS_AHEAD = 3

type PartitionedTable = { readonly name: string; readonly column: string }

/** Run by the owner, at set-up and daily. Answers the names of the partitions it made. */
export async function maintainPartitions(
  owner: pg.ClientBase,
  now: Date = new Date(),
): Promise<readonly string[]> {
  const made: string[] = []
  for (const table of await partitionedTables(owner)) {
    await makeDefault(owner, table)
    for (const month of await monthsNeeded(owner, table, now)) {
      if (await makeMonth(owner, table, month)) made.push(partitionName(table, month))
    }
  }
  return made
}

async function partitionedTables(owner: pg.ClientBase): Promise<readonly PartitionedTable[]> {
  const { rows } = await owner.query<PartitionedTable>(`
    select c.relname as name, a.attname as column
    from pg_partitioned_table p
    join pg_class c on c.oid = p.partrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
    where p.partstrat = 'r' and c.relnamespace = 'public'::regnamespace
    order by c.relname`)
  return rows
}

/** Also the months of rows that were caught by the net. */
async function monthsNeeded(
  owner: pg.ClientBase,
  table: PartitionedTable,
  now: Date,
): Promise<readonly Date[]> {
  const { rows } = await owner.query<{ month: Date }>(`
    select distinct date_trunc('month', ${table.column}, 'UTC') as month from ${table.name}_default limit 240`)
  const months = Array.from({ length: MONTHS_AHEAD + 1 }, (_, ahead) => firstOfMonth(now, ahead))
  return [...new Set([...months, ...rows.map((row) => row.month)].map(Number))]
    .toSorted((a, b) => a - b)
    .map((time) => new Date(time))
}

async function makeDefault(owner: pg.ClientBase, table: PartitionedTable): Promise<void> {
  await owner.query(`create table if not exists ${table.name}_default partition of ${table.name} default`)
}

/** Rows of the month that lie in the default partition are moved in the same transaction; PostgreSQL would refuse otherwise. */
async function makeMonth(owner: pg.ClientBase, table: PartitionedTable, month: Date): Promise<boolean> {
  const name = partitionName(table, month)
  if (await exists(owner, name)) return false
  const from = pg.escapeLiteral(month.toISOString())
  const to = pg.escapeLiteral(firstOfMonth(month, 1).toISOString())
  await owner.query('begin')
  try {
    // Never wait long for a busy table: everybody behind us would wait too. The next day tries again.
    await owner.query(`set local lock_timeout = '10s'`)
    // Only the net: rows for months that have a partition go on. Attaching would take this lock too, but after the copy.
    await owner.query(`lock table ${table.name}_default in access exclusive mode`)
    if (await exists(owner, name)) {
      await owner.query('rollback')
      return false
    }
    await owner.query(`create table ${name} (like ${table.name} including defaults including constraints)`)
    await owner.query(
      `with moved as (delete from ${table.name}_default where ${table.column} >= ${from} and ${table.column} < ${to} returning *)
       insert into ${name} select * from moved`,
    )
    await owner.query(
      `alter table ${table.name} attach partition ${name} for values from (${from}) to (${to})`,
    )
    await owner.query('commit')
  } catch (error) {
    await owner.query('rollback')
    throw error
  }
  return true
}

async function exists(owner: pg.ClientBase, name: string): Promise<boolean> {
  const { rows } = await owner.query<{ exists: boolean }>('select to_regclass($1) is not null as exists', [
    name,
  ])
  return rows[0]?.exists ?? false
}

function partitionName(table: PartitionedTable, month: Date): string {
  return `${table.name}_${month.toISOString().slice(0, 7).replace('-', '_')}`
}

function firstOfMonth(date: Date, ahead: number): Date {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + ahead, 1))
}
