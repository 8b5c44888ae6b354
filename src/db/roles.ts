/**
 * The roles of the database. None is a superuser, none bypasses row-level security, and only the owner owns tables.
 *
 *   owner    migrations and partitions, at set-up and once a day
 *   app      all work for tenants; sees the organization of its transaction
 *   system   admission, recovery, ledger; sees all organizations in the tables that name it in a policy
 *   auth     the tables of people, for sign-in
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import type { MasterKey } from '#secrets'

export const ROLES = ['owner', 'app', 'system', 'auth'] as const
export type Role = (typeof ROLES)[number]
/** A connection URL for each role. Each holds a password: never log it. */
export type RoleUrls = { readonly [R in Role]: string }

export function roleName(role: Role): string {
  return `flowforge_${role}`
}

/** Replicas agree on the passwords because they come from the master key. */
export function rolePassword(masterKey: MasterKey, role: Role): string {
  return masterKey.derive(`database role ${role}`).toString('base64url')
}

/** The same server and database as `adminUrl`, as each of the roles. */
export function roleUrls(adminUrl: string, masterKey: MasterKey): RoleUrls {
  const urlOf = (role: Role): string => {
    const url = new URL(adminUrl)
    url.username = roleName(role)
    url.password = rolePassword(masterKey, role)
    return url.href
  }
  return { owner: urlOf('owner'), app: urlOf('app'), system: urlOf('system'), auth: urlOf('auth') }
}

/**
 * What PostgreSQL stores instead of the password (RFC 5802): made here, so that the password itself is in no statement
 * that a server of one's own may log.
 */
export function scramVerifier(password: string, salt: Buffer): string {
  const iterations = 4096
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`
}
