/** Decides whether a request or a connection is allowed, from the policy alone. */
import { isIP } from 'node:net'
import type { EgressPolicy, EgressRule } from '../sandbox.ts'

export type Target = {
  /** How the sandbox speaks. */
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
}

export type Verdict<T> =
  | { readonly allowed: true; readonly rule: T }
  | { readonly allowed: false; readonly reason: string }

/** Methods of a rule that names none. */
const READ_ONLY: readonly string[] = ['GET', 'HEAD']
const LABEL = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?'
const NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(\\.${LABEL})*$`)

/** A host name as DNS knows it: no address in any spelling (a last label of digits is one to most programs). */
export function isHostName(host: string): boolean {
  const last = host.slice(host.lastIndexOf('.') + 1)
  return NAME.test(host) && isIP(host) === 0 && !/^(0x[0-9a-f]*|\d+)$/.test(last)
}

export function decideRequest(
  policy: EgressPolicy,
  target: Target,
  method: string,
  path: string,
): Verdict<EgressRule> {
  if (!isHostName(target.host)) return { allowed: false, reason: 'not a host name' }
  const rules = policy.allow.filter((rule) => hostMatches(rule.host, target.host))
  if (rules.length === 0) return { allowed: false, reason: 'host not allowed' }
  const onPort = rules.filter((rule) => !rule.tunnel && portMatches(rule, target))
  if (onPort.length === 0) return { allowed: false, reason: 'port or protocol not allowed' }
  const withMethod = onPort.filter((rule) => (rule.methods ?? READ_ONLY).includes(method))
  if (withMethod.length === 0) return { allowed: false, reason: 'method not allowed' }
  const rule = withMethod.find(({ paths }) => paths === undefined || pathMatches(paths, path))
  return rule ? { allowed: true, rule } : { allowed: false, reason: 'path not allowed' }
}

/** CONNECT: to a rule for tunnels, or to one whose requests we read and check ourselves. */
export function decideConnect(policy: EgressPolicy, host: string, port: number): Verdict<EgressRule> {
  if (!isHostName(host)) return { allowed: false, reason: 'not a host name' }
  const rules = policy.allow.filter((rule) => hostMatches(rule.host, host))
  if (rules.length === 0) return { allowed: false, reason: 'host not allowed' }
  const onPort = rules.filter(
    (rule) => rule.port === port || (!rule.tunnel && portMatches(rule, { scheme: 'http', host, port })),
  )
  const rule = onPort.find(({ tunnel }) => tunnel) ?? onPort[0]
  return rule ? { allowed: true, rule } : { allowed: false, reason: 'port or protocol not allowed' }
}

export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host
  return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1
}

/** To a host that speaks TLS the sandbox may speak plain HTTP, on port 80 or the host's own; we add the TLS. */
function portMatches(rule: EgressRule, target: Target): boolean {
  if (target.scheme === 'https') return rule.tls === true && rule.port === target.port
  return rule.port === target.port || (rule.tls === true && target.port === 80)
}

/** As written and as a server may decode it: neither may leave the prefix. */
function pathMatches(prefixes: readonly string[], path: string): boolean {
  const bare = path.split('?')[0]!
  let decoded: string
  try {
    decoded = decodeURIComponent(bare)
  } catch {
    return false
  }
  if (/(^|\/)\.\.(\/|$)|\\|%/.test(decoded)) return false
  return prefixes.some((prefix) => bare.startsWith(prefix) && decoded.startsWith(prefix))
}
