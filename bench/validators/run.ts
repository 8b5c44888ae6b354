/**
 * The validator benchmark: true resolutions must pass layers 1 to 3, spoiled ones must not.
 *
 *   node bench/validators/run.ts CORPUS [--set held-out|tuning] [--per-repository 150] [--missed N] [--rejected N] [--strict]
 *
 * CORPUS is a folder written by collect.ts. Only resolutions that pass are spoiled, so that nothing is caught for free.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { checkCandidate, closeParsers } from '../../src/conflicts/checks/index.ts'
import type { CheckOptions, CheckReport, TreeReader } from '../../src/conflicts/checks/index.ts'
import type { Sample } from './collect.ts'
import { declaredDrops } from './declared.ts'
import { CORRUPTIONS, seeded } from './corruptions.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    set: { type: 'string', default: 'held-out' },
    'per-repository': { type: 'string', default: '150' },
    'only-repository': { type: 'string' },
    missed: { type: 'string', default: '0' },
    rejected: { type: 'string', default: '0' },
    only: { type: 'string' },
    undeclared: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
  },
})
const [corpus] = positionals
if (corpus === undefined) throw new Error('usage: run.ts CORPUS [--set held-out|tuning]')

/** Copied or generated wholesale: nobody resolves those line by line. */
const COPIED =
  /(^|\/)(vendor|Godeps|node_modules|third_party|_workspace|dist|__snapshots__)\/|(^|\/)([\w.-]*[.-]lock(\.json|\.yaml)?|go\.sum)$|\.(snap|pb\.go|pb\.gw\.go|min\.js)$/
/** Written by a script of the project: the examples' pages of webpack hold the output of its builds. */
const BUILT = /^webpack\+webpack examples\/.*README\.md$/
/** One merge of a hundred files is one decision, not a hundred. */
const MOST_PER_MERGE = 4
const git = promisify(execFile)
const places = existsSync(join(corpus, 'repositories.json'))
  ? (JSON.parse(readFileSync(join(corpus, 'repositories.json'), 'utf8')) as Record<string, string>)
  : {}

