/**
 * Bundles, written and read by us: a header of text, then a pack.
 *
 * `git bundle create` needs a ref of that name in the mirror, which jobs would fight over, and cannot say that a history
 * is shallow. We write the header and have pack-objects write the rest: one process, 3 ms for a small repository. The
 * commits at which a shallow history is cut are told as refs/shallow/N, which the guest's script knows.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { commitId } from './names.ts'
import { git, type GitCall } from './run-git.ts'

const SIGNATURE = '# v2 git bundle\n'
const HEADER_BYTES = 64 * 1024
/** Packing a large repository says nothing on the way. */
const QUIET_MS = 30 * 60_000

export type BundleHeader = {
  readonly refs: ReadonlyMap<string, string>
  readonly prerequisites: readonly string[]
  /** Where the pack begins. */
  readonly bytes: number
  /** How many objects the pack says it has. */
  readonly objects: number
}

export type BundleContent = {
  readonly ref: string
  readonly commit: string
  /** Commits the reader has, with everything they contain. */
  readonly without?: readonly string[]
  /** Commits whose parents are left out. */
  readonly shallow?: readonly string[]
}

/** Writes to a new file, which must not exist. */
export async function writeBundleFile(
  file: string,
  content: BundleContent,
  where: Pick<GitCall, 'repository' | 'signal'>,
): Promise<void> {
  const { ref, commit, without = [], shallow = [] } = content
  await using handle = await open(file, 'wx', 0o600)
  const lines = [
    ...without.map((one) => `-${commitId(one)}`),
    `${commitId(commit)} ${ref}`,
    ...shallow.map((one, at) => `${commitId(one)} refs/shallow/${at}`),
  ]
  await handle.write(`${SIGNATURE}${lines.join('\n')}\n\n`)
  const wanted = [...shallow.map((one) => `--shallow ${one}`), commit, ...without.map((one) => `^${one}`)]
  await git({
    ...where,
    args: [
      'pack-objects',
      '--revs',
      '--stdout',
      '--delta-base-offset',
      '-q',
      ...(without.length > 0 ? ['--thin'] : []),
      ...(shallow.length > 0 ? ['--shallow'] : []),
    ],
    input: `${wanted.join('\n')}\n`,
    outputFd: handle.fd,
    silenceMs: QUIET_MS,
  })
}

/** Reads the header of a bundle from outside; answers what is wrong with it as a sentence. */
export async function readBundleHeader(
  handle: FileHandle,
): Promise<BundleHeader | { readonly problem: string }> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
  const start = buffer.subarray(0, bytesRead)
  if (!start.subarray(0, SIGNATURE.length).equals(Buffer.from(SIGNATURE)))
    return { problem: 'it is not a git bundle of version 2.' }
  const end = start.indexOf('\n\n')
  if (end < 0 || bytesRead < end + 14) return { problem: 'its header does not end.' }
  const refs = new Map<string, string>()
  const prerequisites: string[] = []
  for (const line of start.subarray(SIGNATURE.length, end).toString('utf8').split('\n')) {
    const parts = /^(-?)([0-9a-f]{40})(?: (.*))?$/.exec(line)
    if (!parts) return { problem: 'its header has a line that is neither a ref nor a prerequisite.' }
    const [, dash, id = '', name = ''] = parts
    if (dash === '-') prerequisites.push(id)
    else if (refs.has(name)) return { problem: `its header names ${name.slice(0, 100)} twice.` }
    else refs.set(name, id)
  }
  const pack = start.subarray(end + 2, end + 14)
  if (pack.toString('latin1', 0, 4) !== 'PACK') return { problem: 'it has no pack after its header.' }
  return { refs, prerequisites, bytes: end + 2, objects: pack.readUInt32BE(8) }
}
