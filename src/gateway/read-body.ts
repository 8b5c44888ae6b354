import type { IncomingMessage, ServerResponse } from 'node:http'
import { apiError, type ApiError } from './errors.ts'

/** Anthropic takes 32 MB. */
const BODY_LIMIT_BYTES = 33 * 1024 * 1024
const ALL_BODIES_LIMIT_BYTES = 512 * 1024 * 1024

/** What all requests under way hold in memory. */
export type Bodies = { bytes: number }

/** Reads a body whole: it must be judged before any of it is passed on. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bodies: Bodies,
): Promise<Buffer | ApiError> {
  const chunks: Buffer[] = []
  let bytes = 0
  response.once('close', () => void (bodies.bytes -= bytes))
  return new Promise((resolve, reject) => {
    /** Leaving must not cut the connection: the refusal still has to be said. */
    const refuse = (error: ApiError): void => {
      request.off('data', take).pause()
      resolve(error)
    }
    const take = (chunk: Buffer): void => {
      bytes += chunk.length
      bodies.bytes += chunk.length
      if (bytes > BODY_LIMIT_BYTES)
        return refuse(apiError('request_too_large', 'The request is larger than 33 MB.'))
      if (bodies.bytes > ALL_BODIES_LIMIT_BYTES)
        return refuse(apiError('overloaded_error', 'The gateway has too much in hand. Try again shortly.'))
      chunks.push(chunk)
    }
    request.on('data', take)
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    request.once('error', reject)
    request.once('close', () => reject(new Error('the client went in the middle of its request')))
  })
}

const DRAIN_LIMIT_BYTES = 64 * 1024 * 1024
const DRAIN_MS = 10_000

/**
 * Throws away the rest of a body before a refusal is said. A connection that is closed while its client still sends
 * is reset, and the client then sees the reset in place of the refusal. False: there was too much of it.
 */
export async function drain(request: IncomingMessage): Promise<boolean> {
  if (request.readableEnded || request.destroyed) return request.complete
  let bytes = 0
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), DRAIN_MS)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > DRAIN_LIMIT_BYTES) resolve(false)
  })
  request.once('end', () => resolve(true)).once('close', () => resolve(false))
  request.resume()
  const isDrained = await promise
  clearTimeout(timer)
  return isDrained
}
