/**
 * The port of what was resolved before: by contents, so that the same conflict is known again in another merge, and for one
 * organization or one repository only. A remembered resolution is a candidate like any other and is checked anew.
 */
import { createHash } from 'node:crypto'
import type { Versions } from './conflict.ts'

export type Resolutions = {
  /** The result that was accepted for these three versions. */
  find(versions: Versions): Promise<Buffer | undefined>
  /** Keeps a result that the checks passed or a person approved. */
  keep(versions: Versions, result: Buffer): Promise<void>
}

/** Names a conflict by its path and its three contents. */
export function conflictKey({ path, base, ours, theirs }: Versions): string {
  const hash = createHash('sha256').update(path).update('\0')
  for (const content of [base, ours, theirs]) hash.update(`${content.length}\0`).update(content)
  return hash.digest('hex')
}
