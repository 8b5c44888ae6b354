/**
 * The database is away or cut us off, so the same work is worth another try: SQLSTATE classes 08 (connection), 57
 * (shut down, cancelled), 53 (no resources), 40 (deadlock, serialization), or a socket that died without any.
 */
export function isOutage(error: unknown): boolean {
  const { code, syscall } = facts(error)
  if (/^(08|57|53|40)...$/.test(code)) return true
  if (/^(ECONN|EPIPE|ETIMEDOUT)/.test(code)) return true
  // The server's unix socket is gone. A file that is missing elsewhere is a fault, not an outage.
  if (code === 'ENOENT') return syscall === 'connect'
  return error instanceof Error && AWAY.test(error.message)
}

const AWAY = /connection terminated|timeout exceeded when trying to connect|Client has encountered/i

function facts(error: unknown): { readonly code: string; readonly syscall: string } {
  if (typeof error !== 'object' || error === null) return { code: '', syscall: '' }
  return {
    code: 'code' in error ? String(error.code) : '',
    syscall: 'syscall' in error ? String(error.syscall) : '',
  }
}
