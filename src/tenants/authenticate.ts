import type { Databases, Listener } from '#db'
import { systemClock, type Clock } from '#lib/clock.ts'
import { credentialKind, sha256 } from './credential.ts'
import type { Principal } from './principal.ts'
import { findJobToken, findKey, touchKey } from './store.ts'

export type Authenticator = AsyncDisposable & {
  /** Whose key or job token this is; undefined when it is good for nothing (any more). */
  authenticate(credential: string): Promise<Principal | undefined>
}

/** A revoked key is forgotten at once (NOTIFY); the time is for what no message tells. */
const KEY_MS = 60_000
/** No message says that an execution lost its job, so its token is believed for a second and no longer. */
const JOB_TOKEN_MS = 1000
/** While the database is away nobody can revoke a key or take a job from its execution: what was known is believed this long. */
const STALE_MS = 10 * 60_000
/** A wrong credential is looked up each time: a cache of them would grow with whatever strangers send. */
const MOST_ENTRIES = 10_000

type Remembered = { readonly principal: Principal; readonly until: number }

export async function createAuthenticator(
  databases: Pick<Databases, 'system'>,
  listener: Pick<Listener, 'listen'>,
  clock: Clock = systemClock,
): Promise<Authenticator> {
  const remembered = new Map<string, Remembered>()
  /** Raised when keys may have been revoked, so that an answer that was under way then is not remembered. */
  let revocations = 0
  const unlisten = await listener.listen('flowforge_keys', (keyId) => {
    revocations++
    for (const [hash, { principal }] of remembered) {
      // After a renewed connection (undefined) a message may have been missed: nothing is believed.
      if (keyId === undefined || (principal.kind === 'key' && principal.keyId === keyId))
        remembered.delete(hash)
    }
  })

  async function lookUp(kind: 'key' | 'job', hash: Buffer): Promise<Remembered | undefined> {
    const now = clock.now()
    if (kind === 'job') {
      const principal = await findJobToken(databases.system, hash)
      return principal && { principal, until: now + JOB_TOKEN_MS }
    }
    const found = await findKey(databases.system, hash)
    if (!found) return undefined
    await touchKey(databases.system, found.principal.keyId)
    const expiry = found.expiresAt?.getTime() ?? Infinity
    return { principal: found.principal, until: Math.min(now + KEY_MS, expiry) }
  }

  return {
    async authenticate(credential) {
      const kind = credentialKind(credential)
      if (kind === undefined) return undefined
      const hash = sha256(credential)
      const name = hash.toString('base64')
      const known = remembered.get(name)
      if (known && clock.now() < known.until) return known.principal
      const before = revocations
      const found = await lookUp(kind, hash).catch((error: unknown) => {
        if (known && clock.now() < known.until + STALE_MS && remembered.has(name)) return known
        throw error
      })
      if (found !== undefined && found === known) return known.principal
      remembered.delete(name)
      if (found && before === revocations) {
        if (remembered.size >= MOST_ENTRIES) remembered.clear()
        remembered.set(name, found)
      }
      return found?.principal
    },
    async [Symbol.asyncDispose]() {
      unlisten()
      remembered.clear()
      await Promise.resolve()
    },
  }
}
