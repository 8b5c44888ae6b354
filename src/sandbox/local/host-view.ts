/** The parts of the host that every guest sees, looked up once. */
import { globSync, lstatSync, readlinkSync } from 'node:fs'
import type { HostRoot } from './arguments.ts'

/** Nothing here may hold a secret, whoever may read it: no maven settings, no netrc, no ssh. */
const ETC = [
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/ca-certificates',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/alternatives',
  '/etc/localtime',
  '/etc/mime.types',
  '/etc/protocols',
  '/etc/services',
  '/etc/java*',
]

export function hostEtc(): readonly string[] {
  return ETC.flatMap((pattern) => globSync(pattern)).filter((path) => !isLink(path))
}

export function hostRoots(): readonly HostRoot[] {
  return ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap((path): HostRoot[] => {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return []
    return found.isSymbolicLink() ? [{ path, link: readlinkSync(path) }] : [{ path }]
  })
}

function isLink(path: string): boolean {
  // /etc/localtime is a link into /usr, which bubblewrap would bind as the file itself: that one is wanted.
  return path !== '/etc/localtime' && lstatSync(path).isSymbolicLink()
}
