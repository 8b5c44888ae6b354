/** Which hosts a repository may be at: the public internet, and the private networks that the operator allows. */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { refuse } from '#lib/errors.ts'

/** Where a host may be reached now. Whoever connects goes to these addresses: a second answer of DNS could be another. */
export type HostAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'private'; readonly address: string }
  | { readonly kind: 'unknown'; readonly temporary: boolean }
export type HostGuard = (host: string) => Promise<HostAnswer>

/** What is not the public internet (IANA's registries of special-purpose addresses). */
const SPECIAL = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '224.0.0.0/3'],
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16'],
  ...['3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]

export type Networks = {
  /** False for a special address that the operator did not allow. */
  isOpen(address: string): boolean
}

export function createNetworks(allowedNetworks: readonly string[]): Networks {
  const special = listOf(SPECIAL)
  const allowed = listOf(allowedNetworks)
  return {
    isOpen(address) {
      const plain = address.replace(/%.*$/, '')
      // BlockList takes an IPv4 address in IPv6 clothes (::ffff:10.0.0.1) for what it is.
      const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4'
      return isIP(plain) !== 0 && (!special.check(plain, family) || allowed.check(plain, family))
    },
  }
}

/** Resolves a host and refuses it when one of its addresses is private: one is enough to be led there. */
export function createHostGuard(allowedNetworks: readonly string[]): HostGuard {
  const networks = createNetworks(allowedNetworks)
  return async (host) => {
    const found = isIP(host)
      ? [{ address: host }]
      : await lookup(host, { all: true }).catch((error: NodeJS.ErrnoException) => error)
    if (found instanceof Error) return { kind: 'unknown', temporary: found.code !== 'ENOTFOUND' }
    const addresses = found.map(({ address }) => address)
    const closed = addresses.find((address) => !networks.isOpen(address))
    if (closed !== undefined) return { kind: 'private', address: closed }
    return addresses.length > 0 ? { kind: 'addresses', addresses } : { kind: 'unknown', temporary: false }
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const longest = family === 'ipv6' ? 128 : 32
    const prefix = bits === undefined ? longest : Number(bits)
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits ?? '0') || prefix > longest) {
      throw refuse('config_invalid', {
        key: 'FLOWFORGE_ALLOWED_NETWORKS',
        value: network,
        problem: 'it is no CIDR block.',
        example: 'FLOWFORGE_ALLOWED_NETWORKS=10.1.0.0/16',
      })
    }
    list.addSubnet(address, prefix, family)
  }
  return list
}
