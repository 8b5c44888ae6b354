import type { Db } from '#db'
import { sleep } from '#lib/clock.ts'
import type { Log } from '#telemetry'
import { deleteExpiredJobTokens } from '#tenants'
import { maintainPartitionsAt } from './partitions.ts'

export type UpkeepTools = {
  readonly ownerUrl: string
  /** The system role's connections. */
  readonly system: Db
  readonly log: Log
}

const DAY_MS = 24 * 60 * 60 * 1000
/** After a failure (a busy table, the database away). Nothing is in a hurry: three months of partitions exist already. */
const AGAIN_MS = 10 * 60 * 1000

/** The daily round, for as long as the program runs. The first comes after a day, since set-up has just done its work. */
export function startUpkeep(tools: UpkeepTools): AsyncDisposable {
  const ending = new AbortController()
  const rounds = (async () => {
    for (let pause = DAY_MS; ;) {
      await sleep(pause, ending.signal)
      if (ending.signal.aborted) return
      pause = await upkeepRound(tools).then(
        () => DAY_MS,
        (error: unknown) => {
          tools.log.error({ error: String(error) }, 'upkeep.failed')
          return AGAIN_MS
        },
      )
    }
  })()
  return {
    async [Symbol.asyncDispose]() {
      ending.abort()
      await rounds
    },
  }
}

export async function upkeepRound({ ownerUrl, system, log }: UpkeepTools): Promise<void> {
  const partitions = await maintainPartitionsAt(ownerUrl)
  const expiredTokens = await deleteExpiredJobTokens(system)
  log.info({ partitions, expiredTokens }, 'upkeep.done')
}
