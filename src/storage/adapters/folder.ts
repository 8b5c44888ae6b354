import { constants } from 'node:fs'
import {
  chmod,
  copyFile,
  mkdir,
  open,
  opendir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newId } from '#lib/ids.ts'
import { checkBlobName, type Blobs } from '../blobs.ts'

/** Blobs as files below one folder, 0600, 256 sub-folders by the last two digits of the name (those are random). */
export function createFolderBlobs(folder: string): Blobs {
  const drafts = join(folder, 'drafts')
  const place = (name: string): string => join(folder, checkBlobName(name).slice(-2), name)

  /** Whole or not at all, also after a power cut: written beside, flushed, renamed, and the folder flushed. */
  async function keep(write: (draft: string) => Promise<void>): Promise<string> {
    const name = newId()
    const draft = join(drafts, name)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await mkdir(drafts, { recursive: true, mode: 0o700 })
    try {
      await write(draft)
      await flush(draft)
      await mkdir(dirname(place(name)), { recursive: true, mode: 0o700 })
      await rename(draft, place(name))
      await flush(dirname(place(name)))
      await flush(folder)
    } finally {
      await rm(draft, { force: true })
    }
    return name
  }

  return {
    putFile: (file) =>
      keep(async (draft) => {
        await copyFile(file, draft, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
        // copyFile takes over the mode of the source; the folder is 0700 meanwhile.
        await chmod(draft, 0o600)
      }),
    put: (bytes) => keep((draft) => writeFile(draft, bytes, { flag: 'wx', mode: 0o600 })),
    async getFile(name, file) {
      await copyFile(place(name), file, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    },
    get: (name) => readFile(place(name)),
    has: (name) =>
      stat(place(name)).then(
        () => true,
        () => false,
      ),
    delete: (name) => rm(place(name), { force: true }),
    async *list() {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      for await (const part of await opendir(folder)) {
        if (!/^[0-9a-f]{2}$/.test(part.name)) continue
        for await (const entry of await opendir(join(folder, part.name))) {
          const found = await stat(join(folder, part.name, entry.name)).catch(() => undefined)
          if (found) yield { name: entry.name, bytes: found.size, storedAt: found.mtime }
        }
      }
    },
  }
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
