/**
 * The border seen by its effects, whatever draws it: what lies outside cannot be read, changed or connected to, neither
 * directly nor by a link, and neighbours do not see each other.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { shell, tryShell, type Bench } from './bench.ts'

const SECRET = 'canary-outside'

export async function bordersHold(t: TestContext, bench: Bench): Promise<void> {
  const { guarantees } = bench.sandboxes
  const filesystem = bench.needs(guarantees.isolatedFilesystem, 'the host is visible')
  const network = bench.needs(guarantees.noNetworkDevice, 'the host is reachable')
  const outside = join(bench.home, 'outside')
  mkdirSync(outside, { recursive: true })
  const canary = join(outside, 'canary')
  writeFileSync(canary, SECRET)
  await using sandbox = await bench.open()
  await using neighbour = await bench.open(
    {},
    { model: (_request, response) => void response.end('neighbour') },
  )
  const theirs = join(bench.home, 'sandboxes', neighbour.id)
  await shell(neighbour, `echo ${SECRET} > /workspace/own; echo ${SECRET} > /state/own`)

  await t.test('a file outside is not read, by its name or by a link', filesystem, async () => {
    await shell(sandbox, `ln -sf ${outside} /workspace/link; ln -sf ${canary} /workspace/file-link`)
    const paths = [
      canary,
      '/workspace/link/canary',
      '/workspace/file-link',
      `/workspace/../../../../..${canary}`,
    ]
    const read = paths.map((path) => `cat ${path}; head -c 100 < ${path}; cp ${path} got; cat got`)
    assert.equal((await tryShell(sandbox, read.join('; '))).stdout.toString(), '')
    await tryShell(sandbox, `ln ${canary} /workspace/hard; mv ${outside} /workspace/moved`)
    assert.equal(
      (await tryShell(sandbox, 'cat /workspace/hard /workspace/moved/canary')).stdout.toString(),
      '',
    )
    assert.equal(readFileSync(canary, 'utf8'), SECRET)
  })

  await t.test('homes, keys and the files of neighbours are not read', filesystem, async () => {
    const script = `cat ${theirs}/disk/workspace/own ${theirs}/disk/state/own ${theirs}/commands/* ${theirs}/owner.json`
    assert.equal((await tryShell(sandbox, script)).stdout.toString(), '')
    const places = `${homedir()}/.ssh ${homedir()}/Library /root /etc/shadow /private/var/db/dslocal`
    const listed = await tryShell(sandbox, `find ${places} -mindepth 1; cat /etc/shadow`)
    assert.equal(listed.stdout.toString(), '')
  })

  await t.test('nothing outside is written, and nothing of its own frame', filesystem, async () => {
    const own = join(bench.home, 'sandboxes', sandbox.id)
    const places = [
      outside,
      theirs,
      `${theirs}/disk/workspace`,
      `${theirs}/in`,
      own,
      `${own}/commands`,
      `${own}/in`,
    ]
    places.push(homedir(), '/etc', '/usr/bin', '/var/tmp')
    await tryShell(
      sandbox,
      places.map((path) => `touch ${path}/ff-written; mkdir ${path}/ff-made`).join('; '),
    )
    for (const path of places)
      assert.ok(!existsSync(join(path, 'ff-written')) && !existsSync(join(path, 'ff-made')), path)
    await tryShell(
      sandbox,
      `echo changed > ${canary}; rm -rf ${outside}; echo x > /workspace/file-link; chmod 777 ${outside}`,
    )
    assert.equal(readFileSync(canary, 'utf8'), SECRET)
  })

  await t.test('neither ports of the host nor the gates of a neighbour are reached', network, async () => {
    let reached = 0
    const server = createServer((socket) => {
      reached++
      socket.end('reached')
    })
    const path = join(outside, 's')
    const onPath = createServer((socket) => {
      reached++
      socket.end('reached')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await new Promise<void>((resolve) => onPath.listen(path, resolve))
    const { port } = server.address() as AddressInfo
    const script = `
      const { connect } = require('net')
      const ask = (where) => new Promise((done) => {
        let heard = ''
        const s = connect(where, () => s.write('GET / HTTP/1.0\\r\\n\\r\\n'))
        s.on('data', (c) => (heard += c)).on('error', (e) => done(e.code)).on('close', () => done('heard ' + heard))
      })
      Promise.all(${JSON.stringify([{ port, host: '127.0.0.1' }, { path }, { path: bench.socketsOf(neighbour.id) }])}.map(ask)).then((all) => console.log(all.join('\\n')))`
    const result = await sandbox.run({ argv: ['/opt/ff/node', '-e', script] })
    server.close()
    onPath.close()
    assert.match(result.stdout.toString(), /^(E[A-Z]+\n){3}$/, result.stderr.toString())
    assert.equal(reached, 0)
  })
}
