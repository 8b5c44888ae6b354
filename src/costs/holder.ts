/**
 * A gateway as the holder of reservations: it says that it lives, and it ends what gateways that died left behind.
 * What was sent is settled at its reserved amount, marked as estimated; what was never sent is given back.
 */
import { hostname } from 'node:os'
import { sql } from 'kysely'
import type { Databases } from '#db'
import { newId } from '#lib/ids.ts'
import type { Log } from '#telemetry'
import { recordUsage, type ModelCall } from './store.ts'
import { NO_USAGE } from './usage.ts'

export type Holder = AsyncDisposable & {
  readonly id: string
  /** Ends what dead holders left. Answers how many calls. */
  sweep(): Promise<number>
}

export const LEASE_MS = 30_000
const LEFT_PER_SWEEP = 500

export async function createHolder(
  databases: Pick<Databases, 'system'>,
  log: Log,
  onFreed: () => void,
  leaseMs = LEASE_MS,
): Promise<Holder> {
  const id: string = newId<'holder'>()
  const live = () =>
    sql`
    insert into reservation_holders (id, host, pid) values (${id}, ${hostname()}, ${process.pid})
    on conflict (id) do update set seen_at = now()`.execute(databases.system)

  async function sweep(): Promise<number> {
    const left = await findLeft(databases, leaseMs)
    const sent = left.filter((one) => one.sent_at !== null)
    const unsent = left.filter((one) => one.sent_at === null)
    await recordUsage(databases.system, sent.map(toEstimate))
    if (unsent.length > 0)
      await sql`select release_calls(array(select id from reservations where sent_at is null and id = any(${unsent.map((one) => one.id)}::uuid[])))`.execute(
        databases.system,
      )
    await sql`
      delete from reservation_holders h where seen_at < now() - make_interval(secs => ${(leaseMs * 10) / 1000})
      and not exists (select from reservations r where r.holder_id = h.id)`.execute(databases.system)
    if (left.length > 0) {
      log.warn({ settled: sent.length, released: unsent.length }, 'costs.reservations_swept')
      onFreed()
    }
    return left.length
  }

  const beat = async (): Promise<void> => {
    try {
      await live()
      while ((await sweep()) >= LEFT_PER_SWEEP);
    } catch (error) {
      log.warn({ error: String(error) }, 'costs.sweep_failed')
    }
  }
  // While the database is away a gateway starts all the same: its first beat comes later.
  await beat()
  let beating: Promise<void> | undefined
  const timer = setInterval(() => {
    beating ??= beat().finally(() => {
      beating = undefined
    })
  }, leaseMs / 5)
  timer.unref()
  return {
    id,
    sweep,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await beating
      // What it still holds is not waited for by anybody: it counts as left behind at once.
      await sql`update reservation_holders set seen_at = 'epoch' where id = ${id}`
        .execute(databases.system)
        .catch(() => undefined)
    },
  }
}

type Left = {
  readonly id: string
  readonly occurred_at: Date
  readonly organization_id: string
  readonly nano_dollars: number
  readonly sent_at: Date | null
  readonly facts: Readonly<Record<string, unknown>>
}

/**
 * A holder that was not seen for the length of the lease is dead; but while the database was away none could be seen,
 * so the time since its start counts too.
 */
async function findLeft(databases: Pick<Databases, 'system'>, leaseMs: number): Promise<readonly Left[]> {
  const { rows } = await sql<Left>`
    select r.id, r.occurred_at, r.organization_id, r.nano_dollars, r.sent_at, r.facts
    from reservations r left join reservation_holders h on h.id = r.holder_id
    where h.id is null or (h.seen_at < now() - make_interval(secs => ${leaseMs / 1000})
      and (pg_postmaster_start_time() < now() - make_interval(secs => ${leaseMs / 1000}) or h.seen_at = 'epoch'))
    limit ${LEFT_PER_SWEEP}`.execute(databases.system)
  return rows
}

function toEstimate(left: Left): ModelCall {
  return {
    operation: 'messages',
    model: 'unknown',
    usage: NO_USAGE,
    priceKnown: true,
    latencyMs: 0,
    status: 0,
    simulated: false,
    ...(left.facts as Partial<ModelCall>),
    id: left.id as ModelCall['id'],
    occurredAt: left.occurred_at,
    organizationId: left.organization_id as ModelCall['organizationId'],
    nanoDollars: left.nano_dollars,
    aborted: true,
    estimated: true,
  }
}
