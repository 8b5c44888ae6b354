/** Sealed secrets: AES-256-GCM under a key derived from the master key. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { refuse } from '#lib/errors.ts'
import { Secret } from '#lib/secret.ts'
import type { MasterKey } from './master-key.ts'

export type Vault = {
  /**
   * `context` says where the ciphertext belongs (table, row, organization). It is not stored, only bound: a ciphertext
   * that was copied to another row does not open there.
   */
  seal(plaintext: Secret, context: string): Buffer
  /** A wrong key, another context and a changed byte are all the refusal `master_key`, which says which it can be. */
  open(ciphertext: Uint8Array, context: string): Secret
}

/*
 * version (1 byte) | key id (8) | nonce (12) | tag (16) | ciphertext
 *
 * 96 random bits of nonce: at 2^32 secrets under one key the chance of a repeat is still below 2^-32 (NIST SP 800-38D).
 */
const VERSION = 1
const KEY_ID_END = 9
const NONCE_END = 21
const TAG_END = 37

export function createVault(masterKey: MasterKey): Vault {
  const key = masterKey.derive('vault')
  const keyId = Buffer.from(masterKey.id, 'hex')
  return {
    seal(plaintext, context) {
      const nonce = randomBytes(NONCE_END - KEY_ID_END)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad(context))
      const body = Buffer.concat([cipher.update(plaintext.reveal(), 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(VERSION), keyId, nonce, cipher.getAuthTag(), body])
    },
    open(ciphertext, context) {
      const bytes = Buffer.from(ciphertext)
      if (bytes.length < TAG_END || bytes[0] !== VERSION) {
        throw refuse('master_key', { problem: 'what is to be opened is not a ciphertext of FlowForge.' })
      }
      const sealedBy = bytes.subarray(1, KEY_ID_END)
      if (!sealedBy.equals(keyId)) {
        throw refuse('master_key', {
          problem: `a secret was sealed under the key ${sealedBy.toString('hex')}, and this is ${masterKey.id}. Bring the old key back, or set the secret again.`,
        })
      }
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(KEY_ID_END, NONCE_END))
      decipher.setAAD(aad(context)).setAuthTag(bytes.subarray(NONCE_END, TAG_END))
      try {
        const body = Buffer.concat([decipher.update(bytes.subarray(TAG_END)), decipher.final()])
        return new Secret(body.toString('utf8'))
      } catch (error) {
        throw refuse(
          'master_key',
          { problem: 'a secret does not open: it was changed, or belongs to another place. Set it again.' },
          error,
        )
      }
    },
  }
}

function aad(context: string): Buffer {
  return Buffer.from(`flowforge secret ${VERSION} ${context}`)
}
