import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '#lib/ids.ts'
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
