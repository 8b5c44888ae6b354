/**
 * Runs the engine on a suite of cases: folders that hold Base, Left, Right and Expected with one extension
 * (base, ours, theirs, expected do as well). A case without Expected has a conflict as its right answer.
 *
 *   node bench/conflicts/suite.ts [--verbose] FOLDER
 */
import { globSync, existsSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { mergeFile } from '../../src/conflicts/merge-file.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { verbose: { type: 'boolean' } },
})
const [folder = ''] = positionals
const bare = (content: Buffer): string => content.toString('utf8').replaceAll(/\s+/g, '')
const counts = { cases: 0, exact: 0, bare: 0, wrongClean: 0, missed: 0, rightConflict: 0 }
for (const base of globSync([`${folder}/**/Base.*`, `${folder}/**/base.*`])) {
  const at = dirname(base)
  const version = (...names: readonly string[]): string | undefined =>
    names.map((name) => join(at, name + extname(base))).find((file) => existsSync(file))
  const ours = version('Left', 'ours', 'left')
  const theirs = version('Right', 'theirs', 'right')
  const expectedFile = version('Expected', 'expected')
  if (!ours || !theirs) continue
  const outcome = await mergeFile({
    base: readFileSync(base),
    ours: readFileSync(ours),
    theirs: readFileSync(theirs),
    path: `case${extname(base)}`,
  })
  const expected = expectedFile ? readFileSync(expectedFile) : Buffer.from('<<<<<<<')
  const isConflict = expected.includes('<<<<<<<')
  counts.cases++
  const clean = outcome.outcome === 'resolved' && outcome.result !== undefined
  let verdict: string
  if (isConflict) {
    verdict = clean ? 'wrong-clean' : 'right-conflict'
    if (clean) counts.wrongClean++
    else counts.rightConflict++
  } else if (!clean) {
    verdict = `missed (${outcome.rungs.map(({ rung, outcome: o, reason }) => `${rung} ${o}: ${reason}`).join(' | ')})`
    counts.missed++
  } else if (outcome.result?.equals(expected)) {
    verdict = 'exact'
    counts.exact++
    counts.bare++
  } else if (outcome.result && bare(outcome.result) === bare(expected)) {
    verdict = 'equal, white space aside'
    counts.bare++
  } else {
    verdict = 'different'
    counts.wrongClean++
  }
  if (values.verbose) console.log(at.slice(folder.length), verdict)
}
console.log(JSON.stringify(counts))
