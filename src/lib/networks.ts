/**
 * Which addresses are the public internet, and which private networks the operator has allowed: one list for
 * repositories, git and the egress of sandboxes. It follows IANA's registries of special-purpose addresses.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { refuse } from './errors.ts'

const SPECIAL = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '224.0.0.0/3'],
  ...['::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '3fff::/20', '5f00::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]

export type Networks = {
  /** False for a special address that the operator did not allow, and for what is no address at all. */
  isOpen(address: string): boolean
}

/** `allowedNetworks`: CIDR blocks or single addresses. A wrong one is the refusal `config_invalid`. */
export function createNetworks(allowedNetworks: readonly string[] = []): Networks {
  const special = listOf(SPECIAL)
  const allowed = listOf(allowedNetworks)
  return {
    isOpen(address) {
      const plain = address.replace(/%.*$/, '')
      if (isIP(plain) === 0) return false
      const judged = embeddedIPv4(plain) ?? plain
      return !has(special, judged) || has(allowed, judged)
    },
  }
}

/** Where a host may be reached now. Whoever connects goes to these addresses: a second answer of DNS could be another. */
export type HostAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'private'; readonly address: string }
  | { readonly kind: 'unknown'; readonly temporary: boolean }
export type HostGuard = (host: string) => Promise<HostAnswer>

/** Resolves a host and refuses it when one of its addresses is private: one is enough to be led there. */
export function createHostGuard(allowedNetworks: readonly string[]): HostGuard {
  const networks = createNetworks(allowedNetworks)
  return async (host) => {
    const found = isIP(host)
      ? [{ address: host }]
      : await lookup(host, { all: true, order: 'ipv4first' }).catch((error: NodeJS.ErrnoException) => error)
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
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
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

function has(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** ::ffff:a.b.c.d (mapped), 64:ff9b::a.b.c.d (NAT64) and 2002:ab:cd:: (6to4) reach the IPv4 address inside them. */
function embeddedIPv4(address: string): string | undefined {
  if (!isIPv6(address)) return undefined
  const groups = groupsOf(address)
  const head = groups.slice(0, 6).join(':')
  if (head === '0:0:0:0:0:ffff' || head === '64:ff9b:0:0:0:0') return dotted(groups[6]!, groups[7]!)
  return groups[0] === '2002' ? dotted(groups[1]!, groups[2]!) : undefined
}

function dotted(high: string, low: string): string {
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join('.')
}

/** The eight groups of an IPv6 address, without leading zeros. The URL parser writes the shortest form. */
function groupsOf(address: string): readonly string[] {
  const shortest = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [left = '', right] = shortest.split('::')
  const leftGroups = left.split(':').filter(Boolean)
  const rightGroups = (right ?? '').split(':').filter(Boolean)
  const zeros = Array.from({ length: 8 - leftGroups.length - rightGroups.length }, () => '0')
  return [...leftGroups, ...zeros, ...rightGroups]
}
