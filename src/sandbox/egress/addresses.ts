/**
 * Which addresses egress may reach: public ones, and private networks that the operator has allowed.
 *
 * The list follows the special-purpose registries of IANA; an IPv6 address that carries an IPv4 one is judged by that.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export type AddressGuard = { isAllowed(address: string): boolean }
export type Resolve = (host: string) => Promise<readonly string[]>

const SPECIAL = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
] as const

export function createAddressGuard(allowedNetworks: readonly string[] = []): AddressGuard {
  const denied = listOf(SPECIAL)
  const allowed = listOf(allowedNetworks)
  return {
    isAllowed: (address) => {
      const inner = embeddedIPv4(address)
      if (inner !== undefined) return !has(denied, inner) || has(allowed, inner)
      if (!isIPv4(address) && !isIPv6(address)) return false
      return !has(denied, address) || has(allowed, address)
    },
  }
}

/** Asked once for each connection; the connection then goes to that very address. */
export const resolveBySystem: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  return list
}

function has(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** ::ffff:a.b.c.d (mapped), 64:ff9b::a.b.c.d (NAT64) and 2002:ab:cd:: (6to4) reach the IPv4 address inside them. */
function embeddedIPv4(address: string): string | undefined {
  if (!isIPv6(address)) return undefined
  const groups = expand(address)
  const head = groups.slice(0, 6).join(':')
  if (head === '0:0:0:0:0:ffff' || head === '64:ff9b:0:0:0:0') return dotted(groups[6]!, groups[7]!)
  if (groups[0] === '2002') return dotted(groups[1]!, groups[2]!)
  return undefined
}

function dotted(high: string, low: string): string {
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join('.')
}

/** The eight groups of an IPv6 address, without leading zeros. The URL parser writes the shortest form. */
function expand(address: string): readonly string[] {
  const bare = address.split('%')[0]!
  const shortest = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const [left = '', right] = shortest.split('::')
  const leftGroups = left.split(':').filter(Boolean)
  const rightGroups = (right ?? '').split(':').filter(Boolean)
  const zeros = Array.from({ length: 8 - leftGroups.length - rightGroups.length }, () => '0')
  return [...leftGroups, ...zeros, ...rightGroups]
}
