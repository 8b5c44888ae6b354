/** How a command gets the egress gate's relay beside it, and what tells its tools to use it. */
import type { EgressPolicy, GuestCommand } from '../sandbox.ts'

const PROXY = 'http://127.0.0.1:3128'
const RELAY = '/opt/ff/node /opt/ff/relay.mjs'

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

/** The relay is a child of the guest's init and of no group of the command, which never notices it. */
const SCRIPTS = {
  ready: `mkfifo /tmp/.relay && { (setsid ${RELAY} >/tmp/.relay 2>/dev/null &) ; read -r _ </tmp/.relay; rm -f /tmp/.relay; }; exec "$@"`,
  background: `(setsid ${RELAY} >/dev/null 2>&1 &); exec "$@"`,
} as const

export function wantsNetwork(command: GuestCommand, policy: EgressPolicy): boolean {
  return policy.allow.length > 0 && command.network !== false
}

export function withRelay(command: GuestCommand): readonly string[] {
  const script = command.network === 'background' ? SCRIPTS.background : SCRIPTS.ready
  return ['/bin/sh', '-c', script, 'sh', ...command.argv]
}
