import { isIP } from 'node:net'
import { isAbsolute, normalize } from 'node:path'

/** A repository's address, taken apart. Git never gets the text people typed, only what is rebuilt from this. */
export type Address =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'https'; readonly host: string; readonly port: number; readonly url: string }
  | { readonly kind: 'ssh'; readonly host: string; readonly port: number; readonly url: string }
  | { readonly kind: 'wrong'; readonly problem: string }

const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

/** Takes https://, ssh://, user@host:path and absolute paths; everything else (file:, ext:, http:, options) is wrong. */
export function parseAddress(text: string): Address {
  if (text.length > 2000 || CONTROL.test(text) || !text.isWellFormed())
    return wrong('it is too long or has control characters.')
  if (isAbsolute(text)) return { kind: 'path', path: normalize(text) }
  const short = /^([^@/:\s]+)@([^@/:\s]+):(?!\/\/)([^\s]+)$/.exec(text)
  if (short) return scpLike(short[1]!, short[2]!, short[3]!)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:') return https(url)
  if (url?.protocol === 'ssh:') {
    if (url.password !== '') return wrong('a password does not belong into it.')
    return ssh(url.username || 'git', url.hostname, Number(url.port || 22), url.pathname)
  }
  return wrong('it must begin with https:// or ssh://, or be an absolute path on this machine.')
}

function https(url: URL): Address {
  if (url.username !== '' || url.password !== '')
    return wrong('user names and tokens do not belong into it; add the token as a credential.')
  if (url.search !== '' || url.hash !== '') return wrong('it has a query or a fragment.')
  const host = bare(url.hostname)
  if (!isHost(host)) return wrong('its host name is not valid.')
  if (url.pathname.length < 2) return wrong('it has no path.')
  return { kind: 'https', host, port: Number(url.port || 443), url: url.href }
}

function ssh(user: string, hostname: string, port: number, path: string): Address {
  const host = bare(hostname)
  if (!isHost(host)) return wrong('its host name is not valid.')
  if (!USER.test(user)) return wrong('its user name is not valid.')
  // The path ends up in the command line of the remote shell; git quotes it, a leading dash is an option there.
  if (path.length < 2 || path.startsWith('/-')) return wrong('its path is not valid.')
  return {
    kind: 'ssh',
    host,
    port,
    url: `ssh://${user}@${isIP(host) === 6 ? `[${host}]` : host}:${port}${path}`,
  }
}

/**
 * user@host:path stays as it is: hosts such as GitHub look up the path they are given, and the same place written as a URL
 * would reach them as ~/path.
 */
function scpLike(user: string, hostname: string, path: string): Address {
  const address = ssh(user, hostname, 22, path.startsWith('/') ? path : `/${path}`)
  return address.kind === 'ssh' ? { ...address, url: `${user}@${hostname}:${path}` } : address
}

function isHost(host: string): boolean {
  return isIP(host) !== 0 || HOST.test(host)
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

function wrong(problem: string): Address {
  return { kind: 'wrong', problem }
}
