import assert from 'node:assert/strict'
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import pg from 'pg'
import { quietLog, testMasterKey } from '#test/database.ts'
import { createListener } from './listener.ts'
import { openDatabases } from './open.ts'
import { isPostmaster } from './postmaster.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded.ts'
import { setUpDatabase } from './set-up.ts'

async function freshHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'ff-home-'))
  await chmod(home, 0o755)
  t.after(() => rm(home, { recursive: true, force: true }))
  return home
}

function start(home: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ home, log: quietLog })
}

type Started = { readonly pid: number; readonly adopted: boolean }

async function startInChild(home: string): Promise<{ child: ChildProcess; started: Started }> {
  const child = fork(new URL('../../test/support/embedded-parent.ts', import.meta.url), [home])
  const [started] = (await once(child, 'message')) as [Started]
  return { child, started }
}

async function killNow(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function run(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

test('the server survives kill -9 of its parent, and the next start adopts it', async (t) => {
  const home = await freshHome(t)
  const { child, started } = await startInChild(home)
  assert.equal(started.adopted, false)
  await killNow(child)
  const next = await start(home)
  try {
    assert.equal(next.pid, started.pid)
    assert.equal(next.adopted, true)
    const urls = await setUpDatabase(next.adminUrl, testMasterKey, quietLog)
    assert.deepEqual(await run(urls.app, 'select current_user::text as who'), [{ who: 'flowforge_app' }])
    // A role that somebody gave more than it should have is not used.
    await run(next.adminUrl, 'alter role flowforge_auth bypassrls')
    await assert.rejects(setUpDatabase(next.adminUrl, testMasterKey, quietLog), {
      code: 'database_set_up',
      message: /alter role flowforge_auth nosuperuser nobypassrls/,
    })
  } finally {
    await next.stop()
  }
  await next.exited
  assert.equal(await isPostmaster(started.pid, join(home, 'postgres', 'data')), false)
})

test('several starts at once on an empty home end with one server', async (t) => {
  const home = await freshHome(t)
  const all = await Promise.all([startInChild(home), startInChild(home), start(home)])
  const pids = new Set(all.map((one) => ('started' in one ? one.started.pid : one.pid)))
  for (const one of all) if ('child' in one) await killNow(one.child)
  await (await start(home)).stop()
  assert.equal(pids.size, 1)
})

test('after kill -9 of the server itself nothing committed is lost, and pool and listener come back', async (t) => {
  const home = await freshHome(t)
  const first = await start(home)
  const urls = await setUpDatabase(first.adminUrl, testMasterKey, quietLog)
  await using databases = openDatabases(urls, { log: quietLog })
  await using listener = await createListener(urls.system, quietLog)
  const heard: (string | undefined)[] = []
  await listener.listen('flowforge_keys', (id) => heard.push(id))
  await databases.system
    .insertInto('organizations')
    .values({ id: '00000000-0000-7000-8000-000000000001', slug: 'kept', name: 'Kept' })
    .execute()

  process.kill(first.pid, 'SIGKILL')
  await first.exited
  const second = await start(home)
  t.after(() => second.stop())
  assert.notEqual(second.pid, first.pid)
  assert.equal(second.adopted, false)
  // The pool's first query may meet a connection that just broke; the next gets a fresh one.
  await databases.system
    .selectFrom('organizations')
    .select('slug')
    .execute()
    .catch(() => undefined)
  const rows = await databases.system.selectFrom('organizations').select('slug').execute()
  assert.deepEqual(rows, [{ slug: 'kept' }])

  const deadline = Date.now() + 20_000
  while (!heard.includes('after') && Date.now() < deadline) {
    await run(urls.system, `select pg_notify('flowforge_keys', 'after')`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.deepEqual([heard[0], heard.includes('after')], [undefined, true])
})

test('a stale postmaster.pid whose number belongs to another program does not stop the start', async (t) => {
  const home = await freshHome(t)
  const first = await start(home)
  const file = join(home, 'postgres', 'data', 'postmaster.pid')
  const text = await readFile(file, 'utf8')
  await first.stop()
  const { uid, gid } = await stat(join(home, 'postgres', 'data'))
  const other = spawn('sleep', ['60'], { uid, gid })
  t.after(() => other.kill())
  await writeFile(file, text.replace(/^\d+/, String(other.pid)))
  await chmod(file, 0o666)
  const second = await start(home)
  t.after(() => second.stop())
  assert.equal(second.adopted, false)
})

test('nothing listens on the network, fsync is on, and nobody else can read the data or reach the socket', async (t) => {
  const home = await freshHome(t)
  const server = await start(home)
  t.after(() => server.stop())
  const [row] = await run(
    server.adminUrl.replace('/flowforge?', '/postgres?'),
    `select current_setting('listen_addresses') as listen, current_setting('fsync') as fsync,
       current_setting('full_page_writes') as pages, current_setting('max_connections') as connections`,
  )
  assert.deepEqual(row, { listen: '', fsync: 'on', pages: 'on', connections: '200' })
  for (const folder of ['data', 'run']) {
    assert.equal((await stat(join(home, 'postgres', folder))).mode & 0o777, 0o700, folder)
  }
  assert.equal((await stat(join(home, 'postgres', 'admin'))).mode & 0o777, 0o600)
  const url = server.adminUrl.replace(/:[^:@]*@/, ':wrong@').replace('/flowforge?', '/postgres?')
  await assert.rejects(run(url, 'select 1'), { code: '28P01' })
})

test('a home with a long path has its socket elsewhere', async (t) => {
  const home = join(await freshHome(t), 'a-rather-long-name'.repeat(5))
  const server = await start(home)
  t.after(() => server.stop())
  assert.match(server.adminUrl, /host=%2Ftmp%2Fflowforge-[0-9a-f]{16}$/)
})

test('as root, a home that the user of PostgreSQL cannot enter is a refusal that says where to go', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root runs PostgreSQL as another user')
  const home = await freshHome(t)
  await chmod(home, 0o700)
  await assert.rejects(start(join(home, 'inner')), {
    code: 'home_unusable',
    message: /\/var\/lib\/flowforge/,
  })
})
