/** The guest's environment, built from nothing: the host's is never looked at. */
import { join } from 'node:path'

const CACHES = {
  XDG_CACHE_HOME: '/cache',
  npm_config_cache: '/cache/npm',
  PIP_CACHE_DIR: '/cache/pip',
  GOPATH: '/cache/go',
  GOCACHE: '/cache/go-build',
  CARGO_HOME: '/cache/cargo',
  GRADLE_USER_HOME: '/cache/gradle',
} as const

/**
 * Programs are looked for in the toolchains first, then in the host's /usr, and only then in /opt/ff: a repository that
 * needs its own version of node shall get it.
 */
export function guestEnvironment(
  toolchains: readonly string[],
  added: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const path = [
    ...toolchains.map((directory) => join(directory, 'bin')),
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
  ]
  return {
    HOME: '/home/agent',
    USER: 'agent',
    LOGNAME: 'agent',
    SHELL: '/bin/bash',
    PATH: [...path, '/opt/ff'].join(':'),
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...CACHES,
    ...added,
  }
}
