/** Bundles for our own storage: what must survive when a mirror vanishes. They are checked again when they come back. */
import { open, rename, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { readBundleHeader, writeBundleFile } from './bundle-file.ts'
import { RESULT_REF } from './collect.ts'
import { keptAs } from './names.ts'
import { missingCommits, writeRef, type Place } from './place.ts'
import { openQuarantine, readPack } from './quarantine.ts'
import { GitFailure } from './run-git.ts'

const LARGEST_FILE_BYTES = 2 * 1024 ** 3

/** Written whole or not at all. Commits in `without` that are not here are passed over, so the bundle holds more, never less. */
export async function writeBundle(
  place: Place,
  content: { readonly commit: string; readonly without: readonly string[] },
  file: string,
): Promise<void> {
  const { commit } = content
  const draft = `${file}.${randomUUID()}`
  const write = async (without: readonly string[]) => {
    await rm(draft, { force: true })
    await writeBundleFile(draft, { ref: RESULT_REF, commit, without }, { repository: place.path })
  }
  try {
    await write(content.without).catch(async (error: unknown) => {
      const missing = new Set(await missingCommits(place, content.without))
      if (missing.size === 0) throw error
      await write(content.without.filter((one) => !missing.has(one)))
    })
    await rename(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Brings the commit back under refs/flowforge/restored/COMMIT. `refetch` is asked when the bundle builds on what is not here. */
export async function restoreBundle(place: Place, file: string, refetch: () => Promise<void>): Promise<void> {
  await using handle = await open(file, 'r')
  const header = await readBundleHeader(handle)
  if ('problem' in header) throw new Error(`the bundle ${file} cannot be read: ${header.problem}`)
  const commit = header.refs.get(RESULT_REF)
  if (commit === undefined) throw new Error(`the bundle ${file} has no ${RESULT_REF}`)
  if ((await missingCommits(place, header.prerequisites)).length > 0) await refetch()
  await using quarantine = await openQuarantine(place)
  const answer = await readPack(quarantine, place, { handle, header, fileBytes: LARGEST_FILE_BYTES })
  if (answer.code !== 0) throw new GitFailure('index-pack', answer)
  await quarantine.accept()
  await writeRef(place, keptAs(`restored/${commit}`), commit)
}
