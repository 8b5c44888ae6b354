import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isUuid, newId } from '#lib/ids.ts'
import type { Work } from './work.ts'

/** A private folder for files on their way between git, sandbox and storage; gone when the scope ends. */
export type Scratch = AsyncDisposable & { path(name: string): string }

export async function openScratch({ claim, tools }: Pick<Work, 'claim' | 'tools'>): Promise<Scratch> {
  const directory = join(tools.settings.scratchDirectory, `${claim.executionId}.${newId()}`)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return {
    path: (name) => join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** Removes what executions have left whose worker was killed. */
export async function sweepScratch(
  directory: string,
  isCurrent: (executionId: string) => Promise<boolean>,
): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const executionId = name.split('.')[0] ?? ''
    if (isUuid(executionId) && !(await isCurrent(executionId)))
      await rm(join(directory, name), { recursive: true, force: true })
  }
}
