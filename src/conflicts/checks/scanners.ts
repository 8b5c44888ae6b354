/**
 * Adapters for scanners that a machine may have: bandit, gosec, semgrep. Each reads one file and runs nothing of it. What
 * it finds in the result counts only where neither side has it as often.
 *
 * They take seconds, so they run only when asked for; a scanner that is not here is skipped and named.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { z } from 'zod'
import type { Finding } from './finding.ts'
import type { Language } from './language.ts'
import type { Subject } from './subject.ts'

type Hit = { readonly rule: string; readonly line: number; readonly says: string }
type Scanner = {
  readonly name: string
  readonly languages: readonly Language[]
  argv(file: string): readonly string[]
  read(output: string): readonly Hit[]
}

const bandit = z.object({
  results: z.array(z.object({ test_id: z.string(), line_number: z.number(), issue_text: z.string() })),
})
const gosec = z.object({
  Issues: z.array(z.object({ rule_id: z.string(), line: z.string(), details: z.string() })).nullish(),
})
const semgrep = z.object({
  results: z.array(
    z.object({
      check_id: z.string(),
      start: z.object({ line: z.number() }),
      extra: z.object({ message: z.string() }),
    }),
  ),
})

const SCANNERS: readonly Scanner[] = [
  {
    name: 'bandit',
    languages: ['python'],
    argv: (file) => ['-q', '-f', 'json', file],
    read: (output) =>
      bandit.parse(JSON.parse(output)).results.map((one) => ({
        rule: one.test_id,
        line: one.line_number,
        says: one.issue_text,
      })),
  },
  {
    name: 'gosec',
    languages: ['go'],
    argv: (file) => ['-quiet', '-fmt=json', file],
    read: (output) =>
      (gosec.parse(JSON.parse(output)).Issues ?? []).map((one) => ({
        rule: one.rule_id,
        line: Number.parseInt(one.line, 10),
        says: one.details,
      })),
  },
  {
    name: 'semgrep',
    languages: ['python', 'javascript', 'typescript', 'tsx', 'go', 'java'],
    // Rules from the machine's own configuration only: nothing is fetched, nothing is reported.
    argv: (file) => [
      'scan',
      '--json',
      '--quiet',
      '--metrics=off',
      '--disable-version-check',
      '--config=/etc/semgrep',
      file,
    ],
    read: (output) =>
      semgrep.parse(JSON.parse(output)).results.map((one) => ({
        rule: one.check_id,
        line: one.start.line,
        says: one.extra.message,
      })),
  },
]

export type ScannersReport = { readonly findings: readonly Finding[]; readonly skipped: readonly string[] }

export async function runScanners(subject: Subject): Promise<ScannersReport> {
  const fitting = SCANNERS.filter(({ languages }) => languages.includes(subject.language))
  const findings: Finding[] = []
  const skipped: string[] = []
  for (const scanner of fitting) {
    const result = await scan(scanner, subject.texts.result, subject)
    if (typeof result === 'string') {
      skipped.push(result)
      continue
    }
    if (result.length === 0) continue
    const sides = await Promise.all(
      [subject.texts.ours, subject.texts.theirs].map((text) => scan(scanner, text, subject)),
    )
    const count = (hits: string | readonly Hit[], rule: string): number =>
      typeof hits === 'string' ? 0 : hits.filter((hit) => hit.rule === rule).length
    for (const rule of new Set(result.map((hit) => hit.rule))) {
      const hit = result.findLast((one) => one.rule === rule)
      if (!hit || count(result, rule) <= Math.max(...sides.map((side) => count(side, rule)))) continue
      findings.push({
        layer: 'security',
        rule: `${scanner.name}:${rule}`,
        severity: 'blocks',
        says: `${scanner.name} ${rule}: ${hit.says.slice(0, 200)}`,
        line: hit.line,
      })
    }
  }
  return { findings, skipped }
}

/** What it found, or why it could not look. */
async function scan(scanner: Scanner, text: string, subject: Subject): Promise<readonly Hit[] | string> {
  const folder = await mkdtemp(join(tmpdir(), 'ff-scan-'))
  try {
    const file = join(folder, `file${extname(subject.path)}`)
    await writeFile(file, text)
    const output = await new Promise<string | undefined>((done) => {
      execFile(
        scanner.name,
        scanner.argv(file),
        { cwd: folder, timeout: 60_000, maxBuffer: 64 << 20, signal: subject.options.signal },
        // They exit with 1 when they find something.
        (error, stdout) => done(error?.code === 'ENOENT' ? undefined : stdout),
      )
    })
    if (output === undefined) return `${scanner.name} is not on this machine`
    try {
      return scanner.read(output)
    } catch {
      return `${scanner.name} did not answer as expected`
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
