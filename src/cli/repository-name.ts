import { resolve } from 'node:path'

/**
 * What people type as REPO: a registered name (`shop`), an address (`https://…`, `ssh://…`, `git@host:path`), or a
 * path. A path is made absolute here, since the API runs in another folder. A word without a slash is a name; write
 * `./shop` for the folder.
 */
export function toRepository(typed: string, cwd: string = process.cwd()): string {
  const isAddress = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) || /^[^/\s]+@[^/\s]+:/.test(typed)
  if (isAddress) return typed
  const isPath = typed === '.' || typed === '..' || typed.includes('/')
  return isPath ? resolve(cwd, typed) : typed
}
