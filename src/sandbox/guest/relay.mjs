// Runs inside the sandbox, beside the command: carries 127.0.0.1:3128 to the egress gate. Plain JavaScript without
// dependencies, because it is copied to /opt/ff as it is. It knows no secret and decides nothing.
import { createServer, connect } from 'node:net'

const GATE = '/run/ff/egress.sock'
const PROXY_PORT = 3128

function carry(client) {
  const gate = connect({ path: GATE, allowHalfOpen: true })
  client.pipe(gate).pipe(client)
  client.on('error', () => gate.destroy())
  gate.on('error', () => client.destroy())
}

createServer({ allowHalfOpen: true }, carry).listen(PROXY_PORT, '127.0.0.1', () =>
  process.stdout.end('ready\n'),
)
