/** The append-only record of who did what. */
export { recordAudit, type Actor, type AuditEntry } from './record.ts'
