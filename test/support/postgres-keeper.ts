/** Ends the shared test server when nobody has been connected for a minute. Started by test/support/database.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const [adminUrl = '', pid = ''] = process.argv.slice(2)
const IDLE_MS = 60_000

const url = new URL(adminUrl)
url.pathname = '/postgres'
const client = new pg.Client({ connectionString: url.href, application_name: 'flowforge keeper' })
// The server ended by itself or was killed: nothing is left to keep.
client.on('error', () => process.exit(0))
await client.connect()
let lastSeen = Date.now()
while (Date.now() - lastSeen < IDLE_MS) {
  await sleep(3000)
  const { rowCount } = await client.query(
    `select from pg_stat_activity where backend_type = 'client backend' and application_name <> 'flowforge keeper'`,
  )
  if (rowCount !== 0) lastSeen = Date.now()
}
process.kill(Number(pid), 'SIGINT')
