import { refuse, type Refusal } from '#lib/errors.ts'

/** A folder that is full, read-only or not ours is for the operator to mend: the refusal that says so, or undefined. */
export function homeProblem(home: string, error: unknown): Refusal | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? String(error.code) : ''
  const isFull = code === 'ENOSPC' || /no space left on device/i.test(error.message)
  // Of a socket or a program the other codes mean something else.
  const isOfHome = 'path' in error && String(error.path).startsWith(home)
  const problem = isFull ? PROBLEMS['ENOSPC'] : isOfHome || code === 'EDQUOT' ? PROBLEMS[code] : undefined
  return problem === undefined ? undefined : refuse('home_unusable', { home, problem }, error)
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'it may not be written by this user. Set FLOWFORGE_HOME to a folder of yours.',
  EPERM: 'it may not be written by this user. Set FLOWFORGE_HOME to a folder of yours.',
  EROFS: 'it lies on a disk that is read-only. Set FLOWFORGE_HOME to a folder that can be written.',
  ENOSPC: 'no space is left on its disk. Free some, or set FLOWFORGE_HOME to a larger disk.',
  EDQUOT: 'the quota of its disk is used up. Free some space, or set FLOWFORGE_HOME to a larger disk.',
  ENOTDIR: 'a part of its path is a file. Set FLOWFORGE_HOME to a folder.',
  EEXIST: 'it is a file. Set FLOWFORGE_HOME to a folder.',
}
