import { pino, destination, type Logger } from 'pino'
import type { Config } from '#config'

/** Logs are events with facts: `log.info({ job }, 'job.claimed')`. Secrets print as [secret] by their type. */
export type Log = Logger

/** One JSON line an event, on standard error or at the end of a file. Written at once: a killed process loses no line. */
export function createLog(config: Pick<Config, 'FLOWFORGE_LOG_LEVEL'>, role: string, file?: string): Log {
  const to = file === undefined ? { fd: 2, sync: true } : { dest: file, sync: true, mkdir: true, mode: 0o600 }
  return pino({ level: config.FLOWFORGE_LOG_LEVEL, base: { role } }, destination(to))
}
