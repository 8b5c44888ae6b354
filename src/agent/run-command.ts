import type { GuestProcess } from '#sandbox'
import { createEnder, WATCHDOG } from './ending.ts'
import { untilClosed } from './lines.ts'
import { EVENT_TEXT_LIMIT, printable, shortened } from './spoken.ts'
import type { AgentEvent, Task, TaskContext, TaskOutcome } from './task.ts'

const PIECE_CHARACTERS = 4096
const PIECE_MS = 250
const TAIL_CHARACTERS = 4096
/** What a command may write to the job's log; the rest is counted, not kept. */
const OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024
/** Linux takes 128 KiB for one variable, its name included; the whole text is on standard input. */
const TASK_IN_ENVIRONMENT_BYTES = 120_000

/**
 * Runs any program as the agent: its argv inside the sandbox, the task's text in FLOWFORGE_TASK and on standard input.
 * Exit code 0 is done, anything else failed. Its output becomes agent.output events, whole lines gathered to pieces.
 */
export async function runCommand(
  argv: readonly string[],
  task: Task,
  context: TaskContext,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  if (signal.aborted) return { kind: 'cancelled' }
  const env = { ...task.variables, FLOWFORGE_TASK: cutAt(task.text, TASK_IN_ENVIRONMENT_BYTES) }
  const process = await context.sandbox.start({ argv, env })
  const ender = createEnder(process, context.watchdog?.graceMs ?? WATCHDOG.graceMs, () => undefined)
  const cancel = (): void => ender.stepDown('SIGTERM')
  signal.addEventListener('abort', cancel, { once: true })
  process.stdin.on('error', () => undefined)
  process.stdin.end(task.text)
  void process.exited.then(() => {
    setTimeout(() => [process.stdout, process.stderr].forEach((stream) => stream.destroy()), 2_000).unref()
  })
  const log = { left: OUTPUT_LIMIT_BYTES, dropped: 0 }
  const [lastLine, lastError] = await Promise.all([
    passOn(process, 'stdout', context.onEvent, log),
    passOn(process, 'stderr', context.onEvent, log),
  ])
  const exit = await process.exited
  ender.done()
  signal.removeEventListener('abort', cancel)
  if (log.dropped > 0)
    context.onEvent({ kind: 'agent.notice', text: `${log.dropped} bytes of output were not kept.` })
  if (signal.aborted) return { kind: 'cancelled' }
  if (exit.ended === 'out-of-memory')
    return {
      kind: 'interrupted',
      cause: 'out-of-memory',
      message: 'The command used more memory than the sandbox has.',
    }
  if (exit.ended !== undefined)
    return { kind: 'interrupted', cause: 'sandbox', message: 'The command was ended from outside.' }
  if (exit.exitCode === 0) return { kind: 'done', summary: shortened(lastLine, 500) }
  return {
    kind: 'failed',
    cause: 'exit',
    message: `The command ended with code ${exit.exitCode}.${lastWords(lastError || lastLine)}`,
  }
}

/** At most so many bytes of UTF-8, cut between two characters. */
function cutAt(text: string, bytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytes))
  return text.slice(0, read)
}

function lastWords(line: string): string {
  return line === '' ? '' : ` Its last words: ${shortened(line, 500)}`
}

/**
 * Passes one stream on in pieces that end with a line where they can, and answers its last line. Works by chunks, not
 * by lines: a program that prints two million lines must not keep the worker busy for seconds.
 */
async function passOn(
  process: GuestProcess,
  stream: 'stdout' | 'stderr',
  onEvent: (event: AgentEvent) => void,
  log: { left: number; dropped: number },
): Promise<string> {
  const decoder = new TextDecoder()
  let piece = ''
  let tail = ''
  let timer: NodeJS.Timeout | undefined
  const pass = (text: string): void => {
    for (let at = 0; at < text.length; at += EVENT_TEXT_LIMIT)
      onEvent({ kind: 'agent.output', stream, text: printable(text.slice(at, at + EVENT_TEXT_LIMIT)) })
  }
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    const end = piece.length > PIECE_CHARACTERS ? piece.lastIndexOf('\n') + 1 || piece.length : piece.length
    pass(piece.slice(0, end))
    piece = piece.slice(end)
  }
  for await (const chunk of untilClosed(process[stream])) {
    const text = decoder.decode(chunk, { stream: true })
    tail = (tail + text).slice(-TAIL_CHARACTERS)
    if (log.left < text.length) {
      log.dropped += text.length
      continue
    }
    log.left -= text.length
    piece += text
    if (piece.length >= PIECE_CHARACTERS) flush()
    if (piece !== '') timer ??= setTimeout(flush, PIECE_MS)
  }
  clearTimeout(timer)
  pass(piece)
  return tail.trimEnd().split('\n').at(-1) ?? ''
}
