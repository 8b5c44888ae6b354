/** Reads the name that a TLS client asks for (SNI) from the first bytes it sends. */

export type ServerName =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'none' }
  /** `encrypted`: an encrypted ClientHello is inside, so the true name may be another one. */
  | { readonly kind: 'name'; readonly name: string; readonly encrypted: boolean }

const NONE = { kind: 'none' } as const
const HANDSHAKE = 0x16
const CLIENT_HELLO = 1
const LONGEST_RECORD = 16_384
const SERVER_NAME = 0
const ENCRYPTED_CLIENT_HELLO = 0xfe0d

/** Whatever is not a ClientHello in one record is `none`: no usual client splits it. */
export function readServerName(bytes: Buffer): ServerName {
  if (bytes.length < 5) return { kind: 'incomplete' }
  if (bytes[0] !== HANDSHAKE || bytes[1] !== 3) return NONE
  const length = bytes.readUInt16BE(3)
  if (length > LONGEST_RECORD) return NONE
  if (bytes.length < 5 + length) return { kind: 'incomplete' }
  try {
    return readHello(bytes.subarray(5, 5 + length))
  } catch (error) {
    if (error instanceof RangeError) return NONE
    throw error
  }
}

/** Buffer reads past the end throw RangeError, so a length that lies ends there. */
function readHello(hello: Buffer): ServerName {
  if (hello.readUInt8(0) !== CLIENT_HELLO || hello.readUIntBE(1, 3) + 4 > hello.length) return NONE
  let at = 4 + 2 + 32
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at)
  const end = at + 2 + hello.readUInt16BE(at)
  if (end > hello.length) return NONE
  at += 2
  const names: string[] = []
  let encrypted = false
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at)
    const length = hello.readUInt16BE(at + 2)
    at += 4
    if (type === SERVER_NAME) names.push(readName(hello.subarray(at, at + length)))
    if (type === ENCRYPTED_CLIENT_HELLO) encrypted = true
    at += length
  }
  const [name] = names
  return name && names.length === 1 ? { kind: 'name', name: name.toLowerCase(), encrypted } : NONE
}

/** A list with exactly one entry of type host_name. */
function readName(extension: Buffer): string {
  const length = extension.readUInt16BE(3)
  if (extension.readUInt8(2) !== 0 || extension.length !== 5 + length) return ''
  return extension.toString('latin1', 5)
}
