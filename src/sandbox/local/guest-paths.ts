/**
 * Where there is no mount, guest paths are turned into host paths wherever they appear in arguments, variables and
 * folders; a guest path inside a file is not found.
 */
import type { GuestCommand } from '../sandbox.ts'

export type Translate = (text: string) => string

/** `places`: guest path to host path. */
export function translateGuestPaths(places: Readonly<Record<string, string>>): Translate {
  const longestFirst = Object.keys(places).toSorted((a, b) => b.length - a.length)
  const found = new RegExp(`(?<![\\w./-])(${longestFirst.map(escape).join('|')})(?![\\w-])`, 'g')
  return (text) => text.replaceAll(found, (path) => places[path] ?? path)
}

/** The command as it runs on the host, with the environment that was built for it. */
export function translateCommand(
  command: GuestCommand,
  environment: Readonly<Record<string, string>>,
  translate: Translate,
): {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
} {
  return {
    argv: command.argv.map(translate),
    cwd: translate(command.cwd ?? '/workspace'),
    env: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, translate(value)])),
  }
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
