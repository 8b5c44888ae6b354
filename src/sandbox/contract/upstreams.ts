/** Hosts of the internet for tests: one good, one evil, speaking HTTP and HTTPS on this machine, and what they saw. */
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createAuthority } from '../egress/certificates.ts'
import type { Upstreams } from './bench.ts'

export type Seen = {
  readonly host: string
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

export type Internet = AsyncDisposable &
  Upstreams & {
    readonly httpPort: number
    readonly httpsPort: number
    readonly seen: Seen[]
  }

const NAMES: Readonly<Record<string, string>> = {
  'good.test': '127.0.0.1',
  'tunnel.test': '127.0.0.1',
  'evil.test': '127.0.0.1',
  // A name that an attacker points at the metadata service, at the host, at a private network.
  'rebound.test': '169.254.169.254',
  'local.test': '127.0.0.2',
  'private.test': '10.1.2.3',
  'mapped.test': '::ffff:10.1.2.3',
}

export async function createInternet(): Promise<Internet> {
  const authority = createAuthority()
  const seen: Seen[] = []
  const answer: RequestListener = (request, response) => {
    const { method = '', url = '', headers } = request
    seen.push({ host: headers.host ?? '', method, url, headers })
    if (url === '/redirect') response.writeHead(302, { location: 'http://evil.test/stolen' }).end()
    else response.writeHead(200, { 'x-upstream': 'yes' }).end(`answer to ${method} ${url}`)
  }
  const http = createHttpServer(answer)
  const https = createHttpsServer(
    { SNICallback: (name, done) => done(null, authority.contextFor(name)) },
    answer,
  )
  const httpPort = await listen(http)
  const httpsPort = await listen(https)
  return {
    httpPort,
    httpsPort,
    seen,
    trust: [authority.certificate],
    allowedNetworks: ['127.0.0.1/32'],
    resolve: async (host) => {
      const address = NAMES[host]
      if (address === undefined) throw new Error(`${host} has no address`)
      return [address]
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of [http, https]) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  )
}
