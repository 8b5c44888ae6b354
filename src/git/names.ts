/** Names that come from outside, checked before git sees them. Whatever passes here can be neither an option nor a path trick. */

const COMMIT = /^[0-9a-f]{40}$/
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0020\u007f~^:?*[\\]/

export function isCommitId(text: string): boolean {
  return COMMIT.test(text)
}

/** What is wrong with a branch name by git's own rules (git-check-ref-format), as a sentence; undefined when it is fine. */
export function branchNameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty.'
  if (Buffer.byteLength(name) > 200) return 'it is longer than 200 bytes.'
  if (FORBIDDEN.test(name)) return 'it has a space, a control character or one of ~ ^ : ? * [ \\.'
  if (name.startsWith('-')) return 'it begins with a dash.'
  if (name === '@' || name === 'HEAD') return 'git uses that name itself.'
  if (name.includes('..') || name.includes('@{')) return 'it has ".." or "@{".'
  if (name.endsWith('.')) return 'it ends with a dot.'
  if (!name.isWellFormed()) return 'it is not valid Unicode.'
  for (const part of name.split('/')) {
    if (part === '') return 'it has an empty part between slashes.'
    if (part.startsWith('.')) return 'a part of it begins with a dot.'
    if (part.toLowerCase().endsWith('.lock')) return 'a part of it ends with ".lock".'
  }
  return undefined
}

/** The full name of a branch at a remote. A name that fails here was not checked where it came in, which is a bug. */
export function headOf(branch: string): string {
  return `refs/heads/${checked(branch)}`
}

/** Where the mirror keeps a remote branch. */
export function trackingOf(branch: string): string {
  return `refs/remotes/origin/${checked(branch)}`
}

/** A ref of our own, never pruned. */
export function keptAs(name: string): string {
  return `refs/flowforge/${checked(name)}`
}

export function commitId(text: string): string {
  if (!isCommitId(text)) throw new Error(`not a commit id: ${JSON.stringify(text.slice(0, 80))}`)
  return text
}

function checked(name: string): string {
  const problem = branchNameProblem(name)
  if (problem) throw new Error(`not a ref name: ${JSON.stringify(name.slice(0, 80))}: ${problem}`)
  return name
}
