/** How a command gets the egress gate's relay beside it, and what tells its tools to use it. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import type { EgressPolicy, GuestCommand } from '../sandbox.ts'

const PROXY = 'http://127.0.0.1:3128'
const RELAY = '/opt/ff/node /opt/ff/relay.mjs'
const LISTEN = `/usr/bin/perl /opt/ff/listen.pl ${RELAY}`

/** Variables that npm, pip, cargo, go, git, curl and Node itself know. */
export const PROXY_ENVIRONMENT = {
  http_proxy: PROXY,
  https_proxy: PROXY,
  HTTP_PROXY: PROXY,
  HTTPS_PROXY: PROXY,
  no_proxy: 'localhost,127.0.0.1,::1',
  NO_PROXY: 'localhost,127.0.0.1,::1',
  NODE_USE_ENV_PROXY: '1',
  // npm's audit sends the list of dependencies away (a POST, so it would be denied).
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
} as const

/** Without perl the relay itself is waited for. It is no child and in no group of the command, which never notices it. */
const RELAY_READY = `mkfifo /tmp/.relay && { (setsid ${RELAY} >/tmp/.relay 2>/dev/null &) ; read -r _ </tmp/.relay; rm -f /tmp/.relay; }`
const SCRIPTS = {
  ready: `if [ -x /usr/bin/perl ]; then ${LISTEN}; else ${RELAY_READY}; fi; exec "$@"`,
  background: `if [ -x /usr/bin/perl ]; then (${LISTEN} &); else (setsid ${RELAY} >/dev/null 2>&1 &); fi; exec "$@"`,
} as const

/** Given to perl as text: it runs as the sandbox's user, who may not be able to enter the folder this program lies in. */
const LOW_PORTS = readFileSync(new URL('./low-ports.pl', import.meta.url), 'utf8')

/**
 * Programs before bubblewrap that make the network namespace, for commands with a relay: in it the relay may listen
 * below port 1024, so that programs which know no proxy are served, too. Absent where the host lacks perl or unshare;
 * bubblewrap then makes the namespace itself.
 */
export function findNetworkMaker(): readonly string[] | undefined {
  if (!['/usr/bin/perl', '/usr/bin/unshare'].every((path) => existsSync(path))) return undefined
  const hostNetwork = readlinkSync('/proc/self/ns/net')
  return ['unshare', '--user', '--map-root-user', '--net', '--', 'perl', '-e', LOW_PORTS, '--', hostNetwork]
}

export function wantsNetwork(command: GuestCommand, policy: EgressPolicy): boolean {
  return policy.allow.length > 0 && command.network !== false
}

export function withRelay(command: GuestCommand): readonly string[] {
  const script = command.network === 'background' ? SCRIPTS.background : SCRIPTS.ready
  return ['/bin/sh', '-c', script, 'sh', ...command.argv]
}
