/** A gateway in a process of its own, to be killed by tests. Told by its parent what to serve; answers with its address. */
import { createListener, openDatabases, type RoleUrls } from '#db'
import { startGateway } from '#gateway'
import { Secret } from '#lib/secret.ts'
import { createAuthenticator } from '#tenants'
import { quietLog } from './database.ts'

export type ReplicaStart = {
  readonly urls: RoleUrls
  readonly upstreamUrl: string
  readonly leaseMs: number
}

process.once('message', (start: ReplicaStart) => {
  void begin(start).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit(0))

async function begin({ urls, upstreamUrl, leaseMs }: ReplicaStart): Promise<void> {
  const databases = openDatabases(urls, { log: quietLog, name: 'replica', connections: 4 })
  const listener = await createListener(urls.system, quietLog)
  const gateway = await startGateway({
    ...{ databases, listener, log: quietLog, leaseMs },
    authenticator: await createAuthenticator(databases, listener),
    config: {
      FLOWFORGE_HOST: '127.0.0.1',
      FLOWFORGE_GATEWAY_PORT: 0,
      FLOWFORGE_UPSTREAM_URL: upstreamUrl,
      ANTHROPIC_API_KEY: new Secret('sk-ant-test'),
    },
  })
  process.send?.({ url: gateway.url })
}
