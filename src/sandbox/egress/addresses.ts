/** Which addresses egress may reach, and how a host becomes one. */
import { lookup } from 'node:dns/promises'
import { createNetworks } from '#lib/networks.ts'

export type AddressGuard = { isAllowed(address: string): boolean }
export type Resolve = (host: string) => Promise<readonly string[]>

/** Public addresses, and private networks that the operator has allowed. */
export function createAddressGuard(allowedNetworks: readonly string[] = []): AddressGuard {
  const networks = createNetworks(allowedNetworks)
  return { isAllowed: (address) => networks.isOpen(address) }
}

/** Asked once for each connection; the connection then goes to that very address. */
export const resolveBySystem: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)
