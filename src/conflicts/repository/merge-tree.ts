/**
 * `git merge-tree --write-tree`: the merge of two commits in the object database, and what is left of it.
 *
 * The message records at the end name the kinds of conflict. Git 2.39 prints advice about submodules between them in free
 * text; reading therefore stops at the first thing that is no record, and kinds then come from the stages alone.
 */
import type { Shadow } from './shadow.ts'
import { GitFailed } from './run.ts'

export type Stage = { readonly mode: string; readonly id: string }

export type UnmergedPath = {
  readonly path: string
  /** The path's bytes as latin1: a name that is not UTF-8 comes back as it was. */
  readonly rawPath: string
  readonly base?: Stage
  readonly ours?: Stage
  readonly theirs?: Stage
}

export type TreeMerge =
  | {
      readonly kind: 'merged'
      readonly clean: boolean
      readonly tree: string
      readonly unmerged: readonly UnmergedPath[]
      readonly messages: readonly MergeMessage[]
    }
  | { readonly kind: 'unrelated' }

export type MergeMessage = { readonly type: string; readonly paths: readonly string[]; readonly text: string }

export async function mergeTree(
  shadow: Shadow,
  ours: string,
  theirs: string,
  signal?: AbortSignal,
): Promise<TreeMerge> {
  const result = await shadow.run(['merge-tree', '--write-tree', '-z', '--messages', ours, theirs], {
    signal,
  })
  if (result.code > 1 && /unrelated histories/.test(result.stderr)) return { kind: 'unrelated' }
  if (result.code > 1 || result.code < 0) throw new GitFailed('merge-tree', result)
  return parseMergeTree(result.stdout, result.code === 0)
}

/** Paths are bytes; they are carried as latin1 inside and turned to UTF-8 where that gives the bytes back. */
export function parseMergeTree(output: Buffer, clean: boolean): TreeMerge {
  const records = output.toString('latin1').split('\0')
  const tree = (records.shift() ?? '').trim()
  const unmerged = new Map<
    string,
    { path: string; rawPath: string; base?: Stage; ours?: Stage; theirs?: Stage }
  >()
  for (let record = records.shift(); record; record = records.shift()) {
    const [, mode, id, stage, rawPath] = /^(\d+) ([0-9a-f]+) ([123])\t([\s\S]+)$/.exec(record) ?? []
    if (!mode || !id || !rawPath) break
    const path = decodePath(rawPath)
    const entry = unmerged.get(rawPath) ?? { path, rawPath }
    entry[stage === '1' ? 'base' : stage === '2' ? 'ours' : 'theirs'] = { mode, id }
    unmerged.set(rawPath, entry)
  }
  const messages: MergeMessage[] = []
  while (records.length > 1) {
    const count = Number(records.shift())
    if (!Number.isInteger(count) || count < 0 || count > records.length - 2) break
    const paths = records.splice(0, count).map(decodePath)
    const [type = '', text = ''] = records.splice(0, 2)
    messages.push({ type, paths, text: decodePath(text).trim() })
  }
  return { kind: 'merged', clean, tree, unmerged: [...unmerged.values()], messages }
}

export function decodePath(latin1: string): string {
  const utf8 = Buffer.from(latin1, 'latin1').toString('utf8')
  return Buffer.from(utf8, 'utf8').toString('latin1') === latin1 ? utf8 : latin1
}
