/**
 * Named pipes for a guest's output. Node's own "pipes" are sockets, and opening /dev/stderr on a socket fails, which
 * shell scripts do all the time (`echo … > /dev/stderr`). A few are kept ready: making them takes a process.
 */
import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ownPrefix } from './process-identity.ts'
import { runProgram } from './programs.ts'

export type Pipes = AsyncDisposable & { take(): Promise<OutputPipe> }

export type OutputPipe = {
  readonly reader: Readable
  /** To be given to one child, then closed. */
  readonly writerFd: number
}

const BATCH = 16
const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants

export async function createPipes(directory: string): Promise<Pipes> {
  const prefix = `${ownPrefix()}-${process.hrtime.bigint().toString(36)}`
  const ready: string[] = []
  let counter = 0
  let making: Promise<void> | undefined
  const make = async (): Promise<void> => {
    const paths = Array.from({ length: BATCH }, () => join(directory, `${prefix}-${counter++}`))
    // Writable by all: the guest opens it again under its own user; nobody else reaches the directory by name.
    await runProgram('mkfifo', ['-m', '666', ...paths])
    ready.push(...paths)
  }
  const refill = (): Promise<void> => {
    making ??= make().finally(() => (making = undefined))
    return making
  }
  await refill()
  return {
    take: async () => {
      while (ready.length === 0) await refill()
      const path = ready.pop()!
      // A failure shows at the next take that finds none.
      if (ready.length < BATCH / 2) void refill().catch(() => undefined)
      return openPipe(path)
    },
    [Symbol.asyncDispose]: async () => {
      await making?.catch(() => undefined)
      for (const path of ready.splice(0)) rmSync(path, { force: true })
    },
  }
}

/** Opened for both first, since opening one end alone waits for the other. */
function openPipe(path: string): OutputPipe {
  const both = openSync(path, O_RDWR)
  try {
    const readerFd = openSync(path, O_RDONLY | O_NONBLOCK)
    const writerFd = openSync(path, O_WRONLY)
    return { reader: new Socket({ fd: readerFd, readable: true, writable: false }), writerFd }
  } finally {
    closeSync(both)
    rmSync(path)
  }
}
