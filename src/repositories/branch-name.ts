import { refuse } from '#lib/errors.ts'

// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0020\u007f~^:?*[\\]/

/** Git's own rules (git check-ref-format --branch), and no name that git would take for something else. */
export function checkBranchName(name: string): string {
  const problem = problemOf(name)
  if (problem === undefined) return name
  throw refuse('branch_name', { branch: JSON.stringify(name.slice(0, 200)), problem })
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'it is empty.'
  // refs/heads/NAME.lock must fit into a file name of the file system, part by part; 200 leaves room.
  if (Buffer.byteLength(name) > 200) return 'it is longer than 200 bytes.'
  if (!name.isWellFormed()) return 'it is not valid Unicode.'
  if (FORBIDDEN.test(name)) return 'it has a space, a control character or one of ~ ^ : ? * [ \\.'
  if (name.startsWith('-')) return 'it begins with a dash.'
  if (name === '@' || name === 'HEAD') return 'git uses that name itself.'
  if (name.startsWith('refs/')) return 'give the branch without refs/heads/.'
  if (name.includes('..') || name.includes('@{')) return 'it has ".." or "@{".'
  if (name.endsWith('.')) return 'it ends with a dot.'
  for (const part of name.split('/')) {
    if (part === '') return 'it has an empty part between slashes.'
    if (part.startsWith('.')) return 'a part of it begins with a dot.'
    if (part.toLowerCase().endsWith('.lock')) return 'a part of it ends with ".lock".'
  }
  return undefined
}
