/**
 * Where a repository may be: https, ssh (also as user@host:path), and, for the machine's own operator, an absolute path.
 * Everything else that git would take (file:, ext:, git:, http:, options) is refused before git sees it.
 */
import { realpath, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { isAbsolute, join, sep } from 'node:path'
import { refuse, type Refusal } from '#lib/errors.ts'
import { createNetworks } from '#lib/networks.ts'

export type AddressRules = {
  /** The caller has the scope `operator`: paths are allowed. */
  readonly operator: boolean
  /** FLOWFORGE_HOME. */
  readonly home: string
  /** FLOWFORGE_ALLOWED_NETWORKS. */
  readonly allowedNetworks: readonly string[]
}

export type RepositoryAddress =
  | { readonly kind: 'https' | 'ssh'; readonly address: string; readonly host: string }
  | { readonly kind: 'path'; readonly address: string }

const LONGEST = 2000
const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
const PORT = /^\d{1,5}$/
const SHORT_SSH = /^([^@/:\s]+)@([^@/:\s[\]]+):([^\s]+)$/
const LOCAL_NAME = /^(?:.*\.)?(?:localhost|localdomain|local|internal)$/
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/** The address in the form in which it is stored and given to git, or the refusal `repository_address`. */
export async function parseAddress(text: string, rules: AddressRules): Promise<RepositoryAddress> {
  const wrong = (problem: string): Refusal => refuse('repository_address', { address: shown(text), problem })
  if (text.length > LONGEST || !text.isWellFormed() || CONTROL.test(text)) {
    throw wrong('it is too long or has characters that do not belong into an address.')
  }
  if (text.startsWith('-')) throw wrong('it begins with a dash.')
  if (isAbsolute(text)) return { kind: 'path', address: await checkPath(text, rules, wrong) }
  const parsed = parseRemote(text, wrong)
  checkHost(parsed.host, rules, wrong)
  return parsed
}

type Wrong = (problem: string) => Refusal

function parseRemote(text: string, wrong: Wrong): RepositoryAddress & { readonly host: string } {
  const [, user, host, path] = SHORT_SSH.exec(text) ?? []
  if (user !== undefined && host !== undefined && path !== undefined && !path.startsWith('//')) {
    if (!USER.test(user)) throw wrong('its user name is not valid.')
    if (path.startsWith('-') || path.startsWith(':')) throw wrong('its path is not valid.')
    const plain = canonicalHost(host, wrong)
    return { kind: 'ssh', host: plain, address: `${user}@${plain}:${path}` }
  }
  const url = /^(https|ssh):\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw wrong('it must begin with https:// or ssh://, or be user@host:path.')
  if (url.password !== '' || (url.protocol === 'https:' && url.username !== '')) {
    throw wrong(
      'user names, passwords and tokens do not belong into it. Add the token as the credential of the repository.',
    )
  }
  if (url.search !== '' || url.hash !== '') throw wrong('it has a query or a fragment.')
  const rest = cleanPath(url.pathname, wrong)
  const plain = canonicalHost(url.hostname, wrong)
  const port = url.port === '' ? '' : `:${url.port}`
  if (port !== '' && !PORT.test(url.port)) throw wrong('its port is not valid.')
  const literal = isIP(plain) === 6 ? `[${plain}]` : plain
  if (url.protocol === 'https:')
    return { kind: 'https', host: plain, address: `https://${literal}${port}${rest}` }
  if (url.username !== '' && !USER.test(url.username)) throw wrong('its user name is not valid.')
  return { kind: 'ssh', host: plain, address: `ssh://${url.username || 'git'}@${literal}${port}${rest}` }
}

function cleanPath(path: string, wrong: Wrong): string {
  let plain: string
  try {
    plain = decodeURIComponent(path)
  } catch {
    throw wrong('its path is not valid.')
  }
  // An encoded line end could add a line to what git says to a credential helper.
  if (CONTROL.test(plain) || plain.startsWith('/-') || plain.split('/').includes('..'))
    throw wrong('its path is not valid.')
  const short = path.replace(/\/+$/, '')
  if (short.length < 2) throw wrong('it names a host and no repository.')
  return short
}

/** Lower case, and one spelling for an IP address: 0x7f.1 and 2130706433 are refused rather than understood. */
function canonicalHost(host: string, wrong: Wrong): string {
  const text = host.toLowerCase()
  const url = URL.canParse(`https://${text}/`) ? new URL(`https://${text}/`) : undefined
  const plain = url?.hostname.replace(/^\[(.*)\]$/, '$1')
  if (plain === undefined || (isIP(plain) === 0 && !HOST.test(plain)))
    throw wrong('its host name is not valid.')
  if (isIP(plain) === 4 && plain !== text)
    throw wrong('its IP address is not written as four decimal numbers.')
  return plain
}

/** What can be seen without asking DNS; whoever connects asks the host guard as well. */
function checkHost(host: string, rules: AddressRules, wrong: Wrong): void {
  const networks = createNetworks(rules.allowedNetworks)
  const closed =
    isIP(host) !== 0 ? !networks.isOpen(host) : LOCAL_NAME.test(host) && rules.allowedNetworks.length === 0
  if (closed)
    throw wrong('it is in a private network. The operator can allow it with FLOWFORGE_ALLOWED_NETWORKS.')
}

async function checkPath(text: string, rules: AddressRules, wrong: Wrong): Promise<string> {
  if (!rules.operator) throw wrong('a path of this machine needs the scope operator.')
  const path = await realpath(text).catch(() => undefined)
  if (path === undefined || !(await stat(path)).isDirectory())
    throw wrong('there is no such folder on this machine.')
  const home = await realpath(rules.home).catch(() => rules.home)
  if (isWithin(path, home)) throw wrong('it lies in FLOWFORGE_HOME.')
  return path
}

function isWithin(inner: string, outer: string): boolean {
  return join(inner, sep).startsWith(join(outer, sep))
}

/** A refused address may hold a token: what stands before the @ is not repeated to logs and screens. */
function shown(text: string): string {
  return text.slice(0, 200).replace(/\/\/[^/]*@/, '//…@')
}
