import pg from 'pg'
import { maintainPartitions } from '#db'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'

const DAY_MS = 24 * 60 * 60 * 1000
/** After a failure (a busy table, the database away): the next months exist already, so nothing is in a hurry. */
const AGAIN_MS = 10 * 60 * 1000

/** Connects as the owner, makes what is missing, and disconnects: nobody else holds the owner's rights meanwhile. */
export async function maintainPartitionsAt(
  ownerUrl: string,
  now: Date = new Date(),
): Promise<readonly string[]> {
  const owner = new pg.Client({
    connectionString: ownerUrl,
    application_name: 'flowforge partitions',
    connectionTimeoutMillis: 10_000,
  })
  owner.on('error', () => undefined)
  await owner.connect()
  try {
    return await maintainPartitions(owner, now)
  } finally {
    await owner.end()
  }
}

/** Once a day, for as long as the program runs; set-up has done it once at the start. */
export function keepPartitions(ownerUrl: string, log: Log): AsyncDisposable {
  const ending = new AbortController()
  const rounds = (async () => {
    let pause = DAY_MS
    for (;;) {
      await sleep(pause, ending.signal)
      if (ending.signal.aborted) return
      try {
        const made = await maintainPartitionsAt(ownerUrl)
        log.info({ made }, 'partitions.kept')
        pause = DAY_MS
      } catch (error) {
        log.error({ error: String(error) }, 'partitions.failed')
        pause = AGAIN_MS
      }
    }
  })()
  return {
    async [Symbol.asyncDispose]() {
      ending.abort()
      await rounds
    },
  }
}
