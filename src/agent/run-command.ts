import type { GuestProcess } from '#sandbox'
import { createEnder, WATCHDOG } from './ending.ts'
import { linesOf } from './lines.ts'
import { shortened } from './spoken.ts'
import type { AgentEvent, Task, TaskContext, TaskOutcome } from './task.ts'

const LINE_LIMIT_BYTES = 256 * 1024
const PIECE_CHARACTERS = 4096
const PIECE_MS = 250
/** What a command may write to the job's log; the rest is counted, not kept. */
const OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024

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
  const env = { ...task.variables, FLOWFORGE_TASK: task.text.slice(0, 100_000) }
  const process = await context.sandbox.start({ argv, env })
  const ender = createEnder(process, context.watchdog?.graceMs ?? WATCHDOG.graceMs, () => undefined)
  const cancel = (): void => ender.stepDown('SIGINT')
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
  return { kind: 'failed', cause: 'exit', message: `The command ended with code ${exit.exitCode}.${lastWords(lastError || lastLine)}` }
}

function lastWords(line: string): string {
  return line === '' ? '' : ` Its last words: ${shortened(line, 500)}`
}

/** Passes one stream on and answers its last line. */
async function passOn(
  process: GuestProcess,
  stream: 'stdout' | 'stderr',
  onEvent: (event: AgentEvent) => void,
  log: { left: number; dropped: number },
): Promise<string> {
  let piece = ''
  let last = ''
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (piece === '') return
    onEvent({ kind: 'agent.output', stream, text: shortened(piece) })
    piece = ''
  }
  for await (const line of linesOf(process[stream], LINE_LIMIT_BYTES)) {
    const text = line.kind === 'line' ? line.text : `(a line of ${line.bytes} bytes)`
    if (text.trim() !== '') last = text
    if (log.left < text.length) {
      log.dropped += text.length
      continue
    }
    log.left -= text.length + 1
    piece += `${text}\n`
    if (piece.length >= PIECE_CHARACTERS) flush()
    else timer ??= setTimeout(flush, PIECE_MS)
  }
  flush()
  return last
}
