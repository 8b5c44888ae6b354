/** Remembered resolutions in a folder below git's common directory: no commit of a hostile repository can put one there. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { conflictKey, type Resolutions } from '../resolutions.ts'

export function createFileResolutions(commonDir: string): Resolutions {
  const folder = join(commonDir, 'flowforge', 'resolutions')
  return {
    find: (versions) => readFile(join(folder, conflictKey(versions))).catch(() => undefined),
    async keep(versions, result) {
      const file = join(folder, conflictKey(versions))
      await mkdir(folder, { recursive: true })
      // Written aside first: a reader never sees half a file.
      const aside = `${file}.${process.pid}`
      await writeFile(aside, result)
      await rename(aside, file)
    },
  }
}
