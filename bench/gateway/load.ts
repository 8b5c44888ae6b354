/** A client that costs little: raw HTTP/1.1 over kept connections, one request after the other on each. */
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'

export type Load = {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly connections: number
  readonly ms: number
}
export type Figures = {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly requests: number
  readonly failed: number
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

export async function run(load: Load): Promise<Figures> {
  const head = Buffer.from(
    [
      `POST ${load.path} HTTP/1.1`,
      `host: 127.0.0.1:${load.port}`,
      'content-type: application/json',
      `content-length: ${load.body.length}`,
      ...Object.entries(load.headers).map(([name, value]) => `${name}: ${value}`),
      '\r\n',
    ].join('\r\n'),
  )
  const request = Buffer.concat([head, load.body])
  const times: number[] = []
  let failed = 0
  const started = performance.now()
  const until = started + load.ms
  await Promise.all(
    Array.from({ length: load.connections }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const socket = connect(load.port, '127.0.0.1')
      socket.setNoDelay(true)
      let sentAt = 0
      let parts: Buffer[] = []
      const send = (): void => {
        parts = []
        sentAt = performance.now()
        socket.write(request)
      }
      socket.on('connect', send)
      socket.on('error', reject)
      socket.on('close', () => resolve())
      socket.on('data', (chunk) => {
        parts.push(chunk)
        if (!isWhole(parts)) return
        times.push(performance.now() - sentAt)
        if (!parts[0]!.subarray(9, 12).equals(Buffer.from('200'))) failed++
        if (performance.now() >= until) socket.end()
        else send()
      })
      return promise
    }),
  )
  const seconds = (performance.now() - started) / 1000
  times.sort((a, b) => a - b)
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN
  return { perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99), requests: times.length, failed }
}

function isWhole(parts: readonly Buffer[]): boolean {
  const first = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  const end = first.indexOf(END_OF_HEAD)
  if (end === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(first.toString('latin1', 0, end))?.[1]
  if (length !== undefined) return first.length >= end + 4 + Number(length)
  return first.subarray(-5).equals(LAST_CHUNK)
}
