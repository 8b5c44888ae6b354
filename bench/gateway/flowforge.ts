/** FlowForge's gateway as `flowforge up` runs it, with its log in a file. Told where the database is over IPC. */
import { createListener, openDatabases, type RoleUrls } from '#db'
import { startGateway } from '#gateway'
import { Secret } from '#lib/secret.ts'
import { createLog } from '#telemetry'
import { createAuthenticator } from '#tenants'

process.on('disconnect', () => process.exit(0))
process.once(
  'message',
  ({ urls, upstreamUrl, logFile }: { urls: RoleUrls; upstreamUrl: string; logFile: string }) => {
    void (async () => {
      const log = createLog({ FLOWFORGE_LOG_LEVEL: 'info' }, 'gateway', logFile)
      const databases = openDatabases(urls, { log, name: 'gateway' })
      const listener = await createListener(urls.system, log)
      const gateway = await startGateway({
        ...{
          databases,
          listener,
          log,
          spoolFolder: `${logFile}.spool`,
          authenticator: await createAuthenticator(databases, listener),
        },
        config: {
          ...{ FLOWFORGE_HOST: '127.0.0.1', FLOWFORGE_GATEWAY_PORT: 0, FLOWFORGE_UPSTREAM_URL: upstreamUrl },
          ANTHROPIC_API_KEY: new Secret('sk-ant-bench'),
        },
      })
      process.send?.({ port: new URL(gateway.url).port })
    })()
  },
)
