/**
 * The other way to the model's socket, for a Claude Code that does not speak to sockets itself (its variable for that is
 * not documented): a relay from the loopback address, started before it and ending with it. Costs about 40 ms.
 */
export const LOOPBACK_URL = 'http://127.0.0.1:7421'

/** Runs inside the sandbox, so it is plain JavaScript in a text. It passes signals on and ends as its child ends. */
const RELAY = `
const net = require('node:net')
const { spawn } = require('node:child_process')
const [socket, program, ...args] = process.argv.slice(1)
const server = net.createServer({ allowHalfOpen: true }, (near) => {
  const far = net.connect({ path: socket, allowHalfOpen: true })
  near.pipe(far).pipe(near)
  near.on('error', () => far.destroy()).on('close', () => far.destroy())
  far.on('error', () => near.destroy())
})
server.listen(7421, '127.0.0.1', () => {
  const child = spawn(program, args, { stdio: 'inherit' })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name))
  child.on('error', (error) => { console.error(String(error)); process.exit(127) })
  child.on('exit', (code, name) => process.exit(code ?? (name === 'SIGTERM' ? 143 : 137)))
})
`

export function throughLoopback(socket: string, argv: readonly string[]): readonly string[] {
  return ['/opt/ff/node', '-e', RELAY, '--', socket, ...argv]
}
