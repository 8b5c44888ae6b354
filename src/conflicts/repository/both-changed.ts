/** The files that both sides changed and git merged: their result is neither side's. */
import { decodePath } from './merge-tree.ts'
import { mustRun, type Shadow } from './shadow.ts'

export type MergedFile = {
  readonly path: string
  readonly base: string
  readonly ours: string
  readonly theirs: string
  readonly result: string
}

export async function mergedByBoth(
  shadow: Shadow,
  { ours, theirs, tree }: { readonly ours: string; readonly theirs: string; readonly tree: string },
): Promise<readonly MergedFile[]> {
  const asked = await shadow.run(['merge-base', ours, theirs])
  const base = asked.stdout.toString('latin1').trim()
  if (asked.code !== 0 || base === '') return []
  const left = await changes(shadow, base, ours)
  const right = await changes(shadow, base, theirs)
  const merged = await changes(shadow, base, tree)
  const found: MergedFile[] = []
  for (const [path, { from, to }] of left) {
    const other = right.get(path)
    const result = merged.get(path)
    if (!other || !result || other.to === to || result.to === to || result.to === other.to) continue
    found.push({ path, base: from, ours: to, theirs: other.to, result: result.to })
  }
  return found
}

/** Modified regular files between two trees. */
async function changes(
  shadow: Shadow,
  from: string,
  to: string,
): Promise<Map<string, { from: string; to: string }>> {
  const output = await mustRun(shadow, ['diff-tree', '-r', '-z', '--diff-filter=M', '--no-renames', from, to])
  const records = output.toString('latin1').split('\0')
  const found = new Map<string, { from: string; to: string }>()
  for (let i = 0; i + 1 < records.length; i += 2) {
    const [, mode, a, b] = /^:100\d{3} (100\d{3}) ([0-9a-f]+) ([0-9a-f]+) M$/.exec(records[i] ?? '') ?? []
    if (mode && a && b) found.set(decodePath(records[i + 1] ?? ''), { from: a, to: b })
  }
  return found
}
