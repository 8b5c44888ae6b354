import { refuse } from '#lib/errors.ts'
import { runGit } from './run-git.ts'

/** merge-tree --write-tree came with 2.38; http.curloptResolve and cat-file's formats are older. */
export const NEEDED_GIT = '2.38'

/** The version of git on this machine, or undefined when there is none. */
export async function gitVersion(): Promise<string | undefined> {
  const answer = await runGit({ args: ['version'] }).catch(() => undefined)
  return /^git version (\d+\.\d+(?:\.\d+)?)/.exec(answer?.stdout.toString('utf8') ?? '')?.[1]
}

/** Refuses a machine without git, or with one that is too old. */
export async function requireGit(version?: string): Promise<string> {
  const found = version ?? (await gitVersion())
  const remedy =
    process.platform === 'darwin' ? 'Install it: brew install git' : 'Install it: apt-get install git'
  if (found === undefined)
    throw refuse('git_missing', { needed: NEEDED_GIT, problem: 'none was found.', remedy })
  if (!isEnough(found))
    throw refuse('git_missing', { needed: NEEDED_GIT, problem: `this is ${found}.`, remedy })
  return found
}

function isEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [neededMajor = 0, neededMinor = 0] = NEEDED_GIT.split('.').map(Number)
  return major > neededMajor || (major === neededMajor && minor >= neededMinor)
}
