/**
 * As root each sandbox runs as a host user of its own, a "slot": so limits counted by user are its own, and a process
 * that got out of its namespaces would still meet file permissions of a stranger.
 *
 * The numbers lie in a range that systemd's list of users (UIDS-GIDS) leaves free. A slot is taken by creating a file,
 * so that several workers on one host never take the same one.
 */
import { randomInt } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FIRST = 1_900_000_000
const COUNT = 65_536
const DIRECTORY = '/run/flowforge/slots'

export function takeSlot(id: string): number {
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o711 })
  for (let tries = 0; tries < 1000; tries++) {
    const slot = FIRST + randomInt(COUNT)
    try {
      writeFileSync(join(DIRECTORY, String(slot)), id, { flag: 'wx' })
      return slot
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error('no user number is free for another sandbox')
}

export function releaseSlot(slot: number): void {
  rmSync(join(DIRECTORY, String(slot)), { force: true })
}
