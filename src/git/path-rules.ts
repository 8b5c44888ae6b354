/**
 * Which paths may come out of a sandbox. Git's own check (fsck) runs before; these rules add what it lets through and
 * what would hurt somebody who checks the branch out on macOS or Windows.
 */
import { posix } from 'node:path'

/** One entry of `git diff --raw`. */
export type RawChange = {
  readonly path: Buffer
  readonly status: string
  readonly oldMode: string
  readonly newMode: string
  readonly newId: string
}

export const SYMLINK = '120000'
const SUBMODULE = '160000'
const DEVICES = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i
/** Code points that HFS+ leaves out when it compares names: `.g\u200cit` is `.git` there. */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

/** What is wrong with one change, as a sentence; undefined when nothing is. Deletions are always fine. */
export function changeProblem(change: RawChange, limits: { readonly pathBytes: number }): string | undefined {
  if (change.newMode === '000000') return undefined
  const path = change.path.toString('utf8')
  const shown = JSON.stringify(path.slice(0, 200))
  if (change.path.length > limits.pathBytes)
    return `the path ${shown} is longer than ${limits.pathBytes} bytes.`
  if (!Buffer.from(path, 'utf8').equals(change.path)) return `the path ${shown} is not valid UTF-8.`
  if (CONTROL.test(path)) return `the path ${shown} has a control character.`
  if (path.startsWith('/') || path.split('/').some((part) => part === '' || part === '.' || part === '..'))
    return `the path ${shown} leaves the work tree.`
  if (path.split('/').some(isGitFolder)) return `the path ${shown} reaches into a git directory.`
  if (change.newMode === SUBMODULE) return `${shown} is a submodule; submodules are not taken.`
  if (path.toLowerCase() === '.gitmodules')
    return 'the file .gitmodules was changed; submodules are not taken.'
  if (change.newMode === SYMLINK && /(^|\/)\.git[^/]*$/i.test(path)) return `${shown} is a symbolic link.`
  // Old names are the repository's own affair.
  return change.oldMode === '000000' ? portabilityProblem(path, shown) : undefined
}

/** Whether a path component means .git on some file system: case, HFS+, NTFS short names, streams, dots and spaces at the end. */
export function isGitFolder(part: string): boolean {
  const plain = part.replaceAll(HFS_IGNORED, '').toLowerCase()
  const ntfs = plain.split(/[\\:]/).map((piece) => piece.replace(/[. ]+$/, ''))
  return plain === '.git' || ntfs.some((piece) => piece === '.git' || /^git~\d+$/.test(piece))
}

function portabilityProblem(path: string, shown: string): string | undefined {
  if (path.includes('\\')) return `the path ${shown} has a backslash.`
  for (const part of path.split('/')) {
    if (DEVICES.test(part)) return `the path ${shown} uses a name that Windows reserves.`
    if (/[. ]$/.test(part)) return `a part of the path ${shown} ends with a dot or a space.`
  }
  return undefined
}

/**
 * What is wrong with the target of a symbolic link at `path`. Steps up are only allowed at the beginning: `a/../..` can
 * leave the tree through another link although it does not look so, `../../a` cannot.
 */
export function linkProblem(path: string, target: Buffer): string | undefined {
  const text = target.toString('utf8')
  const shown = `the symbolic link ${JSON.stringify(path.slice(0, 200))}`
  if (target.length === 0 || target.length > 4000 || CONTROL.test(text) || text.includes('\\'))
    return `${shown} has a target that is not valid.`
  if (text.startsWith('/')) return `${shown} points to an absolute path.`
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  const firstName = parts.findIndex((part) => part !== '..')
  if (firstName >= 0 && parts.slice(firstName).includes('..'))
    return `${shown} goes up again after a name in its target.`
  if (parts.some(isGitFolder)) return `${shown} points into a git directory.`
  const landing = posix.normalize(posix.join(posix.dirname(path), text))
  if (landing === '..' || landing.startsWith('../')) return `${shown} points out of the work tree.`
  return undefined
}

/**
 * Pairs of names in `all` that a file system which ignores case takes for one, as far as `added` paths touch them.
 * Both may be old; the caller knows the base.
 */
export function collisions(
  all: readonly string[],
  added: readonly string[],
): readonly (readonly [string, string])[] {
  const wanted = new Map<string, Set<string>>()
  for (const path of added) for (const prefix of prefixes(path)) wanted.set(fold(prefix), new Set())
  for (const path of all) for (const prefix of prefixes(path)) wanted.get(fold(prefix))?.add(prefix)
  return [...wanted.values()].flatMap((names) => {
    const [one, two] = [...names]
    return one !== undefined && two !== undefined ? [[one, two] as const] : []
  })
}

function prefixes(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}

function fold(name: string): string {
  return name.replaceAll(HFS_IGNORED, '').normalize('NFC').toLowerCase().normalize('NFC')
}
