/** One of several replicas that set up the same database at once: for set-up.db.test.ts. */
import { quietLog, testMasterKey } from './database.ts'
import { setUpDatabase } from '#db'

await setUpDatabase(process.argv[2] ?? '', testMasterKey, quietLog)
