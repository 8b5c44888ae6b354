import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'

/** Where a host may be reached: the addresses that git is pinned to, so that a second DNS answer changes nothing. */
export type HostAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'private'; readonly address: string }
  | { readonly kind: 'unknown'; readonly temporary: boolean }
export type CheckHost = (host: string) => Promise<HostAnswer>

/** Addresses that are not the public internet (IANA special-purpose registries). */
const PRIVATE = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/127',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

/** Resolves a host once and refuses it when any of its addresses is private and not allowed by CIDR. */
export function createHostCheck(allowedNetworks: readonly string[]): CheckHost {
  const refused = blockList(PRIVATE)
  const allowed = blockList(allowedNetworks)
  return async (host) => {
    const found = isIP(host)
      ? [{ address: host }]
      : await lookup(host, { all: true, order: 'ipv4first' }).catch((error: NodeJS.ErrnoException) => error)
    if (found instanceof Error) return { kind: 'unknown', temporary: found.code !== 'ENOTFOUND' }
    const addresses = found.map(({ address }) => address)
    const bad = addresses.find((address) => contains(refused, address) && !contains(allowed, address))
    if (bad !== undefined) return { kind: 'private', address: bad }
    return addresses.length > 0 ? { kind: 'addresses', addresses } : { kind: 'unknown', temporary: false }
  }
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** An IPv4 address written as IPv6 (::ffff:10.0.0.1) counts as what it is; BlockList sees through it. */
function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
