/** Every result leaves a pack; hundreds of packs make every lookup slow. They are rolled up now and then. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#telemetry'
import type { Place } from './place.ts'
import { git } from './run-git.ts'

const PACKS = 64
const LEFT_OVER_MS = 6 * 3600_000
const busy = new Set<string>()

/** Answers at once when there is nothing to do. One at a time for each mirror in this process; git's own locks do the rest. */
export async function tidy(place: Pick<Place, 'path' | 'repository'>, log: Log): Promise<void> {
  if (busy.has(place.path)) return
  busy.add(place.path)
  try {
    const names = await readdir(join(place.path, 'objects', 'pack'))
    if (names.filter((name) => name.endsWith('.pack')).length < PACKS) return
    await git({
      repository: place.path,
      args: ['repack', '-d', '--geometric=2', '-q'],
      silenceMs: 30 * 60_000,
    })
    await removeLeftOvers(join(place.path, 'flowforge', 'quarantine'))
  } catch (error) {
    log.warn({ err: error, repository: place.repository.id }, 'git.not-tidied')
  } finally {
    busy.delete(place.path)
  }
}

/** Quarantines of processes that were killed. */
async function removeLeftOvers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > LEFT_OVER_MS)
      await rm(join(folder, name), { recursive: true, force: true })
  }
}
