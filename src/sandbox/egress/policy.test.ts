import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideConnect, decideRequest, hostMatches, isHostName } from './policy.ts'

const POLICY = {
  allow: [
    { host: 'registry.test', port: 443, tls: true },
    { host: '*.wide.test', port: 443, tls: true, methods: ['GET', 'POST'], paths: ['/api/'] },
    { host: 'plain.test', port: 8080 },
    { host: 'tunnel.test', port: 443, tunnel: true },
  ],
} as const

test('host names are names: no address, no odd spelling of one', () => {
  for (const name of ['a', 'registry.npmjs.org', 'x-1.test', '1.example.com'])
    assert.ok(isHostName(name), name)
  for (const name of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a.test',
    'a_.test',
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '1.0x7f',
    '::1',
    '[::1]',
    'A.test',
    'ä.test',
    'a b',
    'a/b',
    'a@b',
    'a:80',
    'a%2e',
    'a\0b',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(127)}aa`,
  ])
    assert.ok(!isHostName(name), JSON.stringify(name))
})

test('a star stands for one name or more, never for none', () => {
  assert.ok(hostMatches('*.wide.test', 'a.wide.test') && hostMatches('*.wide.test', 'a.b.wide.test'))
  for (const host of ['wide.test', 'awide.test', '.wide.test', 'a.wide.test.evil'])
    assert.ok(!hostMatches('*.wide.test', host), host)
})

test('scheme, port, method and path must all be allowed by one rule', () => {
  const ask = (scheme: 'http' | 'https', host: string, port: number, method = 'GET', path = '/'): string => {
    const verdict = decideRequest(POLICY, { scheme, host, port }, method, path)
    return verdict.allowed ? 'allowed' : verdict.reason
  }
  assert.equal(ask('https', 'registry.test', 443), 'allowed')
  assert.equal(ask('http', 'registry.test', 80), 'allowed')
  assert.equal(ask('http', 'registry.test', 443), 'allowed')
  assert.equal(ask('https', 'registry.test', 8443), 'port or protocol not allowed')
  assert.equal(ask('https', 'registry.test', 443, 'PUT'), 'method not allowed')
  assert.equal(ask('https', 'registry.test', 443, 'get'), 'method not allowed')
  assert.equal(ask('http', 'plain.test', 8080, 'HEAD'), 'allowed')
  assert.equal(ask('https', 'plain.test', 8080), 'port or protocol not allowed')
  assert.equal(ask('http', 'plain.test', 80), 'port or protocol not allowed')
  assert.equal(ask('https', 'a.wide.test', 443, 'POST', '/api/x'), 'allowed')
  assert.equal(ask('https', 'a.wide.test', 443, 'GET', '/other'), 'path not allowed')
  assert.equal(ask('https', 'tunnel.test', 443), 'port or protocol not allowed')
  assert.equal(ask('https', 'evil.test', 443), 'host not allowed')
})

test('a path that a server could read as another one is not below the prefix', () => {
  const allows = (path: string): boolean =>
    decideRequest(POLICY, { scheme: 'https', host: 'a.wide.test', port: 443 }, 'GET', path).allowed
  for (const path of ['/api/', '/api/@scope%2fname', '/api/a..b', '/api/x?y=/../z'])
    assert.ok(allows(path), path)
  for (const path of [
    '/api',
    '/api/..',
    '/api/../x',
    '/api/%2e%2e/x',
    '/api/..%2fx',
    '/api/%5c..',
    '/api/%',
    '/api/%252e',
    '//api/',
  ])
    assert.ok(!allows(path), path)
})

test('CONNECT goes to known hosts and ports; a tunnel only where the rule says so', () => {
  const tunnels = (host: string, port: number): boolean | undefined => {
    const verdict = decideConnect(POLICY, host, port)
    return verdict.allowed ? verdict.rule.tunnel === true : undefined
  }
  assert.equal(tunnels('tunnel.test', 443), true)
  assert.equal(tunnels('registry.test', 443), false)
  assert.equal(tunnels('registry.test', 80), false)
  for (const [host, port] of [
    ['tunnel.test', 80],
    ['registry.test', 22],
    ['evil.test', 443],
    ['127.0.0.1', 443],
  ] as const)
    assert.equal(tunnels(host, port), undefined, `${host}:${port}`)
})
