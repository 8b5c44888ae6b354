/** The examples at the end of a command's help. */
export function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  const widest = Math.max(...lines.filter(([, what]) => what !== '').map(([command]) => command.length))
  const rows = lines.map(
    ([command, what]) => `  ${what === '' ? command : `${command.padEnd(widest)}   ${what}`}`,
  )
  return `\nExamples:\n${rows.join('\n')}`
}
