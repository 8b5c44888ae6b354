import pg from 'pg'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import type { Channel } from './databases.ts'

/** `id` is what `notify` was given. Undefined: the connection was renewed, so something may have been missed; look anew. */
export type Heard = (id: string | undefined) => void

export type Listener = AsyncDisposable & {
  /** Resolves when the channel is heard; then nothing is missed any more. The answer ends it. */
  listen(channel: Channel, heard: Heard): Promise<() => void>
}

const PING_MS = 15_000
const LONGEST_PAUSE_MS = 5000

/** One connection for all channels of a process. It comes back by itself after the database was away. */
export async function createListener(url: string, log: Log): Promise<Listener> {
  const handlers = new Map<Channel, Set<Heard>>()
  const closed = new AbortController()
  let client: pg.Client
  await connect()
  const loop = keep()

  async function connect(): Promise<void> {
    const fresh = new pg.Client({
      connectionString: url,
      application_name: 'flowforge listener',
      connectionTimeoutMillis: 10_000,
      query_timeout: PING_MS,
      keepAlive: true,
    })
    fresh.on('error', () => undefined)
    fresh.on('notification', ({ channel, payload }) => {
      for (const heard of handlers.get(channel as Channel) ?? []) heard(payload ?? '')
    })
    try {
      await fresh.connect()
      // From here on `listen` uses this connection, so that a channel added meanwhile is not forgotten.
      client = fresh
      for (const channel of handlers.keys()) await fresh.query(`listen ${channel}`)
    } catch (error) {
      await fresh.end().catch(() => undefined)
      throw error
    }
  }

  /** Waits for the connection to break (or to fall silent: a ping finds that out), and makes a new one. */
  async function keep(): Promise<void> {
    while (!closed.signal.aborted) {
      await broken(client, closed.signal)
      await client.end().catch(() => undefined)
      for (let pause = 50; !closed.signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        try {
          await connect()
          log.info('database.listener-renewed')
          for (const heard of [...handlers.values()].flatMap((all) => [...all])) heard(undefined)
          break
        } catch (error) {
          log.warn({ error: String(error) }, 'database.listener-lost')
          await sleep(pause, closed.signal)
        }
      }
    }
    await client.end().catch(() => undefined)
  }

  return {
    async listen(channel, heard) {
      const all = handlers.get(channel) ?? new Set()
      handlers.set(channel, all.add(heard))
      // While the database is away this fails, and `keep` listens to every channel in the table when it is back.
      await client.query(`listen ${channel}`).catch(() => undefined)
      return () => {
        all.delete(heard)
      }
    },
    async [Symbol.asyncDispose]() {
      closed.abort()
      await loop
    },
  }
}

async function broken(client: pg.Client, closed: AbortSignal): Promise<void> {
  const over = new AbortController()
  const end = (): void => over.abort()
  client.once('end', end)
  closed.addEventListener('abort', end, { once: true })
  try {
    while (!over.signal.aborted) {
      await sleep(PING_MS, over.signal)
      if (!over.signal.aborted) await client.query('select 1').catch(end)
    }
  } finally {
    closed.removeEventListener('abort', end)
  }
}
