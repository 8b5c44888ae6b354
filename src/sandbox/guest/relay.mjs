// Runs inside the sandbox, beside the command: carries connections to the egress gate. Plain JavaScript without
// dependencies, because it is copied to /opt/ff as it is. It knows no secret and decides nothing. Where listen.pl has
// opened the ports, their descriptors come as arguments: proxy=3 http=4 …
//
//   127.0.0.1:3128   the gate as an HTTP proxy, for tools that know proxies
//   127.0.0.1:53     answers every name with an address of its own in 127.64.0.0/16 (all of 127/8 is local), and
//   *:80, *:443      carry connections to such an address on to the name. For tools that know no proxy; needs ports
//                    below 1024, so it is only there where the launcher could open them.
import { createSocket } from 'node:dgram'
import { createServer, connect } from 'node:net'

const GATE = '/run/ff/egress.sock'
const PROXY_PORT = 3128
const MOST_NAMES = 65_000
const TYPE_A = 1

const names = new Map()
const addresses = new Map()

function addressOf(name) {
  const known = addresses.get(name)
  if (known !== undefined || addresses.size >= MOST_NAMES) return known
  const number = addresses.size + 1
  const address = `127.64.${number >> 8}.${number & 255}`
  addresses.set(name, address)
  names.set(address, name)
  return address
}

function join(client, gate) {
  client.pipe(gate).pipe(client)
}

function toGate(client) {
  const gate = connect({ path: GATE, allowHalfOpen: true })
  client.on('error', () => gate.destroy())
  client.on('close', () => gate.destroy())
  gate.on('error', () => client.destroy())
  return gate
}

function carryTls(client) {
  const name = names.get((client.localAddress ?? '').replace('::ffff:', ''))
  if (name === undefined) return client.resetAndDestroy()
  const gate = toGate(client)
  let head = Buffer.alloc(0)
  gate.write(`CONNECT ${name}:443 HTTP/1.1\r\nHost: ${name}:443\r\n\r\n`)
  const read = (chunk) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    gate.off('data', read)
    if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) return client.resetAndDestroy()
    if (head.length > end + 4) client.write(head.subarray(end + 4))
    join(client, gate)
  }
  gate.on('data', read)
}

// The question is answered with its own bytes, so nothing of it needs to be understood but the name and the type.
function answerName(question) {
  const labels = []
  let at = 12
  while (question[at]) {
    labels.push(question.toString('latin1', at + 1, at + 1 + question[at]))
    at += question[at] + 1
  }
  const end = at + 5
  if (end > question.length) return undefined
  const address =
    question.readUInt16BE(at + 1) === TYPE_A ? addressOf(labels.join('.').toLowerCase()) : undefined
  const head = Buffer.from(question.subarray(0, end))
  head.writeUInt16BE(0x8180, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(address === undefined ? 0 : 1, 6)
  head.writeUInt16BE(0, 8)
  head.writeUInt16BE(0, 10)
  if (address === undefined) return head
  return Buffer.concat([
    head,
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
  ])
}

const given = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split('=')))

function place(name, port, host) {
  return given[name] === undefined ? { port, host } : { fd: Number(given[name]) }
}

function serve(where, carry) {
  return new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true }, carry)
    server.on('error', resolve)
    server.listen(where, resolve)
  })
}

function serveNames(where) {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.on('error', resolve)
    socket.on('message', (question, { port, address }) => {
      const answer = answerName(question)
      if (answer !== undefined) socket.send(answer, port, address)
    })
    if (where.fd === undefined) socket.bind(where.port, where.host, resolve)
    else socket.bind(where, resolve)
  })
}

await Promise.all([
  serve(place('proxy', PROXY_PORT, '127.0.0.1'), (client) => join(client, toGate(client))),
  serve(place('tls', 443, '0.0.0.0'), carryTls),
  serve(place('http', 80, '0.0.0.0'), (client) => join(client, toGate(client))),
  serveNames(place('names', 53, '127.0.0.1')),
])
process.stdout.end('ready\n')
