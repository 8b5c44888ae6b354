import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '#config'
import { egressFrom, limitsFrom } from './settings.ts'

test('hosts may be read from by default; a tunnel and a port are said', () => {
  const config = readConfig({
    FLOWFORGE_EGRESS: 'Registry.npmjs.org, tunnel:example.com,git.example.com:8443',
  })
  assert.deepEqual(egressFrom(config).allow, [
    { host: 'registry.npmjs.org', port: 443, tls: true, methods: ['GET', 'HEAD'] },
    { host: 'example.com', port: 443, tunnel: true },
    { host: 'git.example.com', port: 8443, tls: true, methods: ['GET', 'HEAD'] },
  ])
})

test('limits come in MiB', () => {
  const config = readConfig({ FLOWFORGE_SANDBOX_MEMORY_MB: '100', FLOWFORGE_SANDBOX_DISK_MB: '200' })
  const { memoryBytes, diskBytes } = limitsFrom(config)
  assert.deepEqual([memoryBytes, diskBytes], [100 * 1024 ** 2, 200 * 1024 ** 2])
})
