/** Runs a guest to its end and keeps the end of what it said: the same for every technology. */
import type { GuestProcess, GuestResult, RunOptions } from './sandbox.ts'

const KEEP_BYTES = 256 * 1024

export async function runGuest(guest: GuestProcess, options: RunOptions = {}): Promise<GuestResult> {
  const { signal, timeoutMs, keepBytes = KEEP_BYTES, onOutput } = options
  const stdout = keepTail(keepBytes)
  const stderr = keepTail(keepBytes)
  guest.stdin.end()
  guest.stdout.on('data', (chunk: Buffer) => {
    stdout.add(chunk)
    onOutput?.(chunk, 'stdout')
  })
  guest.stderr.on('data', (chunk: Buffer) => {
    stderr.add(chunk)
    onOutput?.(chunk, 'stderr')
  })
  let timedOut = false
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true
          guest.kill()
        }, timeoutMs)
  const abort = (): void => guest.kill()
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  try {
    const [exit] = await Promise.all([guest.exited, closed(guest.stdout), closed(guest.stderr)])
    const result = { ...exit, stdout: stdout.take(), stderr: stderr.take() }
    return timedOut ? { ...result, ended: 'timed-out' } : result
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function closed(stream: NodeJS.EventEmitter & { readonly destroyed?: boolean }): Promise<void> {
  if (stream.destroyed) return Promise.resolve()
  return new Promise((resolve) => stream.once('close', resolve))
}

/** Holds at most twice what is kept, and cuts when it has that. */
function keepTail(limit: number) {
  let chunks: Buffer[] = []
  let size = 0
  const cut = (): Buffer => {
    const all = Buffer.concat(chunks)
    return all.subarray(Math.max(0, all.length - limit))
  }
  return {
    add: (chunk: Buffer): void => {
      chunks.push(chunk)
      size += chunk.length
      if (size <= 2 * limit) return
      chunks = [cut()]
      size = limit
    },
    take: cut,
  }
}
