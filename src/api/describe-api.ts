/** The OpenAPI document of a server that has all routes and nothing behind them. */
import { createLog } from '#telemetry'
import { buildApp } from './server.ts'
import type { ApiTools } from './tools.ts'

export async function describeApi(): Promise<unknown> {
  const log = createLog({ FLOWFORGE_LOG_LEVEL: 'silent' }, 'describe')
  // No route is called here, so nothing that is missing is asked for.
  const tools = {
    log,
    host: '127.0.0.1',
    config: { FLOWFORGE_HOST_NAMES: [] },
    listener: { listen: async () => () => undefined },
  } as unknown as ApiTools
  const app = await buildApp(tools)
  try {
    return app.swagger()
  } finally {
    await app.close()
  }
}
