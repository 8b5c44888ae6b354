import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createGateServer, openGates } from './gates.ts'

test('a sandbox that opens connection after connection does not use up the descriptors of the worker', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ff-gates-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const server = createGateServer((_request, response) => void response.end('here'))
  const gates = await openGates(join(directory, 's'), { 'model.sock': server }, undefined)
  t.after(() => gates.close())
  const socketPath = join(directory, 's', 'model.sock')
  const sockets: Socket[] = []
  for (let count = 0; count < 400; count++) {
    const socket = connect(socketPath).on('error', () => undefined)
    await once(socket, 'connect')
    sockets.push(socket)
  }
  await new Promise((resolve) => setTimeout(resolve, 100))
  const open = await new Promise<number>((resolve) =>
    server.getConnections((_error, count) => resolve(count)),
  )
  assert.equal(open, 256)

  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const asked = request({ socketPath, path: '/' }).end()
  const [answer] = (await once(asked, 'response')) as [NodeJS.ReadableStream]
  answer.resume()
})
