import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAddressGuard } from './addresses.ts'

const PUBLIC = ['1.1.1.1', '93.184.216.34', '2606:4700::1111', '2a00:1450:4001:81b::200e', '::ffff:8.8.8.8']
const SPECIAL = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '192.0.0.192',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  'fe80::1',
  'fe80::1%eth0',
  'fc00::1',
  'fd00:ec2::254',
  'fec0::1',
  'ff02::1',
  '2001:db8::1',
  '2001::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:a9fe:a9fe',
  '::FFFF:10.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '2002:7f00:1::',
  '2002:a9fe:a9fe::1',
  '0:0:0:0:0:ffff:c0a8:1',
  'localhost',
  '',
  'x',
  '1.1.1',
  '1.1.1.1.1',
]

test('public addresses are allowed', () => {
  const guard = createAddressGuard()
  for (const address of PUBLIC) assert.ok(guard.isAllowed(address), address)
})

test('private, local, special and embedded addresses are not, and nor is what is no address', () => {
  const guard = createAddressGuard()
  for (const address of SPECIAL) assert.ok(!guard.isAllowed(address), address)
})

test('an allowed network opens itself and nothing else, also when embedded', () => {
  const guard = createAddressGuard(['10.1.0.0/16', '192.168.7.7', 'fd12::/16'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.168.7.7', 'fd12::1', '1.1.1.1'])
    assert.ok(guard.isAllowed(address), address)
  for (const address of ['10.2.0.1', '192.168.7.8', 'fd13::1', '169.254.169.254'])
    assert.ok(!guard.isAllowed(address), address)
})
