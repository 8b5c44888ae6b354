import { paint, safe, table } from '../output.ts'
import type { Finding } from './finding.ts'

const MARKS = { ok: '✓', warning: '!', missing: '✗' } as const

/** The findings as a list for people, each remedy under what it mends. */
export function describeFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ state, name, found }) => [`${MARKS[state]} ${name}`, safe(found)])
  const lines = table(rows, (row, column, cell) =>
    column === 0 ? colourOf(findings[row]!.state)(cell) : cell,
  ).split('\n')
  return findings
    .flatMap(({ remedy }, index) => [
      lines[index] ?? '',
      ...(remedy ? [`    ${paint.dim('→')} ${remedy}`] : []),
    ])
    .join('\n')
}

function colourOf(state: Finding['state']): (text: string) => string {
  if (state === 'ok') return paint.green
  return state === 'warning' ? paint.yellow : paint.red
}
