import assert from 'node:assert/strict'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inOrganization } from '#db'
import { newId, type OrganizationId } from '#lib/ids.ts'
import { Secret } from '#lib/secret.ts'
import { createVault } from '#secrets'
import { ALL_SCOPES, type Principal, type Scope } from '#tenants'
import { createTestDatabase } from '#test/database.ts'
import { openRepository } from './credentials.ts'
import { createRepositories, findOrRegister } from './repositories.ts'

const db = await createTestDatabase()
const { databases } = db
const vault = createVault(db.masterKey)
const folder = await realpath(await mkdtemp(join(tmpdir(), 'ff-repositories-')))
after(() => rm(folder, { recursive: true }))
// Addresses of the documentation network, allowed here so that no test asks DNS.
const repositories = createRepositories({
  databases,
  vault,
  home: join(folder, '.home'),
  allowedNetworks: ['192.0.2.0/24'],
})

async function principal(
  scopes: readonly Scope[] = ALL_SCOPES,
): Promise<Principal & { readonly kind: 'key' }> {
  const organizationId: OrganizationId = newId()
  await databases.system
    .insertInto('organizations')
    .values({ id: organizationId, slug: organizationId, name: 'x' })
    .execute()
  return { kind: 'key', organizationId, keyId: newId(), scopes, name: 'test' }
}

const address = 'https://192.0.2.1/acme/shop.git'
const token = { kind: 'https_token', username: 'x', token: new Secret('s3cret-token') } as const

test('registering twice gives the same repository', async () => {
  const me = await principal()
  const first = await repositories.register(me, { name: 'shop', address })
  const again = await repositories.register(me, { name: 'shop', address })
  assert.deepEqual([first.created, again.created], [true, false])
  assert.equal(first.repository.id, again.repository.id)
  assert.deepEqual(
    (await repositories.list(me)).map(({ name }) => name),
    ['shop'],
  )
})

test('a name that is taken by another address is refused; an address alone gets the next free name', async () => {
  const me = await principal()
  await repositories.register(me, { name: 'shop', address })
  const other = 'https://192.0.2.2/other/shop.git'
  await assert.rejects(repositories.register(me, { name: 'shop', address: other }), {
    code: 'repository_exists',
  })
  await assert.rejects(repositories.register(me, { name: 'store', address }), {
    code: 'invalid_request',
    message: /as shop/,
  })
  assert.equal((await repositories.register(me, { address: other })).repository.name, 'shop-2')
  assert.equal(
    (await repositories.register(me, { address: 'git@192.0.2.1:tools.git' })).repository.name,
    'tools',
  )
})

test('eight jobs that name the same new address at once register it once', async () => {
  const me = await principal()
  const named = await repositories.resolve(me, address)
  const all = await Promise.all(
    Array.from({ length: 8 }, () =>
      inOrganization(databases, me.organizationId, (trx) => findOrRegister(trx, me, named)),
    ),
  )
  assert.equal(new Set(all.map(({ id }) => id)).size, 1)
})

test('a credential is sealed in the database and opens for the worker only, in its organization', async () => {
  const me = await principal()
  const { repository } = await repositories.register(me, { name: 'shop', address, credential: token })
  assert.equal(repository.credential, 'https_token')
  assert.ok(!JSON.stringify(await repositories.read(me, 'shop')).includes('s3cret'))
  const rows = await inOrganization(databases, me.organizationId, (trx) =>
    trx.selectFrom('repository_credentials').selectAll().execute(),
  )
  assert.ok(!rows[0]?.ciphertext.includes('s3cret'))
  const opened = await inOrganization(databases, me.organizationId, (trx) =>
    openRepository(trx, vault, repository.id),
  )
  assert.equal(
    opened.git.credential?.kind === 'https_token' && opened.git.credential.token.reveal(),
    's3cret-token',
  )
  const stranger = await principal()
  const steal = inOrganization(databases, stranger.organizationId, (trx) =>
    openRepository(trx, vault, repository.id),
  )
  await assert.rejects(steal, { code: 'repository_not_found' })
})

test('a changed credential replaces the old one, null takes it away, and nothing is left behind', async () => {
  const me = await principal()
  await repositories.register(me, { name: 'shop', address, credential: token })
  await repositories.change(me, 'shop', { credential: { ...token, token: new Secret('new') } })
  const count = () =>
    inOrganization(
      databases,
      me.organizationId,
      async (trx) => (await trx.selectFrom('repository_credentials').select('id').execute()).length,
    )
  assert.equal(await count(), 1)
  assert.equal((await repositories.change(me, 'shop', { credential: null })).credential, null)
  assert.equal(await count(), 0)
})

test('a credential that does not fit the address, or would add a line to git, is refused', async () => {
  const me = await principal()
  const ssh = { kind: 'ssh_key', key: new Secret('-----BEGIN OPENSSH PRIVATE KEY-----\nx\n') } as const
  await assert.rejects(repositories.register(me, { address, credential: ssh }), { code: 'invalid_request' })
  await assert.rejects(repositories.register(me, { address: 'git@192.0.2.1:a', credential: token }), {
    code: 'invalid_request',
  })
  await assert.rejects(
    repositories.register(me, { address, credential: { ...token, token: new Secret('a\nhost=evil') } }),
    { code: 'invalid_request' },
  )
  await assert.rejects(repositories.register(me, { address, credential: { ...token, username: 'a\nb' } }), {
    code: 'invalid_request',
  })
  assert.deepEqual(await repositories.list(me), [])
})

test('settings are kept, and taken away with null', async () => {
  const me = await principal()
  await repositories.register(me, {
    name: 'shop',
    address,
    sensitivePaths: ['.ci/**'],
    maxRunningJobs: 2,
    defaultBranch: 'main',
  })
  const { sensitivePaths, maxRunningJobs, defaultBranch } = await repositories.read(me, 'shop')
  assert.deepEqual(
    { sensitivePaths, maxRunningJobs, defaultBranch },
    { sensitivePaths: ['.ci/**'], maxRunningJobs: 2, defaultBranch: 'main' },
  )
  assert.equal((await repositories.change(me, 'shop', { sensitivePaths: null })).sensitivePaths, null)
})

test('scopes and organizations are held apart', async () => {
  const [me, reader, stranger] = [
    await principal(),
    await principal(['repositories:read']),
    await principal(),
  ]
  await repositories.register(me, { name: 'shop', address })
  await assert.rejects(repositories.register(reader, { address }), { code: 'not_permitted' })
  await assert.rejects(repositories.read(stranger, 'shop'), { code: 'repository_not_found' })
  assert.deepEqual(await repositories.list(stranger), [])
  await assert.rejects(repositories.resolve({ ...me, scopes: ['jobs:write'] }, folder), {
    code: 'repository_address',
    message: /scope operator/,
  })
  assert.equal((await repositories.resolve(me, folder)).kind, 'address')
})
