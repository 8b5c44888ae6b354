/**
 * Runs the engine on extracted cases (see extract.ts) and compares with what people committed.
 *
 *   node bench/conflicts/run.ts [--before YYYY-MM-DD] [--after YYYY-MM-DD] [--wrong FOLDER] [--missed FOLDER] [--no-checks] CASES-FOLDER...
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import type { ConflictKind, FileOutcome } from '../../src/conflicts/conflict.ts'
import { resolveFile } from '../../src/conflicts/resolve.ts'
import { compare } from '../../src/conflicts/compare.ts'
import { mergeFile } from '../../src/conflicts/merge-file.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    before: { type: 'string' },
    after: { type: 'string' },
    wrong: { type: 'string' },
    missed: { type: 'string' },
    checks: { type: 'boolean', default: true },
    path: { type: 'string' },
    verbose: { type: 'boolean' },
  },
  allowNegative: true,
})

type Record_ = {
  merge: { commit: string; time: number }
  path: string
  kind: ConflictKind
  base: string | null
  ours: string | null
  theirs: string | null
  human: string | null
}
const bytes = (text: string | null): Buffer => Buffer.from(text ?? '', 'base64')
const bare = (content: Buffer): string => content.toString('latin1').replaceAll(/\s+/g, '')
const lines = (content: Buffer): string[] =>
  content
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim())

type Tally = {
  files: number
  resolved: number
  equal: number
  wrong: number
  wrongNew: number
  declined: number
  reordered: number
}
const tallies = new Map<string, Tally>()
const empty = (): Tally => ({
  files: 0,
  resolved: 0,
  equal: 0,
  wrong: 0,
  wrongNew: 0,
  declined: 0,
  reordered: 0,
})
function count(key: string, add: Partial<Tally>): void {
  const tally = tallies.get(key) ?? empty()
  for (const [name, n] of Object.entries(add) as [keyof Tally, number][]) tally[name] += n
  tallies.set(key, tally)
}
const times: number[] = []

function dump(folder: string, name: string, record: Record_, outcome: FileOutcome): void {
  const at = `${folder}/${name}`
  mkdirSync(at, { recursive: true })
  for (const version of ['base', 'ours', 'theirs', 'human'] as const)
    writeFileSync(`${at}/${version}`, bytes(record[version]))
  writeFileSync(`${at}/result`, outcome.result ?? '')
  writeFileSync(`${at}/info`, JSON.stringify({ ...outcome, merge: record.merge, result: undefined }, null, 1))
}

for (const folder of positionals) {
  for (const file of readdirSync(folder)) {
    const record = JSON.parse(gunzipSync(readFileSync(`${folder}/${file}`)).toString('utf8')) as Record_
    const day = new Date(record.merge.time * 1000).toISOString().slice(0, 10)
    if ((values.before && day >= values.before) || (values.after && day < values.after)) continue
    if (values.path && !record.path.includes(values.path)) continue
    // Three versions, or two of an added file; the person kept the file.
    if (record.ours === null || record.theirs === null || record.human === null) continue
    if (record.base === null) continue
    const versions = {
      base: bytes(record.base),
      ours: bytes(record.ours),
      theirs: bytes(record.theirs),
      path: record.path,
    }
    const started = performance.now()
    const outcome = await (values.checks ? mergeFile(versions) : resolveFile(versions))
    times.push(performance.now() - started)
    const human = bytes(record.human)
    const extension = record.path.slice(record.path.lastIndexOf('/') + 1).replace(/^.*\./, '.')
    const keys = ['all', `repository ${folder.slice(folder.lastIndexOf('/') + 1)}`, `ext ${extension}`]
    const resolved = outcome.outcome === 'resolved'
    if (resolved)
      keys.push(
        `rung ${outcome.rung ?? ''}`,
        `regions ${outcome.rung} ${Math.min(outcome.regions.length, 6)}`,
        `how ${outcome.reason.slice(0, 60)}`,
      )
    for (const report of outcome.rungs)
      if (report.outcome === 'rejected') {
        keys.push(`rejected ${report.rung}`)
        if (values.verbose) console.log('rejected', record.path, report.rung, report.reason)
      }
    const equal = resolved && outcome.result !== undefined && bare(outcome.result) === bare(human)
    const known = new Set([...lines(versions.base), ...lines(versions.ours), ...lines(versions.theirs)])
    const own = lines(human).some((line) => line !== '' && !known.has(line))
    const reordered =
      resolved && !equal && outcome.result !== undefined && compare(outcome.result, human, []).reordered
    for (const key of keys)
      count(key, {
        reordered: Number(reordered),
        files: 1,
        resolved: Number(resolved),
        equal: Number(equal),
        wrong: Number(resolved && !equal),
        wrongNew: Number(resolved && !equal && own),
        declined: Number(outcome.outcome === 'declined'),
      })
    if (resolved && !equal && values.wrong) dump(values.wrong, file.slice(0, -8), record, outcome)
    if (!resolved && values.missed && !own) dump(values.missed, file.slice(0, -8), record, outcome)
  }
}
const { closeParsers } = await import('../../src/conflicts/checks/index.ts')
closeParsers()

times.sort((a, b) => a - b)
const percent = (part: number, of: number): string => (of === 0 ? '-' : `${((100 * part) / of).toFixed(1)} %`)
for (const [key, t] of [...tallies].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
  if (key.startsWith('ext') && t.files < 8) continue
  console.log(
    `${key.padEnd(66)} files ${String(t.files).padStart(5)}  resolved ${String(t.resolved).padStart(4)}  equal ${String(t.equal).padStart(4)} (${percent(t.equal, t.files)})  wrong ${String(t.wrong).padStart(4)} (${percent(t.wrong, t.resolved)} of resolved; ${t.reordered} only reordered; human wrote new lines in ${t.wrongNew})  declined ${t.declined}`,
  )
}
console.log(
  `median ${times[times.length >> 1]?.toFixed(1)} ms, p95 ${times[Math.floor(times.length * 0.95)]?.toFixed(1)} ms, max ${times.at(-1)?.toFixed(0)} ms`,
)
