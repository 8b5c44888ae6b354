/** Finds the API: FLOWFORGE_URL and FLOWFORGE_API_KEY, else what `flowforge up` left in FLOWFORGE_HOME/credentials.json. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '#api'
import { UserError } from './user-error.ts'

type Credentials = { readonly url?: string; readonly apiKey?: string }

export async function connect(): Promise<Client> {
  const [{ createClient }, { readConfig }] = await Promise.all([import('#api'), import('#config')])
  const config = readConfig()
  const local = readCredentials(join(config.FLOWFORGE_HOME, 'credentials.json'))
  const url = config.FLOWFORGE_URL ?? local.url ?? `http://${config.FLOWFORGE_HOST}:${config.FLOWFORGE_PORT}`
  // The key of this machine's own FlowForge is never sent to another address.
  const isLocal = local.url === undefined ? config.FLOWFORGE_URL === undefined : sameOrigin(url, local.url)
  const apiKey = config.FLOWFORGE_API_KEY?.reveal() ?? (isLocal ? local.apiKey : undefined)
  return createClient({ url, ...(apiKey !== undefined && { apiKey }) })
}

function readCredentials(file: string): Credentials {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    // Not there, or not ours to read: the API will say that a key is needed, and where one is.
    return {}
  }
  try {
    return JSON.parse(text) as Credentials
  } catch {
    throw new UserError(`${file} is not JSON. Delete it and start \`flowforge up\` again, which writes it.`)
  }
}

function sameOrigin(one: string, other: string): boolean {
  return URL.parse(one)?.origin === URL.parse(other)?.origin
}
