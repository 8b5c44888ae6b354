/**
 * FlowForge's own PostgreSQL, under FLOWFORGE_HOME/postgres.
 *
 *   program-VERSION/   the programs, 0755         run/     the unix socket; nothing listens on the network
 *   data/              the cluster, 0700          admin    the password of set-up, 0600
 *
 * The server outlives a killed parent, and the next start adopts it. Nothing here takes a lock: the data directory
 * appears by one rename, and PostgreSQL's own postmaster.pid lets one server in. Who comes second adopts it.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { sleep } from '#lib/clock.ts'
import { refuse } from '#lib/errors.ts'
import type { Log } from '#telemetry'
import { installPostgres } from './postgres-program.ts'
import { findPostmaster, isPostmaster, retirePidFile } from './postmaster.ts'
import { postgresUser, type SystemUser } from './postgres-user.ts'

const run = promisify(execFile)
const START_MS = 60_000
const STOP_MS = 30_000
const LOG_BYTES = 16 * 1024 * 1024
/** sockaddr_un takes 104 to 108 bytes, and PostgreSQL adds /.s.PGSQL.5432. */
const SOCKET_FOLDER_BYTES = 85
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

export type EmbeddedPostgres = {
  /** For set-up only: the one place where the superuser is used. */
  readonly adminUrl: string
  readonly pid: number
  /** It was running already. */
  readonly adopted: boolean
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<void>
  /** Ends sessions, writes a checkpoint, waits for the end. */
  stop(): Promise<void>
}

export type EmbeddedPostgresOptions = {
  readonly home: string
  readonly log: Log
  readonly signal?: AbortSignal
  /** Settings on top, by name. Tests switch fsync off; nobody else does. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = join(options.home, 'postgres')
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const user = await postgresUser(join(folder, 'data'))
  const place: Place = {
    folder,
    data: join(folder, 'data'),
    sockets: await makeSocketFolder(folder, user),
    program: await installPostgres(folder),
    password: await readOrMakePassword(join(folder, 'admin')),
    user,
  }
  await checkReach(place, options.home)
  await makeCluster(place)
  return startOrAdopt(place, options)
}

type Place = {
  readonly folder: string
  readonly data: string
  readonly sockets: string
  readonly program: string
  readonly password: string
  readonly user: SystemUser | undefined
}

async function startOrAdopt(place: Place, options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const deadline = Date.now() + START_MS
  let started: number | undefined
  let problem = 'it did not answer in time'
  while (Date.now() < deadline && !options.signal?.aborted) {
    const pid = await findPostmaster(place.data)
    if (pid === undefined) {
      await retirePidFile(place.data)
      const server = await launch(place, options.settings ?? {})
      started = server.pid
      const ended = await waitUntilReady(server, place, deadline, options.signal)
      if (ended !== undefined) {
        problem = ended
        if (!/lock file|shared memory block|is being used|starting up|shutting down/.test(ended)) break
        await sleep(200, options.signal)
        continue
      }
    } else if (!(await answers(adminUrl(place)))) {
      await sleep(50, options.signal)
      continue
    }
    const running = await findPostmaster(place.data)
    if (running === undefined) continue
    const adopted = running !== started
    options.log.info({ pid: running, adopted }, 'postgres.ready')
    return serverFrom(running, adopted, place, options.log)
  }
  options.signal?.throwIfAborted()
  throw refuse('database_unavailable', {
    problem: `PostgreSQL did not start (${problem}). Its log: ${join(place.folder, 'server.log')}`,
  })
}

function serverFrom(pid: number, adopted: boolean, place: Place, log: Log): EmbeddedPostgres {
  const ended = new AbortController()
  const exited = waitForEnd(pid, place.data).then(() => ended.abort())
  return {
    adminUrl: adminUrl(place),
    pid,
    adopted,
    exited,
    async stop() {
      // SIGINT is the "fast" shutdown, SIGQUIT the immediate one: no data is lost, but the next start replays the log.
      for (const name of ['SIGINT', 'SIGQUIT'] as const) {
        if (ended.signal.aborted || !(await isPostmaster(pid, place.data))) break
        process.kill(pid, name)
        await Promise.race([exited, sleep(STOP_MS, ended.signal)])
      }
      if (place.sockets === shortSocketFolder(place.folder))
        await rm(place.sockets, { recursive: true, force: true })
      log.info({ pid }, 'postgres.stopped')
    },
  }
}

/** The server may not be our child (adopted), so its end is seen by looking. Twice a second costs nothing measurable. */
async function waitForEnd(pid: number, data: string): Promise<void> {
  while (await isPostmaster(pid, data)) {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 500).unref()
    })
  }
}

type Launched = { readonly pid: number | undefined; readonly ended: Promise<string> }

async function launch(place: Place, settings: Readonly<Record<string, string>>): Promise<Launched> {
  const file = join(place.folder, 'server.log')
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_BYTES) await rename(file, `${file}.1`)
  // A file and not a pipe: a pipe would break when this process is killed, and the server with it.
  const log = await open(file, 'a', 0o600)
  const from = (await log.stat()).size
  const all = {
    listen_addresses: '',
    unix_socket_directories: place.sockets,
    unix_socket_permissions: '0700',
    max_connections: '200',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // The cluster is one of many processes on a small machine; checkpoints every 5 minutes at most 1 GB apart.
    shared_buffers: '128MB',
    ...settings,
  }
  const child = spawn(
    join(place.program, 'bin', 'postgres'),
    ['-D', place.data, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // Its own session: Ctrl-C in the terminal must not end it before those who write to it.
    { ...place.user, cwd: '/', env: ENVIRONMENT, detached: true, stdio: ['ignore', log.fd, log.fd] },
  )
  child.unref()
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(String(error)))
    child.once('exit', () => void tail(file, from).then(resolve, () => resolve('it ended')))
  })
  await log.close()
  return { pid: child.pid, ended }
}

