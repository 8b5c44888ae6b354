/** Where everything that people type begins. */
import { enableCompileCache } from 'node:module'

// The compiled form of our sources is kept, so that the second `flowforge` starts in about half the time.
enableCompileCache()
const { run } = await import('#cli')
process.exitCode = await run(process.argv.slice(2))
