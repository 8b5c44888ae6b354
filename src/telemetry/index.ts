/** Ground floor: the log. */
export { createLog, type Log } from './log.ts'
