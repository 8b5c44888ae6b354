/** The master key: every other secret of this installation is derived from it or sealed under it. */
import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config'
import { refuse } from '#lib/errors.ts'

const KEY_BYTES = 32

export type MasterKey = {
  /** Names the key in ciphertexts and in the database. Says nothing about the key itself. */
  readonly id: string
  /** 32 bytes for one purpose (HKDF-SHA256): the same key and name always give the same bytes. */
  derive(name: string): Buffer
}

/** Takes the key from FLOWFORGE_MASTER_KEY, else from FLOWFORGE_HOME/keys/master.key, which is made at the first start. */
export async function openMasterKey(
  config: Pick<Config, 'FLOWFORGE_HOME' | 'FLOWFORGE_MASTER_KEY'>,
): Promise<MasterKey> {
  const given = config.FLOWFORGE_MASTER_KEY
  if (given) return masterKeyFrom(given.reveal(), 'FLOWFORGE_MASTER_KEY')
  const file = join(config.FLOWFORGE_HOME, 'keys', 'master.key')
  return masterKeyFrom((await readKey(file)) ?? (await makeKey(file)), file)
}

export function masterKeyFrom(text: string, where: string): MasterKey {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== KEY_BYTES) {
    throw refuse('master_key', {
      problem: `${where} holds ${key.length} bytes of base64, not ${KEY_BYTES}. Make one with: openssl rand -base64 32`,
    })
  }
  const derive = (name: string): Buffer => Buffer.from(hkdfSync('sha256', key, 'flowforge', name, KEY_BYTES))
  return Object.freeze({
    id: createHash('sha256').update(derive('key id')).digest('hex').slice(0, 16),
    derive,
  })
}

async function readKey(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw refuse('master_key', { problem: `${file} cannot be read (${String(error)}).` }, error)
  }
}

/** Several first starts may race: `link` lets exactly one file in, and everybody reads the winner's. */
async function makeKey(file: string): Promise<string> {
  const folder = join(file, '..')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await link(draft, file).catch((error: unknown) => {
    if (!isCode(error, 'EEXIST')) throw error
  })
  await rm(draft)
  const opened = await open(folder, 'r')
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
  return readFile(file, 'utf8')
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