/** Answers undefined when the server takes connections, otherwise what it said before it ended. */
async function waitUntilReady(
  server: Launched,
  place: Place,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let words: string | undefined
  void server.ended.then((said) => (words = said))
  while (Date.now() < deadline && !signal?.aborted) {
    if (words !== undefined) return words
    const pidFile = await readFile(join(place.data, 'postmaster.pid'), 'utf8').catch(() => '')
    if (/^ready/m.test(pidFile) && (await answers(adminUrl(place)))) return undefined
    await sleep(20, signal)
  }
  return words ?? 'it did not answer in time'
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) return false
    // Before set-up there is no such database yet: that is an answer too.
    if (error.code === '3D000') return true
    if (error.code === '28P01') {
      throw refuse('database_unavailable', {
        problem: 'The password in FLOWFORGE_HOME/postgres/admin is not the one of the data beside it.',
      })
    }
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** A home below /root or another private folder: PostgreSQL's user cannot go there. */
async function checkReach(place: Place, home: string): Promise<void> {
  const initdb = join(place.program, 'bin', 'initdb')
  await run(initdb, ['--version'], { ...place.user, cwd: '/', env: ENVIRONMENT }).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) throw error
    throw refuse('home_unusable', {
      home,
      problem: `the user ${place.user?.uid ?? ''} that PostgreSQL runs as cannot enter it. Set FLOWFORGE_HOME to a folder that others may enter, such as /var/lib/flowforge.`,
    })
  })
}

/** initdb into a draft, then one rename: a start that was killed half-way leaves no half cluster. */
async function makeCluster(place: Place): Promise<void> {
  const version = await readFile(join(place.data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version !== undefined) {
    const { stdout } = await run(join(place.program, 'bin', 'postgres'), ['--version'], { env: ENVIRONMENT })
    const major = /\) (\d+)/.exec(stdout)?.[1]
    if (version.trim() === major) return
    throw refuse('database_unavailable', {
      problem: `The data in ${place.data} is of PostgreSQL ${version.trim()}; this FlowForge brings ${major}. Move it with pg_upgrade or from a backup.`,
    })
  }
  await sweepDrafts(place.folder)
  const name = randomBytes(6).toString('hex')
  const draft = join(place.folder, `draft-${name}`)
  const passwordFile = join(place.folder, `draft-password-${name}`)
  try {
    await mkdir(draft, { mode: 0o700 })
    await writeFile(passwordFile, place.password, { mode: 0o600 })
    if (place.user)
      for (const path of [draft, passwordFile]) await chown(path, place.user.uid, place.user.gid)
    await run(
      join(place.program, 'bin', 'initdb'),
      [
        ...['-D', draft, '-U', ADMIN, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'],
        ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
      ],
      { ...place.user, cwd: '/', env: ENVIRONMENT },
    )
    await rename(draft, place.data).catch((error: unknown) => {
      if (
        !(error instanceof Error && 'code' in error && ['ENOTEMPTY', 'EEXIST'].includes(String(error.code)))
      )
        throw error
    })
  } finally {
    await rm(passwordFile, { force: true })
    await rm(draft, { recursive: true, force: true })
  }
}

/** What a killed first start left. Ten minutes old: nobody works in it any more. */
async function sweepDrafts(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith('draft-')) continue
    const { mtimeMs } = await stat(join(folder, entry)).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > 600_000) await rm(join(folder, entry), { recursive: true, force: true })
  }
}

const ADMIN = 'flowforge_admin'

function adminUrl(place: Place): string {
  return `postgres://${ADMIN}:${place.password}@localhost/flowforge?host=${encodeURIComponent(place.sockets)}`
}

async function makeSocketFolder(folder: string, user: SystemUser | undefined): Promise<string> {
  const own = join(folder, 'run')
  const sockets = Buffer.byteLength(own) <= SOCKET_FOLDER_BYTES ? own : shortSocketFolder(folder)
  await mkdir(sockets, { recursive: true, mode: 0o700 })
  const found = await lstat(sockets)
  const allowed = [process.getuid?.(), user?.uid]
  if (!found.isDirectory() || !allowed.includes(found.uid)) {
    throw refuse('home_unusable', { home: folder, problem: `${sockets} belongs to somebody else.` })
  }
  await chmod(sockets, 0o700)
  if (user) await chown(sockets, user.uid, user.gid)
  return sockets
}

function shortSocketFolder(folder: string): string {
  return `/tmp/flowforge-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
}

/** `link` lets one of several first starts win; all read the winner's. */
async function readOrMakePassword(file: string): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(draft, randomBytes(32).toString('base64url'), { mode: 0o600, flush: true })
  await link(draft, file).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  })
  await rm(draft)
  return readFile(file, 'utf8')
}

async function tail(file: string, from: number): Promise<string> {
  const text = (await readFile(file)).subarray(from).toString('utf8').trim()
  return text.slice(-600)
}
