/**
 * A certificate authority in memory, for the egress gate to stand between the sandbox's TLS and the host's: so tools
 * speak https as always, and each request is still checked by method and path. The key never leaves this process; only
 * sandboxes are told to trust the authority.
 *
 * X.509 in DER by hand (RFC 5280), since Node makes keys and signatures but no certificates.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'

export type Authority = {
  /** PEM, for the sandbox's list of trusted authorities. */
  readonly certificate: string
  contextFor(host: string): SecureContext
}

const DAY_MS = 86_400_000
const REMEMBERED_HOSTS = 1000

export function createAuthority(now: number = Date.now()): Authority {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leafKey = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const from = new Date(now - DAY_MS)
  const issuer = name('FlowForge egress gate')
  const issue = (subject: Buffer, key: KeyObject, extensions: readonly Buffer[], until: Date): string => {
    const signed = sequence(
      explicit(0, integer(Buffer.from([2]))),
      integer(positiveSerial()),
      ECDSA_WITH_SHA256,
      issuer,
      sequence(time(from), time(until)),
      subject,
      key.export({ type: 'spki', format: 'der' }),
      explicit(3, sequence(...extensions)),
    )
    const certificate = sequence(
      signed,
      ECDSA_WITH_SHA256,
      bitString(sign('sha256', signed, authority.privateKey)),
    )
    const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  }
  const authorityKeyId = keyId(authority.publicKey)
  const certificate = issue(
    issuer,
    authority.publicKey,
    [
      extension(OID.basicConstraints, sequence(TRUE, integer(Buffer.from([0]))), true),
      extension(OID.keyUsage, CERTIFICATE_SIGNING, true),
      extension(OID.subjectKeyId, tlv(0x04, authorityKeyId)),
    ],
    new Date(now + 3650 * DAY_MS),
  )
  const contexts = new Map<string, SecureContext>()
  return {
    certificate,
    contextFor: (host) => {
      const known = contexts.get(host)
      if (known) return known
      const cert = issue(
        name(host.slice(0, 64)),
        leaf.publicKey,
        [
          extension(OID.subjectAlternativeName, sequence(tlv(0x82, Buffer.from(host)))),
          extension(OID.basicConstraints, sequence(), true),
          extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
          extension(OID.extendedKeyUsage, sequence(OID.serverAuthentication)),
          extension(OID.subjectKeyId, tlv(0x04, keyId(leaf.publicKey))),
          extension(OID.authorityKeyId, sequence(tlv(0x80, authorityKeyId))),
        ],
        new Date(now + 90 * DAY_MS),
      )
      const context = createSecureContext({ key: leafKey, cert, minVersion: 'TLSv1.2' })
      if (contexts.size >= REMEMBERED_HOSTS) contexts.clear()
      contexts.set(host, context)
      return context
    },
  }
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...bytes]), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tlv(0x30, ...contents)
}

function explicit(number: number, content: Buffer): Buffer {
  return tlv(0xa0 | number, content)
}

function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes)
}

function bitString(bytes: Buffer): Buffer {
  return tlv(0x03, Buffer.from([0]), bytes)
}

function objectId(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

/** A name with one common name in UTF-8. */
function name(common: string): Buffer {
  return sequence(tlv(0x31, sequence(OID.commonName, tlv(0x0c, Buffer.from(common)))))
}

/** UTCTime: YYMMDDHHMMSSZ. */
function time(date: Date): Buffer {
  return tlv(
    0x17,
    Buffer.from(
      `${date
        .toISOString()
        .replaceAll(/[-:T]|\.\d+Z/g, '')
        .slice(2)}Z`,
    ),
  )
}

function extension(id: Buffer, value: Buffer, critical = false): Buffer {
  return sequence(id, ...(critical ? [TRUE] : []), tlv(0x04, value))
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function positiveSerial(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

const OID = {
  commonName: objectId('550403'),
  basicConstraints: objectId('551d13'),
  keyUsage: objectId('551d0f'),
  extendedKeyUsage: objectId('551d25'),
  serverAuthentication: objectId('2b06010505070301'),
  subjectAlternativeName: objectId('551d11'),
  subjectKeyId: objectId('551d0e'),
  authorityKeyId: objectId('551d23'),
} as const
const TRUE = Buffer.from([0x01, 0x01, 0xff])
const ECDSA_WITH_SHA256 = sequence(objectId('2a8648ce3d040302'))
/** keyCertSign is bit 5, digitalSignature bit 0. */
const CERTIFICATE_SIGNING = tlv(0x03, Buffer.from([2, 0x04]))
const DIGITAL_SIGNATURE = tlv(0x03, Buffer.from([7, 0x80]))
