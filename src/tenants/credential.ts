/** The form of keys and job tokens. */
import { createHash, randomBytes } from 'node:crypto'
import { Secret } from '#lib/secret.ts'

const KEY = /^ff_[A-Za-z0-9_-]{43}$/
const JOB_TOKEN = /^ffj_[A-Za-z0-9_-]{43}$/

export type CredentialKind = 'key' | 'job'

export type NewCredential = {
  readonly secret: Secret
  readonly sha256: Buffer
  /** Shown in lists, so that people know which key is meant: 6 of its 43 characters, 220 bits stay unknown. */
  readonly prefix: string
}

export function newCredential(kind: CredentialKind): NewCredential {
  const text = `${kind === 'key' ? 'ff' : 'ffj'}_${randomBytes(32).toString('base64url')}`
  return { secret: new Secret(text), sha256: sha256(text), prefix: text.slice(0, kind === 'key' ? 9 : 10) }
}

/** What the text can be, by its form alone: nothing else reaches the database. */
export function credentialKind(text: string): CredentialKind | undefined {
  if (KEY.test(text)) return 'key'
  return JOB_TOKEN.test(text) ? 'job' : undefined
}

/**
 * Keys are found by their hash. How long that look-up takes says nothing about a key: to steer the hash one would
 * have to know the key already. So no comparison in constant time is needed.
 */
export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
