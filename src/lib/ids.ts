import { createHash, randomBytes } from 'node:crypto'

/** Branded ids: a JobId cannot be passed where an OrganizationId is asked for. */
export type Id<Name extends string> = string & { readonly __id: Name }
export type OrganizationId = Id<'organization'>
export type UserId = Id<'user'>
export type RepositoryId = Id<'repository'>
export type JobId = Id<'job'>
export type ExecutionId = Id<'execution'>
export type WorkerId = Id<'worker'>

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** A UUID version 7 (RFC 9562 section 5.7): its first 48 bits are the time, so that new rows land together in an index. */
export function newId<Name extends string>(now: number = Date.now()): Id<Name> {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  return format(bytes, 0x70) as Id<Name>
}

/** A UUID version 5 (RFC 9562 section 5.5): the same name always gives the same id. */
export function idFromName(name: string): string {
  return format(createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16), 0x50)
}

const NAMESPACE = Buffer.from('2f1d6c1e5a0b4f9e8c3d7b6a59483726', 'hex')

function format(bytes: Buffer, version: number): string {
  bytes[6] = (bytes[6]! & 0x0f) | version
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
