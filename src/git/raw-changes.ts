import { commitId } from './names.ts'
import type { RawChange } from './path-rules.ts'
import type { ChangedPath } from './outcomes.ts'
import type { Place } from './place.ts'
import { gitBytes } from './run-git.ts'

/** A commit as `git log --raw` tells it. */
export type RawCommit = {
  readonly id: string
  readonly parents: readonly string[]
  readonly changes: readonly RawChange[]
}

/** For `git log -z --raw`: readRawLog reads what comes out. */
export const RAW_LOG = ['-z', '--raw', '-r', '--no-abbrev', '--no-renames', '--format=%x01%H %P%x01']

/** Reads NUL-separated records. A merge is told once for each parent (-m), so an id may come several times. */
export function readRawLog(output: Buffer): readonly RawCommit[] {
  const commits: { id: string; parents: readonly string[]; changes: RawChange[] }[] = []
  const fields = splitAtNul(output)
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at]!
    // eslint-disable-next-line no-control-regex
    const header = /^\n?\u0001([0-9a-f]{40}) ([0-9a-f ]*)\u0001$/.exec(field.toString('latin1'))
    if (header) {
      commits.push({ id: header[1]!, parents: header[2]!.split(' ').filter(Boolean), changes: [] })
    } else if (field.length > 0) {
      commits.at(-1)?.changes.push(readChange(field, fields[++at]))
    }
  }
  return commits
}

/** The changes between two commits, in one process. */
export async function changedPaths(
  place: Place,
  between: { readonly from: string; readonly to: string },
  env: Readonly<Record<string, string>> = {},
): Promise<readonly ChangedPath[]> {
  const { from, to } = between
  const args = ['diff-tree', '-r', '-z', '--raw', '--no-abbrev', '--no-renames', commitId(from), commitId(to)]
  const fields = splitAtNul(await gitBytes({ repository: place.path, args, env }))
  const changes: RawChange[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) changes.push(readChange(fields[at]!, fields[at + 1]))
  return changes.map(asChangedPath)
}

const CHANGES = { A: 'added', D: 'deleted', T: 'type-changed' } as const

export function asChangedPath({ path, status }: RawChange): ChangedPath {
  const change = status === 'A' || status === 'D' || status === 'T' ? CHANGES[status] : 'modified'
  return { path: path.toString('utf8'), change }
}

export function splitAtNul(output: Buffer): readonly Buffer[] {
  const fields: Buffer[] = []
  for (let start = 0, end = 0; start < output.length; start = end + 1) {
    end = output.indexOf(0, start)
    if (end < 0) end = output.length
    fields.push(output.subarray(start, end))
  }
  return fields
}

function readChange(meta: Buffer, path: Buffer | undefined): RawChange {
  const parts = /^\n?:(\d{6}) (\d{6}) [0-9a-f]{40} ([0-9a-f]{40}) ([A-Z])\d*$/.exec(meta.toString('latin1'))
  if (!parts || path === undefined) throw new Error('git answered --raw in a form that is not known')
  const [, oldMode = '', newMode = '', newId = '', status = ''] = parts
  return { path, status, oldMode, newMode, newId }
}
