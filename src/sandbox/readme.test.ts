/** The table of guarantees in README.md is what the technologies themselves say. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createNoSandboxes } from './adapters/none.ts'
import { bubblewrapGuarantees } from './local/guarantees.ts'
import type { Guarantees } from './sandbox.ts'
import { seatbeltGuarantees } from './seatbelt/guarantees.ts'

test('the table of guarantees is up to date', () => {
  const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  const shown = /<!-- guarantees: [^>]*-->\n([^]*?)\n?<!-- \/guarantees -->/.exec(readme)?.[1]
  const words = (text: string | undefined): string | undefined => text?.replaceAll(/[ -]+/g, ' ').trim()
  assert.equal(words(shown), words(table()), `it should be:\n${table()}`)
})

test('a guarantee that does not hold is told with a sentence and a remedy', () => {
  for (const platform of ['darwin', 'linux'] as const) {
    const { missing, ...flags } = seatbeltGuarantees(platform)
    const named = missing.map((sentence) => sentence.slice(0, sentence.indexOf(':')))
    const lacking = Object.entries(flags).filter(([, holds]) => holds === false || holds === 'soft')
    assert.deepEqual(
      named.toSorted(),
      // As a plain user, no technology has it, and none is refused for it.
      lacking
        .map(([name]) => name)
        .filter((name) => name !== 'ownUserPerSandbox')
        .toSorted(),
    )
  }
})

function table(): string {
  const home = mkdtempSync(join(tmpdir(), 'ff-readme-'))
  const none = createNoSandboxes({ home }).guarantees
  rmSync(home, { recursive: true })
  const all = { memory: true, processes: true, cpu: true }
  const nothing = { memory: false, processes: false, cpu: false }
  const columns: Readonly<Record<string, Omit<Guarantees, 'technology' | 'missing'>>> = {
    'bubblewrap as root': { ...bubblewrapGuarantees(all, { kind: 'image' }), ownUserPerSandbox: true },
    'bubblewrap as a plain user': {
      ...bubblewrapGuarantees(nothing, { kind: 'directory' }),
      ownUserPerSandbox: false,
    },
    seatbelt: seatbeltGuarantees('darwin'),
    none,
  }
  const names = [
    ...([
      'isolatedFilesystem',
      'noNetworkDevice',
      'seccomp',
      'memoryLimit',
      'processLimit',
      'cpuLimit',
    ] as const),
    ...(['diskLimit', 'inodeLimit', 'ownUserPerSandbox', 'killsOrphans'] as const),
  ]
  const say = (value: boolean | string): string => (typeof value === 'string' ? value : value ? 'yes' : 'no')
  return [
    `| guarantee | ${Object.keys(columns).join(' | ')} |`,
    `| --- |${' --- |'.repeat(Object.keys(columns).length)}`,
    ...names.map(
      (name) =>
        `| ${name} | ${Object.values(columns)
          .map((column) => say(column[name]))
          .join(' | ')} |`,
    ),
  ].join('\n')
}
