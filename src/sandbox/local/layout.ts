/**
 * Where a sandbox's things lie on the host:
 *
 *   HOME/bin/STAMP/          node, claude, relay: shown as /opt/ff
 *   HOME/sandboxes/ID/       owner.json, in/, disk.img, disk/{workspace,state,out,cache}
 *   HOME/sandboxes/.ready/   disks made in advance, each becomes an ID by one rename
 *   HOME/sandboxes/.ended/   what is still being removed
 *   HOME/sandboxes/.worker/  files of a running worker: named pipes made in advance, trusted authorities
 *   sockets                  HOME/sandboxes/.s/HASH, or a short path elsewhere when that one is too long
 */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { refuse } from '#lib/errors.ts'
import type { ProcessIdentity } from './process-identity.ts'

export type Layout = {
  readonly home: string
  readonly sandboxes: string
  readonly ready: string
  readonly ended: string
  readonly worker: string
  directory(id: string): string
  sockets(id: string): string
}

/** Written into each sandbox's directory: what the reaper needs to know about a sandbox that it did not open. */
export type OwnerRecord = {
  readonly owner: ProcessIdentity
  readonly sockets: string
  readonly slot?: number
}

/** The kernel takes 107 bytes for a socket's path; the house rule is less than 100. */
const LONGEST_SOCKET_PATH = 99
const LONGEST_SOCKET_NAME = '/egress.sock'.length
const SANDBOX_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

export function isSandboxId(id: string): boolean {
  return SANDBOX_ID.test(id)
}

/** Makes the directories. As root the home must be enterable by the sandbox's user, so its own x bits are set. */
export function createLayout(home: string): Layout {
  const sandboxes = join(home, 'sandboxes')
  const ready = join(sandboxes, '.ready')
  const ended = join(sandboxes, '.ended')
  const worker = join(sandboxes, '.worker')
  mkdirSync(home, { recursive: true })
  if (process.getuid?.() === 0) openForOthers(home)
  mkdirSync(sandboxes, { recursive: true, mode: 0o711 })
  for (const directory of [ready, ended]) mkdirSync(directory, { recursive: true, mode: 0o700 })
  mkdirSync(worker, { recursive: true, mode: 0o711 })
  const socketRoot = chooseSocketRoot(sandboxes)
  return {
    home,
    sandboxes,
    ready,
    ended,
    worker,
    directory: (id) => join(sandboxes, id),
    sockets: (id) => join(socketRoot, createHash('sha256').update(id).digest('hex').slice(0, 16)),
  }
}

function openForOthers(home: string): void {
  chmodSync(home, (statSync(home).mode & 0o7777) | 0o011)
  for (let directory = dirname(home); directory !== dirname(directory); directory = dirname(directory)) {
    if (statSync(directory).mode & 0o001) continue
    throw refuse('home_unusable', {
      home,
      problem: `sandboxes run as a user of their own, who cannot enter ${directory}. Choose a folder such as /var/lib/flowforge.`,
    })
  }
}

function chooseSocketRoot(sandboxes: string): string {
  const uid = process.getuid?.() ?? 0
  const elsewhere = uid === 0 ? '/run/flowforge/s' : `/tmp/flowforge-${uid}`
  const root = [join(sandboxes, '.s'), elsewhere].find(
    (path) => Buffer.byteLength(path) + 17 + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH,
  )!
  mkdirSync(root, { recursive: true, mode: 0o711 })
  // Below /tmp somebody else could have made it first.
  const found = lstatSync(root)
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0)
    throw refuse('home_unusable', {
      home: root,
      problem: 'it belongs to somebody else; sockets cannot lie there.',
    })
  return root
}

export function writeOwnerRecord(directory: string, record: OwnerRecord): void {
  writeFileSync(join(directory, 'owner.json'), JSON.stringify(record), { mode: 0o600 })
}

export function readOwnerRecord(directory: string): OwnerRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'owner.json'), 'utf8')) as OwnerRecord
  } catch {
    return undefined
  }
}
