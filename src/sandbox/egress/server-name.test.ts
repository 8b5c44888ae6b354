import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { readServerName } from './server-name.ts'

/** The first bytes that a real TLS client sends. */
async function helloOf(servername: string): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  server.close()
  return hello
}

test('reads the name of a real client, and knows when bytes are missing', async () => {
  const hello = await helloOf('Registry.Test')
  assert.deepEqual(readServerName(hello), { kind: 'name', name: 'registry.test', encrypted: false })
  for (let length = 0; length < hello.length; length++)
    assert.equal(readServerName(hello.subarray(0, length)).kind, 'incomplete', String(length))
})

test('no name, or no handshake, is none', async () => {
  assert.equal(readServerName(await helloOf('')).kind, 'none')
  for (const bytes of ['SSH-2.0-x\r\n', 'GET / HTTP/1.1\r\n', '\x16\x02\x01\x00\x05hello'])
    assert.equal(readServerName(Buffer.from(bytes, 'latin1')).kind, 'none', bytes)
})

test('lengths that lie end as none and never as an error', async () => {
  const hello = await helloOf('registry.test')
  for (let index = 5; index < hello.length; index++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const forged = Buffer.from(hello)
      forged[index] = value
      assert.ok(['none', 'name'].includes(readServerName(forged).kind))
    }
  }
})

test('an encrypted ClientHello is flagged', async () => {
  const hello = await helloOf('registry.test')
  const extra = Buffer.from([0xfe, 0x0d, 0x00, 0x01, 0x00])
  const grown = Buffer.concat([hello, extra])
  grown.writeUInt16BE(grown.readUInt16BE(3) + extra.length, 3)
  grown.writeUIntBE(grown.readUIntBE(6, 3) + extra.length, 6, 3)
  let at = 5 + 4 + 2 + 32
  at += 1 + grown.readUInt8(at)
  at += 2 + grown.readUInt16BE(at)
  at += 1 + grown.readUInt8(at)
  grown.writeUInt16BE(grown.readUInt16BE(at) + extra.length, at)
  assert.deepEqual(readServerName(grown), { kind: 'name', name: 'registry.test', encrypted: true })
})
