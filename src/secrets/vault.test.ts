import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '#lib/secret.ts'
import { masterKeyFrom, openMasterKey } from './master-key.ts'
import { createVault } from './vault.ts'

const newKey = () => masterKeyFrom(randomBytes(32).toString('base64'), 'a test')
const token = new Secret('ghp_ünïcode and all')

test('what is sealed opens again, in its own place only', () => {
  const vault = createVault(newKey())
  const sealed = vault.seal(token, 'credentials 1')
  assert.equal(vault.open(sealed, 'credentials 1').reveal(), token.reveal())
  assert.throws(() => vault.open(sealed, 'credentials 2'), {
    code: 'master_key',
    message: /belongs to another place/,
  })
  assert.ok(!sealed.includes('ghp_'))
})

test('the same secret never seals to the same bytes', () => {
  const vault = createVault(newKey())
  assert.notDeepEqual(vault.seal(token, 'x'), vault.seal(token, 'x'))
})

test('another key is named as such', () => {
  const [mine, theirs] = [newKey(), newKey()]
  const sealed = createVault(theirs).seal(token, 'x')
  assert.throws(
    () => createVault(mine).open(sealed, 'x'),
    (error: Error) => error.message.includes(theirs.id) && error.message.includes(mine.id),
  )
})

test('a change of any byte is noticed', () => {
  const vault = createVault(newKey())
  const sealed = vault.seal(token, 'x')
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    assert.throws(() => vault.open(changed, 'x'), { code: 'master_key' }, `byte ${at}`)
  }
  for (const short of [Buffer.alloc(0), sealed.subarray(0, 36), sealed.subarray(0, -1)]) {
    assert.throws(() => vault.open(short, 'x'), { code: 'master_key' })
  }
})

test('derived keys depend on the key and on the name, and say nothing about each other', () => {
  const key = newKey()
  assert.deepEqual(key.derive('a'), key.derive('a'))
  assert.notDeepEqual(key.derive('a'), key.derive('b'))
  assert.notDeepEqual(key.derive('a'), newKey().derive('a'))
})

test('the first start makes a key that only we can read, and eight at once agree on it', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'ff-secrets-'))
  t.after(() => rm(home, { recursive: true }))
  const config = { FLOWFORGE_HOME: home, FLOWFORGE_MASTER_KEY: undefined }
  const keys = await Promise.all(Array.from({ length: 8 }, () => openMasterKey(config)))
  assert.equal(new Set(keys.map((key) => key.id)).size, 1)
  const file = join(home, 'keys', 'master.key')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await stat(join(home, 'keys'))).mode & 0o777, 0o700)
  assert.equal(
    (await openMasterKey({ ...config, FLOWFORGE_MASTER_KEY: new Secret(await readFile(file, 'utf8')) })).id,
    keys[0]?.id,
  )
})

test('a key that is too short is a refusal that shows nothing of it', async (t) => {
  const given = { FLOWFORGE_HOME: '/nowhere', FLOWFORGE_MASTER_KEY: new Secret('c2hvcnQ=') }
  await assert.rejects(
    openMasterKey(given),
    (error: Error) => /holds 5 bytes/.test(error.message) && !error.message.includes('short'),
  )
  const home = await mkdtemp(join(tmpdir(), 'ff-secrets-'))
  t.after(() => rm(home, { recursive: true }))
  await openMasterKey({ FLOWFORGE_HOME: home, FLOWFORGE_MASTER_KEY: undefined })
  const file = join(home, 'keys', 'master.key')
  await chmod(file, 0o600)
  await writeFile(file, '')
  await assert.rejects(openMasterKey({ FLOWFORGE_HOME: home, FLOWFORGE_MASTER_KEY: undefined }), {
    code: 'master_key',
  })
})
