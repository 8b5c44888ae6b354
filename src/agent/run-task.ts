import type { GuestProcess } from '#sandbox'
import { claudeCommand, LONGEST_TOOL_MS } from './claude-command.ts'
import { createConversation, type Conversation } from './conversation.ts'
import { createEnder, WATCHDOG } from './ending.ts'
import { createHearing } from './hearing.ts'
import { linesOf } from './lines.ts'
import { outcomeOf, type Stopped } from './outcome.ts'
import type { Task, TaskContext, TaskOutcome } from './task.ts'

/** A message may carry an image or a large file in base64; more than this is not a message. */
const LINE_LIMIT_BYTES = 32 * 1024 * 1024
const STDERR_KEPT = 16 * 1024
const DRAIN_MS = 5_000

/**
 * Gives a task to Claude Code inside the sandbox and tells how it went. Ends with the process in every case: by its
 * result, by the watchdog, or by the signal, which interrupts the agent first and kills it after a grace.
 */
export async function runTask(task: Task, context: TaskContext, signal: AbortSignal): Promise<TaskOutcome> {
  const ended = await runSession(task, context, signal)
  // The state that was put back may lack the session: then the work begins anew, on the work tree as it is.
  if (task.resume === true && ended.kind === 'failed' && NO_SESSION.test(ended.message)) {
    context.onEvent({ kind: 'agent.notice', text: 'The earlier session is gone; the task begins anew.' })
    return runSession({ ...task, resume: false }, context, signal)
  }
  return ended
}

const NO_SESSION = /No conversation found with session ID/i
const RESUMED =
  'You were interrupted by a failure of the machine, not by a person. Look at the work tree, then go on with the task from where you stopped.'

async function runSession(task: Task, context: TaskContext, signal: AbortSignal): Promise<TaskOutcome> {
  if (signal.aborted) return { kind: 'cancelled' }
  const watchdog = { ...WATCHDOG, ...context.watchdog }
  const process = await context.sandbox.start(claudeCommand(task, context.modelRoute))
  const conversation = createConversation(process.stdin)
  const hearing = createHearing(context.onEvent, (uuid) => conversation.isSteering(uuid))
  const { facts } = hearing
  let stopped: Stopped | undefined
  const ender = createEnder(process, watchdog.graceMs, () => {
    stopped = facts.result === undefined ? 'silent' : 'after-result'
    ender.stepDown('SIGINT')
  })
  const cancel = (): void => {
    stopped = 'cancelled'
    conversation.interrupt()
    conversation.end()
    ender.stepDown('grace')
  }
  signal.addEventListener('abort', cancel, { once: true })
  const stderr = keepTail(process)

  conversation.say(task.resume === true ? RESUMED : task.text)
  const isOver = new AbortController()
  const steering = steer(conversation, context, isOver.signal)
  ender.expectWithin(watchdog.silenceMs)
  for await (const line of linesOf(process.stdout, LINE_LIMIT_BYTES)) {
    if (line.kind === 'too-long')
      context.onEvent({ kind: 'agent.notice', text: `A message of ${line.bytes} bytes was dropped.` })
    const message = line.kind === 'line' ? hearing.hear(line.text) : undefined
    if (message?.type === 'control_request') conversation.decline(message.request_id)
    if (message?.type === 'result' && conversation.isAnswered(message)) {
      conversation.end()
      ender.expectWithin(watchdog.afterResultMs)
    } else if (!conversation.isOver())
      // A tool has its own time limit and may work silently until then.
      ender.expectWithin(watchdog.silenceMs + (facts.openTools.size > 0 ? LONGEST_TOOL_MS : 0))
  }
  const exit = await process.exited
  ender.done()
  hearing.flush()
  signal.removeEventListener('abort', cancel)
  isOver.abort()
  await steering
  return outcomeOf({ facts, exit, stopped, stderr: stderr() })
}

/** Passes on what people say while the agent runs. */
async function steer(conversation: Conversation, context: TaskContext, isOver: AbortSignal): Promise<void> {
  const over = new Promise<'over'>((resolve) => isOver.addEventListener('abort', () => resolve('over')))
  const messages = context.messages[Symbol.asyncIterator]()
  for (;;) {
    const next = await Promise.race([messages.next(), over])
    if (next === 'over' || next.done === true) return
    if (conversation.isOver())
      context.onEvent({ kind: 'agent.notice', text: 'The agent had ended and did not hear the message.' })
    else conversation.say(next.value)
  }
}

/** The end of what the process writes to standard error. Reading it also keeps the process from blocking on it. */
function keepTail({ stderr, stdout, exited }: GuestProcess): () => string {
  let tail = ''
  stderr.setEncoding('utf8').on('data', (chunk: string) => {
    tail = (tail + chunk).slice(-STDERR_KEPT)
  })
  // A process that was started by the agent may still hold the pipe; the run ends with the agent.
  void exited.then(() => setTimeout(() => stdout.destroy(), DRAIN_MS).unref())
  return () => tail
}