let unresolved = 0
const samples = readdirSync(corpus)
  .filter((name) => name.endsWith('.jsonl'))
  .toSorted()
  .flatMap((name) => {
    const all = readFileSync(join(corpus, name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Sample)
      .filter(
        ({ set, path, repository }) =>
          set === values.set && !COPIED.test(path) && !BUILT.test(`${repository} ${path}`),
      )
      .filter(isResolution)
      .filter(fewOfEachMerge())
    // Spread over the whole time, not its beginning.
    const step = Math.max(1, all.length / Number(values['per-repository']))
    return Array.from(
      { length: Math.min(all.length, Number(values['per-repository'])) },
      (_, i) => all[Math.floor(i * step)],
    ).filter((sample) => sample !== undefined)
  })

/** People have committed files with their markers in: nothing was resolved there. */
function isResolution({ base, ours, theirs, human }: Sample): boolean {
  const count = (text: string | null): number => (text ?? '').match(/^<{7}( |$)/gm)?.length ?? 0
  if (count(human) <= Math.max(count(base), count(ours), count(theirs))) return true
  unresolved++
  return false
}

function fewOfEachMerge(): (sample: Sample) => boolean {
  const seen = new Map<string, number>()
  return ({ merge }) => {
    const before = seen.get(merge) ?? 0
    seen.set(merge, before + 1)
    return before < MOST_PER_MERGE
  }
}

type Row = { tried: number; caught: number; byLayer: Record<string, number> }
const rows = new Map<string, Row>()
const rejections = { all: [0, 0], own: [0, 0], edited: [0, 0] } satisfies Record<string, [number, number]>
const repositories = new Map<string, [number, number]>()
const rules = new Map<string, number>()
const times: number[] = []
let [missedLeft, rejectedLeft] = [Number(values.missed), Number(values.rejected)]

for (const sample of samples) {
  const passed = await trueResolution(sample)
  if (!passed) continue
  for (const [name, corrupt] of Object.entries(CORRUPTIONS)) {
    if (values.only !== undefined && !name.includes(values.only)) continue
    const spoiled = corrupt(sample, seeded(`${sample.merge}${sample.path}${name}`))
    if (spoiled === undefined || spoiled === sample.human) continue
    const row = rows.get(name) ?? { tried: 0, caught: 0, byLayer: {} }
    rows.set(name, row)
    row.tried++
    const checks = await check(sample, spoiled)
    const failed = checks.filter(({ outcome }) => outcome === 'failed')
    if (failed.length > 0) row.caught++
    for (const { layer } of failed) row.byLayer[layer] = (row.byLayer[layer] ?? 0) + 1
    if (failed.length === 0 && missedLeft-- > 0) showMissed(sample, name, spoiled, checks)
  }
}
closeParsers()
report()

async function trueResolution(sample: Sample): Promise<boolean> {
  const start = performance.now()
  const checks = await check(sample, sample.human)
  times.push(performance.now() - start)
  const failed = checks.some(({ outcome }) => outcome === 'failed')
  const known = new Set(
    [sample.base ?? '', sample.ours, sample.theirs].flatMap((text) => text.split('\n').map(bare)),
  )
  const own = sample.human.split('\n').every((line) => known.has(bare(line)))
  const repository = repositories.get(sample.repository) ?? [0, 0]
  repositories.set(sample.repository, repository)
  for (const count of [rejections.all, own ? rejections.own : rejections.edited, repository]) {
    count[0]++
    if (failed) count[1]++
  }
  if (failed) {
    for (const rule of new Set(
      checks.flatMap(({ findings }) =>
        findings.filter((one) => one.severity === 'blocks').map((one) => one.rule),
      ),
    ))
      rules.set(rule, (rules.get(rule) ?? 0) + 1)
    if (rejectedLeft-- > 0)
      console.log(
        `rejected ${sample.repository} ${sample.merge.slice(0, 10)} ${sample.path}\n   ${checks
          .filter((c) => c.outcome === 'failed')
          .map((c) => c.reason)
          .join('\n   ')}`,
      )
  }
  return !failed
}

function bare(line: string): string {
  return line.replaceAll(/\s+/g, '')
}

function check(sample: Sample, result: string): Promise<readonly CheckReport[]> {
  // Taking one side's file whole is a decision that is handed to the checks, as the fallback rung does.
  const whole = sample.human === sample.ours ? 'ours' : sample.human === sample.theirs ? 'theirs' : undefined
  const trees = treesOf(sample)
  const options: CheckOptions = {
    ...(whole && { whole }),
    ...(trees && { trees }),
    ...(values.strict && { ownLines: 'blocked' as const }),
  }
  return checkCandidate(
    {
      result: Buffer.from(result),
      rung: 'claude',
      how: 'as committed by people',
      regions: [],
      ...(!values.undeclared && { drops: declaredDrops(sample) }),
    },
    {
      base: Buffer.from(sample.base ?? ''),
      ours: Buffer.from(sample.ours),
      theirs: Buffer.from(sample.theirs),
      path: sample.path,
      baseless: sample.base === null,
    },
    options,
  )
}

function treesOf(sample: Sample): CheckOptions['trees'] {
  const place = places[sample.repository]
  if (place === undefined) return undefined
  const reader = (commit: string): TreeReader => ({
    read: async (path) => {
      try {
        const { stdout } = await git('git', ['-C', place, 'cat-file', 'blob', `${commit}:${path}`], {
          encoding: 'buffer',
          maxBuffer: 64 << 20,
        })
        return stdout
      } catch {
        return undefined
      }
    },
    search: async (word, extension) => {
      try {
        const { stdout } = await git(
          'git',
          ['-C', place, 'grep', '-l', '-w', '-F', '-z', '-e', word, commit, '--', `*${extension}`],
          { maxBuffer: 64 << 20 },
        )
        return stdout
          .split('\0')
          .filter(Boolean)
          .map((line) => line.slice(commit.length + 1))
          .slice(0, 200)
      } catch {
        return []
      }
    },
  })
  return {
    result: reader(sample.merge),
    ours: reader(`${sample.merge}^1`),
    theirs: reader(`${sample.merge}^2`),
  }
}

function showMissed(sample: Sample, name: string, spoiled: string, checks: readonly CheckReport[]): void {
  const [before, after] = [sample.human.split('\n'), spoiled.split('\n')]
  const at = before.findIndex((line, i) => line !== after[i])
  console.log(`missed "${name}" ${sample.repository} ${sample.merge.slice(0, 10)} ${sample.path}:${at + 1}`)
  for (const line of before.slice(at, at + 3)) console.log(`   - ${line}`)
  for (const line of after.slice(at, at + 3)) console.log(`   + ${line}`)
  for (const { layer, outcome, reason } of checks)
    console.log(`   ${layer} ${outcome}: ${reason.slice(0, 160)}`)
}

function report(): void {
  const share = ([of, some]: readonly [number, number]): string =>
    of === 0 ? '-' : `${((100 * some) / of).toFixed(1)} %`
  console.log(
    `\n| corruption | tried | caught | by syntax | by security | by semantics |\n|---|---|---|---|---|---|`,
  )
  for (const [name, { tried, caught, byLayer }] of rows)
    console.log(
      `| ${name} | ${tried} | ${share([tried, caught])} | ${['syntax', 'security', 'semantics'].map((layer) => share([tried, byLayer[layer] ?? 0])).join(' | ')} |`,
    )
  console.log(`\n| true resolutions | files | rejected |\n|---|---|---|`)
  console.log(`| all | ${rejections.all[0]} | ${share(rejections.all)} |`)
  console.log(
    `| made only of lines of the three versions | ${rejections.own[0]} | ${share(rejections.own)} |`,
  )
  console.log(
    `| with lines people wrote while merging | ${rejections.edited[0]} | ${share(rejections.edited)} |`,
  )
  console.log(`| left out: committed with conflict markers | ${unresolved} | |`)
  for (const [name, count] of repositories) console.log(`| ${name} | ${count[0]} | ${share(count)} |`)
  console.log(
    `\nrules that rejected true resolutions: ${[...rules]
      .toSorted((a, b) => b[1] - a[1])
      .map(([rule, n]) => `${rule} ${n}`)
      .join(', ')}`,
  )
  const sorted = times.toSorted((a, b) => a - b)
  const quantile = (q: number): string => (sorted[Math.floor(sorted.length * q)] ?? 0).toFixed(1)
  console.log(
    `time per file, layers 1 to 3: median ${quantile(0.5)} ms, 90 % ${quantile(0.9)} ms, 99 % ${quantile(0.99)} ms (${samples.length} files)`,
  )
}
