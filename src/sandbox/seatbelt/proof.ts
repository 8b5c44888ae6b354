/** Says what is in the way of Seatbelt here. A Mac has all that is needed; ripgrep and socat are for Linux only. */
import { existsSync } from 'node:fs'
import { refuse } from '#lib/errors.ts'

const NEEDED = {
  darwin: {
    '/usr/bin/sandbox-exec': 'it is part of macOS, so this system is not whole.',
    '/bin/ps': 'it is part of macOS, so this system is not whole.',
  },
  linux: {
    '/usr/bin/bwrap': 'install it: `apt-get install bubblewrap`.',
    '/usr/bin/socat': 'install it: `apt-get install socat`.',
    '/usr/bin/rg': 'install it: `apt-get install ripgrep`.',
    '/bin/ps': 'install it: `apt-get install procps`.',
  },
} as const

export function proveSeatbelt(): void {
  const problem = problemOfSeatbelt()
  if (problem !== undefined) throw refuse('sandbox_unavailable', { problem })
}

export function problemOfSeatbelt(uid = process.getuid?.()): string | undefined {
  if (process.platform !== 'darwin' && process.platform !== 'linux') return 'Seatbelt works on macOS only.'
  if (uid === 0)
    return 'Seatbelt gives no user of its own to a sandbox, so FlowForge must not run as root here. Start it as a plain user.'
  for (const [path, remedy] of Object.entries(NEEDED[process.platform]))
    if (!existsSync(path)) return `${path} is missing; ${remedy}`
  return undefined
}
