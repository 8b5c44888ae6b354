/** Real servers: git http-backend behind HTTPS with a certificate of our own, and sshd where there is one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secret } from '#lib/secret.ts'
import {
  AUTHOR,
  createOrigin,
  createTestMirrors,
  execute,
  NEVER,
  scratchFolder,
  sh,
  type Origin,
} from '#test/git.ts'
import type { HostGuard } from '#lib/networks.ts'
import type { GitRepository, Mirror } from './outcomes.ts'

const TOKEN = 'ghp_Secret+Token/with=signs'
/** The name resolves nowhere: only the pinned address can have been used. */
const HOST = 'git.flowforge.test'
const pinned: HostGuard = async (host) =>
  host === HOST ? { kind: 'addresses', addresses: ['127.0.0.1'] } : { kind: 'unknown', temporary: false }

async function roundTrip(origin: Origin, mirror: Mirror): Promise<void> {
  const base = await origin.tip()
  const fetched = await mirror.fetch(NEVER)
  assert.deepEqual(fetched, { kind: 'fetched', branches: new Map([['main', base]]), defaultBranch: 'main' })
  assert.deepEqual(await mirror.fetchBranch('main', NEVER), { kind: 'fetched', commit: base })
  assert.deepEqual(await mirror.fetchBranch('none', NEVER), { kind: 'missing' })
  const tree = await sh(mirror.path, ['rev-parse', `${base}^{tree}`])
  const commit = await mirror.commitMerge({
    tree,
    parents: [base],
    message: 'x',
    author: AUTHOR,
    date: new Date(1e12),
  })
  assert.deepEqual(await mirror.push({ commit, branch: 'main', expectedOld: base }, NEVER), {
    kind: 'pushed',
  })
  assert.deepEqual(await mirror.remoteContains('main', commit, NEVER), { kind: 'contained' })
  assert.deepEqual(await mirror.push({ commit: base, branch: 'x', expectedOld: null }, NEVER), {
    kind: 'pushed',
  })
  const late = await mirror.push({ commit, branch: 'x', expectedOld: null }, NEVER)
  assert.deepEqual(late, { kind: 'target-moved', actual: base })
}

// --- HTTPS -------------------------------------------------------------------------------------------------------------

type Behaviour = (request: IncomingMessage, response: ServerResponse) => boolean

async function httpsServer(t: TestContext, root: string, before: Behaviour = () => false) {
  const folder = await scratchFolder(t)
  const [key, certificates] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const made = await execute('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      `/CN=${HOST}`,
      '-addext',
      `subjectAltName=DNS:${HOST}`,
      '-keyout',
      key,
      '-out',
      certificates,
    ],
  ])
  assert.equal(made.code, 0, made.stderr)
  const server = createServer(
    { key: await readFile(key), cert: await readFile(certificates) },
    (request, response) => {
      if (before(request, response)) return
      const wanted = `Basic ${Buffer.from(`user:${TOKEN}`).toString('base64')}`
      if (request.headers.authorization !== wanted)
        return void response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      backend(root, request, response)
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
  })
  return { address: `https://${HOST}:${(server.address() as AddressInfo).port}`, certificates }
}

/** CGI as git's own documentation has it. */
function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'https://x')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'user',
      REMOTE_ADDR: '127.0.0.1',
    },
  })
  request.pipe(child.stdin)
  child.stdin.on('error', () => undefined)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.on('close', () => {
    const output = Buffer.concat(chunks)
    const end = output.indexOf('\r\n\r\n')
    const headers = output
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(': '))
    const status = Number(headers.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? 200)
    for (const [name = '', value = ''] of headers) if (name !== 'Status') response.setHeader(name, value)
    response.writeHead(status).end(output.subarray(end + 4))
  })
}

async function startHttps(t: TestContext, before?: Behaviour, token = TOKEN) {
  const origin = await createOrigin(t)
  await sh(origin.path, ['config', 'http.receivepack', 'true'])
  const { address, certificates } = await httpsServer(t, join(origin.path, '..'), before)
  const made = await createTestMirrors(t, { checkHost: pinned, certificates })
  const credential = { kind: 'https_token', username: 'user', token: new Secret(token) } as const
  const open = (path: string, more: Partial<GitRepository> = { credential }) =>
    made.mirrors.open(made.repository(`${address}/${path}`, more))
  return { origin, address, open, ...made }
}

test('HTTPS with a token works, and the token is in no process list', async (t) => {
  const seen: string[] = []
  const { origin, open, home, operations } = await startHttps(t, () => {
    if (process.platform === 'linux') seen.push(...processList())
    return false
  })
  await roundTrip(origin, open('origin.git'))
  assert.ok(
    process.platform !== 'linux' || seen.some((line) => line.includes('remote-https')),
    'the list was read',
  )
  assertNoSecret(seen.join('\n'))
  assertNoSecret(JSON.stringify(operations))
  assert.deepEqual(await readdir(join(home, 'purses')), [])
})

