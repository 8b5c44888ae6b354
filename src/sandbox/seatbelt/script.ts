/**
 * The shell script by which a command begins inside. It is a file and not an argument: arguments are seen by every user
 * of the host, are limited in length, and would pass three shells on their way.
 */
import type { SandboxLimits } from '../sandbox.ts'

export type Started = {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/**
 * Descriptors that the worker inherited from somebody are closed, limits are set, and `env -i` forgets what the library
 * has added to the environment. Memory and processes have no limit here: macOS ignores the one, and counts the other
 * for the user as a whole.
 */
export function startScript({ argv, cwd, env }: Started, limits: SandboxLimits): string {
  const variables = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`))
  return [
    'for fd in {3..255}; do eval "exec $fd>&-"; done',
    'ulimit -c 0',
    `ulimit -f ${Math.ceil(limits.fileBytes / 1024)} 2>/dev/null`,
    `ulimit -n ${limits.openFiles} 2>/dev/null`,
    `cd ${quote(cwd)} || exit 127`,
    `exec /usr/bin/env -i ${[...variables, ...argv.map(quote)].join(' ')}`,
    '',
  ].join('\n')
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
