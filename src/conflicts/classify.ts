/** What sort of conflict a path has, from its stages, git's messages and the contents. */
import { isUtf8 } from 'node:buffer'
import type { ConflictKind, Versions } from './conflict.ts'
import type { MergeMessage, Stage, UnmergedPath } from './repository/merge-tree.ts'
import { lineEndingOf } from './text/lines.ts'

export const MAX_FILE_BYTES = 8 * 1024 ** 2

export type PathEvidence = {
  readonly unmerged: UnmergedPath
  readonly messages: readonly MergeMessage[]
  readonly base: Buffer | undefined
  readonly ours: Buffer | undefined
  readonly theirs: Buffer | undefined
}

export function classifyPath({ unmerged, messages, base, ours, theirs }: PathEvidence): ConflictKind {
  const stages = [unmerged.base, unmerged.ours, unmerged.theirs].filter((stage) => stage !== undefined)
  const types = messages.filter(({ paths }) => paths.includes(unmerged.path)).map(({ type }) => type)
  const said = (word: string): boolean => types.some((type) => type.includes(word))
  if (stages.some(({ mode }) => mode === '160000') || said('submodule')) return 'submodule'
  if (said('directory rename') || said('implicit dir rename')) return 'directory-rename'
  if (said('file/directory')) return 'file/directory'
  if (said('rename/rename')) return 'rename/rename'
  if (said('rename/delete')) return 'rename/delete'
  if (said('rename/add') || said('rename involved in collision')) return 'rename/add'
  if (stages.some(({ mode }) => mode === '120000')) return 'symlink'
  if (!unmerged.ours || !unmerged.theirs) return 'modify/delete'
  if (isModeConflict(unmerged.base, unmerged.ours, unmerged.theirs)) return 'mode'
  if (said('binary')) return 'binary'
  const path = unmerged.path
  const empty = Buffer.alloc(0)
  return classifyContent({
    path,
    base: base ?? empty,
    ours: ours ?? empty,
    theirs: theirs ?? empty,
    baseless: !unmerged.base,
  })
}

/** The kind of a conflict between three contents. */
export function classifyContent(versions: Versions): ConflictKind {
  const all = [versions.base, versions.ours, versions.theirs]
  if (all.some((content) => content.length > MAX_FILE_BYTES)) return 'too-large'
  if (all.some(isLfsPointer)) return 'lfs-pointer'
  if (all.some(isBinary)) return 'binary'
  const written = all.filter((content) => content.length > 0)
  if (new Set(written.map((content) => isUtf8(content))).size > 1) return 'encoding'
  const endings = written.map((content) => lineEndingOf(content.toString('latin1')))
  if (new Set(endings.filter((ending) => ending !== 'none')).size > 1) return 'line-endings'
  return versions.baseless ? 'add/add' : 'content'
}

/** As git decides it: a NUL in the first 8,000 bytes. UTF-16 is caught by it, too. */
export function isBinary(content: Buffer): boolean {
  return content.subarray(0, 8000).includes(0)
}

const isLfsPointer = (content: Buffer): boolean =>
  content.length < 1024 && content.toString('latin1').startsWith('version https://git-lfs.github.com/spec/')

/** Both sides changed the executable bit, differently, or it is new and differs. */
function isModeConflict(base: Stage | undefined, ours: Stage, theirs: Stage): boolean {
  return ours.mode !== theirs.mode && ours.mode !== base?.mode && theirs.mode !== base?.mode
}