test('a wrong token, no token, another repository and a redirection are told apart, without the secret', async (t) => {
  const { open, home, address } = await startHttps(
    t,
    (request, response) => {
      if (request.url?.startsWith('/moved'))
        response.writeHead(301, { location: `${address}/origin.git/info/refs?service=git-upload-pack` }).end()
      else if (request.url?.startsWith('/broken')) response.writeHead(503).end('x')
      else if (request.url?.startsWith('/echo'))
        response
          .writeHead(403, { 'content-type': 'text/plain' })
          .end(`no: ${request.headers.authorization} ${TOKEN}-wrong`)
      else if (request.url?.startsWith('/silent')) request.socket.destroy()
      else return false
      return true
    },
    `${TOKEN}-wrong`,
  )
  const cases = [
    ['origin.git', /credentials \(401\)/, false],
    ['echo.git', /\(403\)/, false],
    ['moved.git', /another address/, false],
    ['broken.git', /fault or too much/, true],
    ['silent.git', /connection broke|does not answer/, true],
  ] as const
  for (const [path, problem, temporary] of cases) {
    const outcome = await open(path).fetch(NEVER)
    assert.ok(outcome.kind === 'unreachable', path)
    assert.match(outcome.problem, problem)
    assert.equal(outcome.temporary, temporary, path)
    assertNoSecret(outcome.problem)
  }
  const none = await open('origin.git', {}).fetchBranch('main', NEVER)
  assert.ok(none.kind === 'unreachable' && !none.temporary && /401/.test(none.problem), JSON.stringify(none))
  assert.deepEqual(await readdir(join(home, 'purses')), [])
})

test('a certificate that is not trusted and a private address are refused before anything is sent', async (t) => {
  let requests = 0
  const origin = await createOrigin(t)
  const { address } = await httpsServer(t, join(origin.path, '..'), () => {
    requests++
    return false
  })
  const untrusting = await createTestMirrors(t, { checkHost: pinned })
  const outcome = await untrusting.mirrors.open(untrusting.repository(`${address}/origin.git`)).fetch(NEVER)
  assert.ok(outcome.kind === 'unreachable' && /not trusted/.test(outcome.problem), JSON.stringify(outcome))
  const guarded = await createTestMirrors(t, { allowedNetworks: [] })
  for (const host of ['127.0.0.1', 'localhost', '[::1]', '169.254.169.254']) {
    const refused = await guarded.mirrors
      .open(guarded.repository(`https://${host}:${new URL(address).port}/x`))
      .fetch(NEVER)
    assert.ok(
      refused.kind === 'unreachable' && /private address/.test(refused.problem),
      JSON.stringify(refused),
    )
    assert.equal(refused.temporary, false)
  }
  assert.equal(requests, 0)
})

function assertNoSecret(text: string): void {
  for (const form of [
    TOKEN,
    encodeURIComponent(TOKEN),
    Buffer.from(`user:${TOKEN}`).toString('base64').slice(0, 20),
  ])
    assert.ok(!text.includes(form), `the secret is in: ${text.slice(0, 500)}`)
}

/** Arguments and environments of every process on this machine but ourselves. */
function processList(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`])
    .map((file) => {
      try {
        return readFileSync(file, 'utf8')
      } catch {
        return ''
      }
    })
}

// --- SSH ---------------------------------------------------------------------------------------------------------------

const SSHD = '/usr/sbin/sshd'

async function startSsh(t: TestContext) {
  const origin = await createOrigin(t)
  const folder = await scratchFolder(t)
  for (const name of ['host', 'other_host', 'user', 'stranger'])
    assert.equal(
      (await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)])).code,
      0,
    )
  await writeFile(join(folder, 'authorized'), await readFile(join(folder, 'user.pub')))
  await mkdir('/run/sshd', { recursive: true })
  const port = await freePort()
  const serve = async (hostKey: string) => {
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(folder, hostKey)}`,
      `AuthorizedKeysFile ${join(folder, 'authorized')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      `PidFile ${join(folder, 'pid')}`,
    ]
    await writeFile(join(folder, 'sshd_config'), `${config.join('\n')}\n`)
    const child = spawn(SSHD, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' })
    const stop = async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill()
        await once(child, 'exit')
      }
    }
    t.after(stop)
    await untilOpen(port)
    return stop
  }
  const made = await createTestMirrors(t, { checkHost: pinned })
  const open = async (key: string) =>
    made.mirrors.open(
      made.repository(`ssh://root@${HOST}:${port}${origin.path}`, {
        credential: { kind: 'ssh_key', key: new Secret(await readFile(join(folder, key), 'utf8')) },
      }),
    )
  return { origin, serve, open, folder, ...made }
}

test('SSH works with a key; another key and another host key are refused', async (t) => {
  if (!existsSync(SSHD)) return t.skip('there is no sshd on this machine')
  if (process.getuid?.() !== 0) return t.skip('sshd needs root here')
  const { origin, serve, open, folder, home, operations } = await startSsh(t)
  const stop = await serve('host')
  await roundTrip(origin, await open('user'))
  const stranger = await (await open('stranger')).fetch(NEVER)
  assert.ok(
    stranger.kind === 'unreachable' &&
      !stranger.temporary &&
      /SSH key is not accepted/.test(stranger.problem),
    JSON.stringify(stranger),
  )
  const garbage = await (await open('host.pub')).fetch(NEVER)
  assert.ok(garbage.kind === 'unreachable' && !garbage.temporary, JSON.stringify(garbage))
  await stop()
  const away = await (await open('user')).fetch(NEVER)
  assert.ok(away.kind === 'unreachable' && away.temporary, JSON.stringify(away))
  await serve('other_host')
  const changed = await (await open('user')).fetch(NEVER)
  assert.ok(
    changed.kind === 'unreachable' && !changed.temporary && /host key/.test(changed.problem),
    JSON.stringify(changed),
  )
  const line = (await readFile(join(folder, 'user'), 'utf8')).split('\n')[2]!
  assert.ok(!JSON.stringify(operations).includes(line))
  assert.deepEqual(await readdir(join(home, 'purses')), [])
})

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function untilOpen(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await sleep(50)
  }
  throw new Error('sshd did not start')
}
