import { pino, destination, type Logger } from 'pino'
import type { Config } from '#config'

/** Logs are events with facts: `log.info({ job }, 'job.claimed')`. Secrets print as [secret] by their type. */
export type Log = Logger

/** One JSON line an event, on standard error. */
export function createLog(config: Pick<Config, 'FLOWFORGE_LOG_LEVEL'>, role: string): Log {
  return pino({ level: config.FLOWFORGE_LOG_LEVEL, base: { role } }, destination({ fd: 2, sync: true }))
}
