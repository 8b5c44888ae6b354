import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from '#config'
import { createAccounts, readPrices } from '#costs'
import type { Databases, Listener } from '#db'
import { systemClock, type Clock } from '#lib/clock.ts'
import { refuse } from '#lib/errors.ts'
import type { Authenticator } from '#tenants'
import type { Log } from '#telemetry'
import { apiError, sendError } from './errors.ts'
import { answer, type Tools } from './proxy.ts'
import { createMetrics } from './metrics.ts'
import { readTargets } from './targets.ts'
import { createUpstream } from './upstream.ts'

export type GatewayOptions = {
  readonly config: Pick<
    Config,
    'FLOWFORGE_HOST' | 'FLOWFORGE_GATEWAY_PORT' | 'FLOWFORGE_UPSTREAM_URL' | 'ANTHROPIC_API_KEY'
  > &
    Partial<Pick<Config, 'FLOWFORGE_PRICES' | 'FLOWFORGE_UPSTREAMS_FILE'>>
  readonly databases: Databases
  readonly listener: Pick<Listener, 'listen'>
  readonly authenticator: Authenticator
  readonly log: Log
  readonly clock?: Clock
  /** How long the headers of a request may take; 15 seconds by default. */
  readonly slowHeadersMs?: number
  /** How long reservations outlive a gateway that is not seen; 30 seconds by default. */
  readonly leaseMs?: number
  /** Where calls are kept on this machine while the database is away. */
  readonly spoolFolder?: string
  /** How long a call waits for an upstream that is overloaded; 4 minutes by default. */
  readonly absorbMs?: number
  /** How long a call waits for money that calls under way hold; 5 minutes by default. */
  readonly patienceMs?: number
}

export type Gateway = {
  readonly url: string
  /** Takes no more, lets what is under way end for a few seconds, and writes the ledger. */
  close(): Promise<void>
}

const DRAIN_MS = 5_000

/** Starts the gateway: the Messages API for jobs and keys of FlowForge, with the real key behind it. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, log, slowHeadersMs = 15_000, clock = systemClock } = options
  const upstream = createUpstream(readTargets(config), {
    clock,
    ...(options.absorbMs === undefined ? {} : { absorbMs: options.absorbMs }),
  })
  const prices = readPrices({ FLOWFORGE_PRICES: config.FLOWFORGE_PRICES })
  const accounts = await createAccounts({
    ...{ databases: options.databases, listener: options.listener, log, clock },
    ...(options.spoolFolder === undefined ? {} : { spoolFolder: options.spoolFolder }),
    ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
    ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
  })
  const tools: Tools = {
    ...{ authenticator: options.authenticator, upstream, accounts, prices, clock, log },
    bodies: { bytes: 0 },
    metrics: createMetrics({
      money: () => accounts.reservations.waiting,
      upstream: () => upstream.waiting,
    }),
  }
  const server = createServer(
    {
      // Slow headers and slow bodies hold a connection, not more; an answer may take as long as it takes.
      headersTimeout: slowHeadersMs,
      requestTimeout: 120_000,
      connectionsCheckingInterval: Math.ceil(slowHeadersMs / 3),
      // Longer than clients keep theirs, so that it is them who close.
      keepAliveTimeout: 75_000,
      maxHeaderSize: 64 * 1024,
      noDelay: true,
    },
    (request, response) => {
      answer(tools, request, response).catch((error: unknown) => {
        log.error({ err: error }, 'gateway.request_failed')
        sendError(response, apiError('unavailable', 'The gateway cannot answer just now.'), 'req_ff')
      })
    },
  )
  server.maxRequestsPerSocket = 0
  server.listen(config.FLOWFORGE_GATEWAY_PORT, config.FLOWFORGE_HOST)
  await once(server, 'listening').catch(async (error: NodeJS.ErrnoException) => {
    await accounts[Symbol.asyncDispose]()
    throw startError(error, config.FLOWFORGE_GATEWAY_PORT)
  })
  const { address, port } = server.address() as AddressInfo
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
      await closed
      clearTimeout(timer)
      await accounts[Symbol.asyncDispose]()
      upstream.close()
    },
  }
}

function startError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code !== 'EADDRINUSE') return error
  return refuse('port_taken', { port: String(port), variable: 'FLOWFORGE_GATEWAY_PORT' }, error)
}
