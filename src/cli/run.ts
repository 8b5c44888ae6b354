/** Runs one command and turns whatever went wrong into a sentence and an exit code. */
import { CommanderError } from 'commander'
import { EXIT } from './exit-codes.ts'
import { note, paint, safe } from './output.ts'
import { createProgram } from './program.ts'
import { UserError } from './user-error.ts'

export async function run(argv: readonly string[]): Promise<number> {
  // `flowforge log 12 | head` closes the pipe early; that is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  try {
    const program = createProgram()
    if (argv.length === 0) {
      program.outputHelp()
      return EXIT.done[0]
    }
    await program.parseAsync(argv, { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.done[0]
  } catch (error) {
    return explain(error, argv.includes('--json'))
  }
}

async function explain(error: unknown, json: boolean): Promise<number> {
  // Commander has printed its own message; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done[0] : EXIT.usage[0]
  const { Refusal } = await import('#lib/errors.ts')
  const { ApiProblem, ApiUnreachable } = await import('#api')
  if (error instanceof Refusal) return say(error.code, error.message, EXIT.failed[0], json)
  if (error instanceof ApiProblem) {
    const { code, detail } = error.problem
    const hint = code === 'not_authenticated' ? ' For another machine set FLOWFORGE_API_KEY.' : ''
    return say(code, detail + hint, EXIT.failed[0], json)
  }
  if (error instanceof ApiUnreachable)
    return say(
      'unreachable',
      `${error.message} Start FlowForge with \`flowforge up\`, or set FLOWFORGE_URL to where it runs.`,
      EXIT.unreachable[0],
      json,
    )
  if (error instanceof Error && error.name === 'AbortError') return EXIT.interrupted[0]
  if (error instanceof UserError) return say('failed', error.message, EXIT.failed[0], json)
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return say(
    'bug',
    `This is a fault of FlowForge; please report it with what follows.\n${detail}`,
    EXIT.bug[0],
    json,
  )
}

function say(code: string, sentence: string, exitCode: number, json: boolean): number {
  note(
    json ? JSON.stringify({ error: { code, detail: sentence } }) : `${paint.red('error')} ${safe(sentence)}`,
  )
  return exitCode
}
