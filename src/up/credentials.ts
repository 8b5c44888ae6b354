/** FLOWFORGE_HOME/credentials.json: how the command line on this machine reaches the API. Mode 0600. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const schema = z.object({ url: z.url().optional(), apiKey: z.string().min(1) })
export type Credentials = z.output<typeof schema>

export async function readCredentials(home: string): Promise<Credentials | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(fileIn(home), 'utf8')))
  } catch {
    // Absent, half-written by a killed process, or of an older shape: it is made anew.
    return undefined
  }
}

export async function writeCredentials(home: string, credentials: Credentials): Promise<void> {
  const making = `${fileIn(home)}.${process.pid}`
  await writeFile(making, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 })
  await rename(making, fileIn(home))
}

function fileIn(home: string): string {
  return join(home, 'credentials.json')
}
