import assert from 'node:assert/strict'
import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseAddress, type AddressRules } from './address.ts'
import { createHostGuard } from '#lib/networks.ts'

const root = await realpath(await mkdtemp(join(tmpdir(), 'ff-address-')))
after(() => rm(root, { recursive: true }))
const home = join(root, 'home')
await mkdir(join(home, 'mirrors', 'x'), { recursive: true })
await mkdir(join(root, 'project'))
await symlink(join(home, 'mirrors', 'x'), join(root, 'innocent'))
await symlink(join(root, 'project'), join(root, 'link'))

const rules: AddressRules = { operator: false, home, allowedNetworks: [] }
const operator: AddressRules = { ...rules, operator: true }

async function refused(text: string, given: AddressRules = rules): Promise<string> {
  try {
    const { address } = await parseAddress(text, given)
    return `taken as ${address}`
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'repository_address', String(error))
    return error.message
  }
}

test('https and ssh addresses are taken, in one form', async () => {
  const taken: readonly (readonly [string, string])[] = [
    ['https://github.com/acme/shop.git', 'https://github.com/acme/shop.git'],
    ['https://GitHub.com/acme/shop/', 'https://github.com/acme/shop'],
    ['https://git.example.com:8443/a/b', 'https://git.example.com:8443/a/b'],
    ['https://example.com:443/a', 'https://example.com/a'],
    ['git@github.com:acme/shop.git', 'git@github.com:acme/shop.git'],
    ['me@GITHUB.com:/srv/shop.git', 'me@github.com:/srv/shop.git'],
    ['ssh://git@github.com/acme/shop.git', 'ssh://git@github.com/acme/shop.git'],
    ['ssh://git.example.com:2222/~/shop', 'ssh://git@git.example.com:2222/~/shop'],
    ['https://8.8.8.8/x', 'https://8.8.8.8/x'],
    ['https://[2606:4700::1111]/x', 'https://[2606:4700::1111]/x'],
  ]
  for (const [text, address] of taken) assert.equal((await parseAddress(text, rules)).address, address)
})

test('every other way of git to reach something is refused', async () => {
  const wrong = [
    'file:///etc',
    'FILE:///etc',
    'ext::sh -c id',
    'ext::ssh% -oProxyCommand=id% x',
    'git://github.com/a/b',
    'http://github.com/a/b',
    'ftp://example.com/a',
    'fd::3',
    'transport::x',
    'https::https://example.com/a',
    '-uroot',
    '--upload-pack=id',
    'ssh://-oProxyCommand=id/x',
    'git@-oProxyCommand=id:x',
    '-x@example.com:y',
    'git@example.com:-x',
    'relative/path',
    './x',
    '../x',
    '~/x',
    'C:\\repo',
    '',
    ' ',
    'example.com:a/b',
    'https://',
    'https:///x',
    'https://example.com',
    'https://example.com/',
    'ssh://example.com',
    'https://example.com/a?x=1',
    'https://example.com/a#x',
    'https://exa mple.com/a',
    'https://example.com/a\nb',
    'https://example.com/a%0ahost=evil',
    'https://example.com/a%00',
    'https://example.com/%',
    'https://ex_ample.com./a',
    `https://example.com/${'a'.repeat(3000)}`,
    'https://example.com/\ud800',
    'git@[::1]:x',
    'git@example.com:\tx',
  ]
  for (const text of wrong) assert.match(await refused(text), /is not taken: /, text)
})

test('a credential in an address is refused and not repeated', async () => {
  for (const text of [
    'https://me:s3cret@github.com/a/b',
    'https://s3cret@github.com/a/b',
    'ssh://git:s3cret@github.com/a/b',
  ]) {
    const said = await refused(text)
    assert.match(said, /Add the token as the credential/)
    assert.ok(!said.includes('s3cret'), said)
  }
})

test('private addresses are refused however they are written', async () => {
  const hosts = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '[::1]',
    '[::]',
    '[fe80::1]',
    '[fd00::1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::a00:1]',
    '[2002:a00:1::]',
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '017700000001',
    '127.1',
    '0177.0.0.1',
    '１２７.0.0.1',
    'localhost',
    'LOCALHOST',
    'a.localhost',
    'printer.local',
    'metadata.google.internal',
    'localhost.',
  ]
  for (const host of hosts) {
    for (const text of [`https://${host}/a/b`, `ssh://git@${host}/a/b`, `git@${host}:a/b`]) {
      assert.match(await refused(text), /is not taken: /, text)
    }
  }
})

test('an allowed network opens its addresses and no others', async () => {
  const allowed = { ...rules, allowedNetworks: ['10.1.0.0/16', '::1'] }
  assert.equal((await parseAddress('https://10.1.2.3/a', allowed)).address, 'https://10.1.2.3/a')
  assert.equal((await parseAddress('ssh://[::1]/a', allowed)).address, 'ssh://git@[::1]/a')
  assert.match(await refused('https://10.2.0.1/a', allowed), /private network/)
  assert.match(await refused('https://127.0.0.1/a', allowed), /private network/)
  assert.throws(() => createHostGuard(['10.0.0.0/33']), { code: 'config_invalid' })
  assert.throws(() => createHostGuard(['example.com']), { code: 'config_invalid' })
})

test('a path is for the operator alone, must exist, and is stored without links', async () => {
  assert.match(await refused(join(root, 'project')), /needs the scope operator/)
  assert.deepEqual(await parseAddress(join(root, 'link'), operator), {
    kind: 'path',
    address: join(root, 'project'),
  })
  assert.match(await refused(join(root, 'absent'), operator), /no such folder/)
  assert.match(await refused('/etc/passwd', operator), /no such folder/)
})

test('no path reaches FLOWFORGE_HOME, also not by a link', async () => {
  for (const path of [
    home,
    join(home, 'mirrors'),
    join(root, 'innocent'),
    join(root, 'project', '..', 'home'),
  ]) {
    assert.match(await refused(path, operator), /lies in FLOWFORGE_HOME/, path)
  }
})

test('the host guard asks DNS and refuses a name that leads to a private address', async () => {
  assert.equal((await createHostGuard([])('localhost')).kind, 'private')
  assert.deepEqual(await createHostGuard(['127.0.0.0/8', '::1/128'])('127.0.0.1'), {
    kind: 'addresses',
    addresses: ['127.0.0.1'],
  })
  assert.equal((await createHostGuard(['127.0.0.0/8', '::1/128'])('localhost')).kind, 'addresses')
  assert.equal((await createHostGuard([])('::ffff:169.254.169.254')).kind, 'private')
  assert.equal((await createHostGuard([])('no-such-host.invalid')).kind, 'unknown')
})
