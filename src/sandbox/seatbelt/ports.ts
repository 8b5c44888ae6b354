/**
 * Gates for tools that know ports only: where there is no network namespace, the egress gate itself listens at 127.0.0.1,
 * on a port of its own for each sandbox. Seatbelt lets a guest connect to its own and to no other. Other programs of
 * this host can reach it, too; they get no further than the sandbox would.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export type OpenPort = { readonly port: number; close(): void }

export async function openPort(server: Server): Promise<OpenPort> {
  const connections = new Set<Socket>()
  server.on('connection', (connection: Socket) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close()
      for (const connection of connections) connection.destroy()
    },
  }
}

/** For commands without a network: the library wants a port, so it gets one where everybody is turned away. */
export function openClosedPort(): Promise<OpenPort> {
  return openPort(createServer((connection) => connection.destroy()))
}
