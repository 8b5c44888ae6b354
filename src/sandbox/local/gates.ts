/** The sandbox's ways out: one directory of unix sockets, shown as /run/ff. It exists exactly as long as the sandbox. */
import { createServer, type Server } from 'node:http'
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'

export type OpenGates = { close(): void }

/**
 * Each connection costs the worker a descriptor, and what it carries on costs another: without a limit one sandbox could
 * use up what all jobs of the worker need. npm opens some 15 at once, Claude Code fewer.
 */
const MOST_CONNECTIONS = 256

/** `group` is the sandbox's host user when it has one of its own; nobody else may even see the sockets. */
export async function openGates(
  directory: string,
  servers: Readonly<Record<string, Server | undefined>>,
  group: number | undefined,
): Promise<OpenGates> {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { mode: 0o700 })
  const opened: Server[] = []
  // Also those that a CONNECT took away from their server.
  const connections = new Set<Socket>()
  const close = (): void => {
    for (const server of opened) server.close()
    for (const connection of connections) connection.destroy()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    for (const [name, server] of Object.entries(servers)) {
      if (server === undefined) continue
      const path = join(directory, name)
      server.maxConnections = MOST_CONNECTIONS
      server.on('connection', (connection: Socket) => {
        connections.add(connection)
        connection.on('close', () => connections.delete(connection))
      })
      await listen(server, path)
      opened.push(server)
      if (group !== undefined) chownSync(path, 0, group)
      chmodSync(path, 0o660)
    }
    // Opened to the sandbox only now, when every socket has its owner.
    if (group !== undefined) chownSync(directory, 0, group)
    if (group !== undefined) chmodSync(directory, 0o750)
  } catch (error) {
    close()
    throw error
  }
  return { close }
}

/** A model call may stream for as long as the job lasts, so no timeout of Node's own ends it. */
export function createGateServer(listener?: Parameters<typeof createServer>[1]): Server {
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, listener)
  server.timeout = 0
  return server
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
