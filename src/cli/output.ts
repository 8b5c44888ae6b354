/** What is printed: colours only on a terminal, and nothing from outside reaches it with control characters. */
import colors from 'picocolors'
import { toPrintable, toPrintableLine } from '#lib/printable.ts'

export type Paint = ReturnType<typeof colors.createColors>

/** On a terminal that wants colours (NO_COLOR is heard); never into a pipe or a log, where isTTY is undefined. */
export const paint: Paint = colors.createColors(colors.isColorSupported && Boolean(process.stdout.isTTY))

export function print(text = ''): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined)}\n`)
}

/** Beside the result: progress, hints and errors. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Whatever a job, a repository or a remote wrote. */
export const safe = toPrintable
export const safeLine = toPrintableLine

/** Columns as wide as their widest cell; the last one is cut at the width of the terminal. */
export function table(
  rows: readonly (readonly string[])[],
  style: (row: number, column: number, cell: string) => string = (_, __, cell) => cell,
): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => width(row[column] ?? ''))),
  )
  const room = process.stdout.isTTY ? process.stdout.columns || 100 : Infinity
  return rows
    .map((row, r) => {
      let used = 0
      return row
        .map((cell, c) => {
          const last = c === columns - 1
          const cut =
            last && used + width(cell) > room ? `${cell.slice(0, Math.max(8, room - used - 1))}…` : cell
          used += (widths[c] ?? 0) + 2
          return style(r, c, cut) + (last ? '' : ' '.repeat(Math.max(0, (widths[c] ?? 0) - width(cell))))
        })
        .join('  ')
        .trimEnd()
    })
    .join('\n')
}

function width(text: string): number {
  return text.length
}

/** "3 min ago": people do not subtract timestamps. */
export function ago(iso: string, now: number = Date.now()): string {
  return `${duration(Math.max(0, now - Date.parse(iso)))} ago`
}

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}
