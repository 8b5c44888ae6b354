/**
 * Moves files over the border. The guest is hostile: in its outbox a name may be a link, a pipe, a device, or a file
 * that grows while it is read.
 */
import { constants } from 'node:fs'
import { copyFile, open, rename, rm, chmod, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const CHUNK = 1024 ** 2

export async function putFile(hostFile: string, inbox: string, name: string): Promise<void> {
  const target = join(inbox, checkName(name))
  // Beside the inbox first, so that the guest never sees half a file.
  const half = join(inbox, '..', `put.${name}`)
  await copyFile(hostFile, half, constants.COPYFILE_FICLONE)
  await chmod(half, 0o644)
  await rename(half, target)
}

export async function takeFile(
  outbox: string,
  name: string,
  hostFile: string,
  maxBytes: number,
): Promise<'taken' | 'absent' | 'too-large'> {
  const source = await openRegular(join(outbox, checkName(name)))
  if (source === undefined) return 'absent'
  try {
    if ((await source.stat()).size > maxBytes) return 'too-large'
    const taken = await copyAtMost(source, hostFile, maxBytes)
    if (!taken) await rm(hostFile, { force: true })
    return taken ? 'taken' : 'too-large'
  } finally {
    await source.close()
  }
}

/** Links are not followed, and a pipe does not make us wait (O_NONBLOCK). Whatever is no regular file is not there. */
async function openRegular(path: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  let file: FileHandle
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'EACCES', 'ENODEV'].includes(code)) return undefined
    throw error
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  return undefined
}

/** Counts while it copies: the size asked for before may be a lie by now. */
async function copyAtMost(source: FileHandle, hostFile: string, maxBytes: number): Promise<boolean> {
  await using target = await open(hostFile, 'w', 0o600)
  const buffer = Buffer.allocUnsafe(CHUNK)
  for (let total = 0; ;) {
    const { bytesRead } = await source.read(buffer, 0, CHUNK)
    if (bytesRead === 0) return true
    total += bytesRead
    if (total > maxBytes) return false
    await target.writeFile(buffer.subarray(0, bytesRead))
  }
}

function checkName(name: string): string {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is not a name for an exchanged file`)
  return name
}
