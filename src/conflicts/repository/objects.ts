/** Reads objects through one long-running `git cat-file --batch`. Answers come in the order of the questions. */
import { spawn } from 'node:child_process'
import { GIT_ENV } from './run.ts'
import type { Shadow } from './shadow.ts'

export type Objects = Disposable & {
  /** The content of a blob, or undefined when it is missing. Larger than maxBytes: 'too-large'. */
  read(id: string, maxBytes?: number): Promise<Buffer | 'too-large' | undefined>
}

type Waiting = {
  readonly resolve: (content: Buffer | undefined) => void
  readonly reject: (error: Error) => void
}

const MAX_BYTES = 64 * 1024 ** 2
const OBJECT_ID = /^[0-9a-f]{40,64}$/

export function openObjects(shadow: Shadow): Objects {
  const sizes = openBatch(shadow, '--batch-check')
  const contents = openBatch(shadow, '--batch')
  return {
    async read(id, maxBytes = MAX_BYTES) {
      if (!OBJECT_ID.test(id)) throw new Error(`not an object id: ${id}`)
      const size = await sizes.ask(id)
      if (size === undefined) return undefined
      if (Number(size.toString('latin1')) > maxBytes) return 'too-large'
      return contents.ask(id)
    },
    [Symbol.dispose]() {
      sizes.end()
      contents.end()
    },
  }
}

function openBatch(shadow: Shadow, mode: '--batch' | '--batch-check') {
  const child = spawn('git', ['cat-file', mode], {
    cwd: '/',
    env: { ...GIT_ENV, ...shadow.env() },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const waiting: Waiting[] = []
  let chunks: Buffer[] = []
  let length = 0
  let needed = 1
  const fail = (error: Error): void => {
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  child.on('error', fail)
  child.on('close', () => fail(new Error('git cat-file ended early')))
  child.stdin.on('error', () => undefined)
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length < needed) return
    let buffer = Buffer.concat(chunks)
    needed = 1
    for (;;) {
      const line = buffer.indexOf(10)
      if (line < 0) break
      const header = buffer.toString('latin1', 0, line)
      const size = Number(/^[0-9a-f]+ \w+ (\d+)$/.exec(header)?.[1] ?? Number.NaN)
      if (Number.isNaN(size)) {
        waiting.shift()?.resolve(undefined)
        buffer = buffer.subarray(line + 1)
      } else if (mode === '--batch-check') {
        waiting.shift()?.resolve(Buffer.from(String(size)))
        buffer = buffer.subarray(line + 1)
      } else {
        const end = line + 1 + size
        if (buffer.length < end + 1) {
          needed = end + 1
          break
        }
        waiting.shift()?.resolve(Buffer.from(buffer.subarray(line + 1, end)))
        buffer = buffer.subarray(end + 1)
      }
    }
    chunks = [buffer]
    length = buffer.length
  })
  return {
    ask(id: string): Promise<Buffer | undefined> {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
      if (child.exitCode !== null || child.killed) reject(new Error('git cat-file ended early'))
      else {
        waiting.push({ resolve, reject })
        child.stdin.write(`${id}\n`)
      }
      return promise
    },
    end(): void {
      child.stdin.end()
    },
  }
}
