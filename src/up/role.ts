/** A child of `flowforge up`: one role in one process. Ends when its parent ends, however that ended. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '#config'
import { Refusal } from '#lib/errors.ts'
import { onRacePoint } from '#lib/race-points.ts'
import { openMasterKey } from '#secrets'
import { startRole, type Role, type RoleStart } from '../app.ts'

/** What a role tells its parent. */
export type RoleNews =
  | { readonly event: 'ready'; readonly url: string | null }
  | { readonly event: 'failed'; readonly code: string; readonly message: string }

const config = readConfig()
const killAt = config.FLOWFORGE_KILL_AT
if (killAt !== undefined) {
  onRacePoint((name) => {
    if (name === killAt && isFirstTime(name)) process.kill(process.pid, 'SIGKILL')
  })
}

/** Once in the life of a home: the process that comes after this one must get past the point. */
function isFirstTime(name: string): boolean {
  try {
    mkdirSync(join(config.FLOWFORGE_HOME, `killed-at-${name.replace(':', '-')}`))
    return true
  } catch {
    return false
  }
}

let role: Role | undefined
let ending = false

async function end(code: number): Promise<void> {
  if (ending) return
  ending = true
  // A role that cannot end in time is ended: its jobs are recovered from their leases.
  setTimeout(() => process.exit(1), 30_000).unref()
  await role?.[Symbol.asyncDispose]()
  process.exit(code)
}

process.once('message', (start: RoleStart) => {
  void begin(start)
})
process.on('disconnect', () => void end(1))
process.on('SIGTERM', () => void end(0))
process.on('SIGINT', () => void end(0))

async function begin(start: RoleStart): Promise<void> {
  try {
    role = await startRole(config, start, await openMasterKey(config))
    tell({ event: 'ready', url: role.url ?? null })
  } catch (error) {
    const failed =
      error instanceof Refusal
        ? { event: 'failed' as const, code: error.code, message: error.message }
        : {
            event: 'failed' as const,
            code: 'internal',
            message: error instanceof Error ? (error.stack ?? error.message) : String(error),
          }
    tell(failed)
    process.exit(1)
  }
}

function tell(news: RoleNews): void {
  process.send?.(news)
}
