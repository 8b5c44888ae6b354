/**
 * A parser that stays: one process, one request a line, one answer a line. It starts at the first question, is asked one
 * thing at a time, does not keep the program alive, and is started anew when it dies or is too slow.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Resident = {
  /** The answer, or undefined with the reason in `problem()` when there is none. */
  ask(text: string): Promise<unknown>
  problem(): string
  close(): void
}

const SLOWEST_MS = 10_000

export function createResident(command: readonly string[], name: string): Resident {
  let child: ChildProcess | undefined
  let missing = ''
  let lastProblem = ''
  let next = 1
  let queue: Promise<unknown> = Promise.resolve()
  const waiting = new Map<number, (answer: unknown) => void>()

  const stop = (why: string): void => {
    lastProblem = why
    child?.kill('SIGKILL')
    child = undefined
    for (const answer of waiting.values()) answer(undefined)
    waiting.clear()
  }
  const start = (): ChildProcess => {
    const [program = '', ...args] = command
    // An environment of its own: nothing that the caller's variables say may change how the text is read.
    const started = spawn(program, args, {
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8', PYTHONIOENCODING: 'utf-8' },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    started.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') missing = `${name} is not on this machine`
      if (child === started) stop(missing || error.message)
    })
    started.on('exit', () => child === started && stop(`${name} ended while reading`))
    started.stdin.on('error', () => undefined)
    createInterface({ input: started.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as { readonly id: number }
      waiting.get(answer.id)?.(answer)
      waiting.delete(answer.id)
      if (waiting.size === 0) rest(started)
    })
    return started
  }
  const askNow = async (text: string): Promise<unknown> => {
    if (missing) return undefined
    child ??= start()
    const asked = child
    const id = next++
    wake(asked)
    return new Promise((done) => {
      const timer = setTimeout(() => stop(`${name} took longer than ${SLOWEST_MS / 1000} s`), SLOWEST_MS)
      waiting.set(id, (answer) => {
        clearTimeout(timer)
        done(answer)
      })
      asked.stdin?.write(`${JSON.stringify({ id, text })}\n`)
    })
  }
  return {
    ask(text) {
      const answer = queue.then(() => askNow(text))
      queue = answer
      return answer
    },
    problem: () => missing || lastProblem,
    close: () => stop(`${name} was closed`),
  }
}

type Holding = { ref?(): void; unref?(): void }

/** While nothing is asked, the process does not keep the program alive. */
function rest(child: ChildProcess): void {
  child.unref()
  for (const stream of [child.stdin, child.stdout]) (stream as Holding | null)?.unref?.()
}

function wake(child: ChildProcess): void {
  child.ref()
  for (const stream of [child.stdin, child.stdout]) (stream as Holding | null)?.ref?.()
}
