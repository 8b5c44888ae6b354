/**
 * Keeps web pages out. A page that a person on this machine happens to open can send requests to 127.0.0.1, and with a
 * name of its own that resolves to 127.0.0.1 (DNS rebinding) it may even read the answers.
 *
 * No cookie ever authenticates here, so a page has no key to misuse; this closes the doors that need none.
 */
import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { refuse } from '#lib/errors.ts'

export function guardAgainstPages(app: FastifyInstance, names: readonly string[]): void {
  const known = new Set(['localhost', ...names.map((name) => name.toLowerCase())])
  app.addHook('onRequest', async (request) => {
    // No name holds it and PostgreSQL takes it in no text.
    if (/%00/.test(request.url))
      throw refuse('invalid_request', { problem: 'the path holds a NUL character.' })
    const { host = '', origin } = request.headers
    const name = hostNameOf(host)
    // An address cannot be rebound: only names can.
    if (!known.has(name) && isIP(name) === 0) throw refuse('host_refused', { host: host.slice(0, 200) })
    if (origin !== undefined && originHost(origin) !== host.toLowerCase())
      throw refuse('origin_refused', { origin: origin.slice(0, 200) })
    if (origin === undefined && request.headers['sec-fetch-site'] === 'cross-site')
      throw refuse('origin_refused', { origin: 'of another site' })
  })
}

function hostNameOf(host: string): string {
  const bracketed = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(host)
  return (bracketed?.[1] ?? host.replace(/:\d{1,5}$/, '')).toLowerCase()
}

function originHost(origin: string): string | undefined {
  return URL.parse(origin)?.host
}
