import pg from 'pg'
import { maintainPartitions } from '#db'

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
