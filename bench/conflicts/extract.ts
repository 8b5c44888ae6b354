/**
 * Writes the conflicted files of a history to a folder, so that many runs of the engine can be compared on the same cases.
 *
 *   node bench/conflicts/extract.ts REPOSITORY OUTPUT-FOLDER [SINCE] [UNTIL]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { pastMerges, replayConflicts } from '../../src/conflicts/repository/history.ts'
import { openObjects } from '../../src/conflicts/repository/objects.ts'
import { openShadow } from '../../src/conflicts/repository/shadow.ts'

const [repository = '', output = '', since, until] = process.argv.slice(2)
mkdirSync(output, { recursive: true })
await using shadow = await openShadow(repository, { keeps: false })
using objects = openObjects(shadow)
const merges = await pastMerges(shadow, { ...(since && { since }), ...(until && { until }) })
let conflicted = 0
let files = 0
const seen = new Set<string>()
const next = merges.values()
await Promise.all(
  Array.from({ length: 3 }, async () => {
    for (const merge of next) {
      const conflicts = await replayConflicts(shadow, objects, merge).catch((error: unknown) => {
        console.error(merge.commit, error)
        return undefined
      })
      if (!conflicts) continue
      conflicted++
      for (const [index, { path, kind, base, ours, theirs, human }] of conflicts.entries()) {
        const text = (content: Buffer | undefined): string | null => content?.toString('base64') ?? null
        const record = {
          merge,
          path,
          kind,
          base: text(base),
          ours: text(ours),
          theirs: text(theirs),
          human: text(human),
        }
        const same = `${path}\0${record.base}\0${record.ours}\0${record.theirs}`
        if (seen.has(same)) continue
        seen.add(same)
        files++
        writeFileSync(
          `${output}/${merge.commit.slice(0, 12)}-${index}.json.gz`,
          gzipSync(JSON.stringify(record)),
        )
      }
    }
  }),
)
console.log(`${merges.length} merges, ${conflicted} conflicted, ${files} different conflicted files`)
