/** Starts the embedded server and waits to be killed: for src/db/embedded.db.test.ts. */
import { startEmbeddedPostgres } from '#db'
import { quietLog } from './database.ts'

const server = await startEmbeddedPostgres({ home: process.argv[2] ?? '', log: quietLog })
process.send?.({ pid: server.pid, adopted: server.adopted })
setInterval(() => undefined, 60_000)
